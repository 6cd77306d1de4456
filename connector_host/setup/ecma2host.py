"""Reading the configuration that the replaced product exports (ecma.md §1.4), and what of it has no equivalent here.

<Configuration><Connectors><Connector>
  <ConnectorConfig><Parameters><Parameter><Name/><Use/><Value/>…
  <Schema><EntriesSchema><EntrySchema><SchemaAttributes><AttributeSchema><Name/><IsAnchor/>…
  <ECMAConfig><ProfileName/>…          <Setting><Port/>
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LONGEST: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Migrated:
    """What one connector of the export says, in our words."""

    name: str
    port: int | None
    table: str
    schema: str | None
    anchor: str
    columns: tuple[str, ...]
    """The attributes that were selected; they keep their URN, so that mappings in Entra go on to work."""
    flows: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What has no equivalent, each with what to do instead."""


def read_export(path: Path) -> tuple[Migrated, ...]:
    """Return every connector in the file; raises ConfigurationError where it is no such export."""
    root = _parse(path)
    port = _number(_text(root, "Port"))
    connectors = tuple(_migrated(path, connector, port) for connector in _all(root, "Connector"))
    if not connectors:
        raise ConfigurationError(f"{path}: holds no connector. Export it from the configuration wizard: Export.")
    return connectors


def choose(connectors: tuple[Migrated, ...], name: str | None) -> Migrated:
    """Return the connector of this name, or the only one, which then takes the name, as it fits into a URL here.

    Raises ConfigurationError that names those there are.
    """
    names = ", ".join(connector.name for connector in connectors)
    found = [one for one in connectors if len(connectors) == 1 or name in {None, one.name}]
    if len(found) != 1:
        raise ConfigurationError(f"The export holds these connectors: {names}. Name one of them with --name.")
    return _named(found[0], _fitting(name if len(connectors) == 1 and name else found[0].name))


def _fitting(name: str) -> str:
    """Return the name with everything left out that does not fit into a URL without escaping."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "_", letters).strip("_-")[:64] or "connector"


def _named(connector: Migrated, name: str) -> Migrated:
    if name == connector.name:
        return connector
    note = (
        f"The connector {connector.name!r} is called {name} here, so its tenant URL changes: put the new one, ending "
        f"with /ecma2host_{name}/scim, into Entra."
    )
    return replace(connector, name=name, notes=(note, *connector.notes))


def _parse(path: Path) -> ET.Element:
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise ConfigurationError(f"{path}: cannot be read ({failure.strerror}).") from failure
    # No export has a document type; one that has is after entities, and is not parsed at all.
    if len(content) > _LONGEST or b"<!" in content.replace(b"\0", b"").replace(b"<!--", b""):
        raise ConfigurationError(f"{path}: is no export of the configuration wizard.")
    try:
        return ET.fromstring(content)  # noqa: S314 - without a document type there are no entities to expand
    except ET.ParseError as failure:
        raise ConfigurationError(f"{path}: is no readable XML ({failure}).") from failure


def _migrated(path: Path, connector: ET.Element, port: int | None) -> Migrated:
    parameters = dict(_parameters(connector))
    attributes = [attribute for attribute in _all(connector, "AttributeSchema") if _text(attribute, "Name")]
    anchors = [_text(attribute, "Name") for attribute in attributes if _true(attribute, "IsAnchor")]
    name = _text(connector, "ProfileName") or _text(connector, "Name")
    table = _table(parameters)
    if not name or not table:
        missing = "name" if not name else "table"
        raise ConfigurationError(f"{path}: a connector in it has no {missing}; only SQL connectors can be taken over.")
    schema, _, bare = table.replace("[", "").replace("]", "").rpartition(".")
    notes = [*_notes(connector, parameters, attributes)]
    if len(anchors) != 1:
        notes.append(f"The anchor is not one attribute ({', '.join(anchors) or 'none'}): choose one with --anchor.")
    flows = dict(_flows(connector))
    selected = [_text(attribute, "Name") for attribute in attributes if _is_served(attribute)]
    # There, a column that a flow sets was none of the selected attributes; here it has to be exposed.
    selected += [str(flow["column"]) for flow in flows.values() if "column" in flow]
    return Migrated(
        name=name,
        port=port,
        table=bare,
        schema=schema or None,
        anchor=anchors[0] if len(anchors) == 1 else "",
        columns=tuple(dict.fromkeys(selected)),
        flows=flows,
        notes=tuple(notes),
    )


def _parameters(connector: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield name and value; names in lower case, without the object type in front (`User:Table/View/SP`)."""
    for parameter in _all(connector, "Parameter"):
        name = _text(parameter, "Name").rpartition(":")[2].strip().lower()
        value = _text(parameter, "Value")
        if name and value:
            yield name, value


def _table(parameters: Mapping[str, str]) -> str:
    return next((value for name, value in parameters.items() if name.startswith("table/view")), "")


def _flows(connector: ET.Element) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield what disabling and deleting did: nothing, deleting the row, or setting a boolean attribute."""
    for kind, ours, value_key in (("Soft", "disable", "inactive"), ("Hard", "delete", "deleted")):
        attribute, action = _text(connector, f"{kind}DeleteStatusAttribute"), _text(connector, f"{kind}Delete")
        other = "active" if ours == "disable" else "present"
        if attribute:
            yield ours, {"action": "set", "column": attribute, value_key: False, other: True}
        elif action == "TreatAsHard":
            yield ours, {"action": "delete"}
        elif action == "None" and ours == "delete":
            yield ours, {"action": "none"}


def _notes(connector: ET.Element, parameters: Mapping[str, str], attributes: list[ET.Element]) -> Iterator[str]:
    if dsn := parameters.get("dsn file"):
        yield f"The DSN file {dsn} is not read: give the database as --database-url, and its password anew."
    yield "The secret token was exported empty, as always: put the new one into Entra (or set the old one, below)."
    methods = {value for name, value in parameters.items() if name in {"operation method", "attribute detection"}}
    if methods - {"Table", "View"}:
        other = ", ".join(sorted(methods - {"Table", "View"}))
        yield f"Operation method {other}: only tables and views are served; make a view."
    if any("multi-value" in name for name in parameters):
        yield "Multi-valued tables have no equivalent: give each value a column of its own, or leave them out."
    if any(name.startswith(("set password", "change password")) for name in parameters):
        yield "Password procedures have no equivalent: passwords are never provisioned."
    for attribute in attributes:
        name, kind = _text(attribute, "Name"), _text(attribute, "DataType")
        if kind in {"Binary", "Reference"}:
            yield f"{name} is left out: {kind.lower()} attributes are not provisioned."
        elif _true(attribute, "Multivalued") and not _true(attribute, "TreatAsSingleValue"):
            yield f"{name} was multi-valued: its column is served with one value."
    if _text(connector, "AutosyncTimer"):
        yield "The autosync timer is gone: every read goes to the database, so nothing is ever out of date."


def _is_served(attribute: ET.Element) -> bool:
    name = _text(attribute, "Name")
    invented = re.fullmatch(r"-dn-|_distinguishedName|export_password|objectClass", name)
    return invented is None and _text(attribute, "DataType") not in {"Binary", "Reference"}


# ── the document; the exporter puts some elements into namespaces, so only local names count ─────────────────────


def _all(element: ET.Element, name: str) -> list[ET.Element]:
    return [found for found in element.iter() if found.tag.rpartition("}")[2] == name]


def _text(element: ET.Element, name: str) -> str:
    """Return the text of the first element of this name, or the attribute of this name, or nothing."""
    found = next(iter(_all(element, name)), None)
    return (found.text or "").strip() if found is not None else element.get(name, "").strip()


def _true(element: ET.Element, name: str) -> bool:
    return _text(element, name).lower() in {"true", "1"}


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and int(text) <= 65_535 else None  # noqa: PLR2004 - the last port

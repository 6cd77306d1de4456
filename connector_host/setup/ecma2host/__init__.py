"""Taking over the configuration that the replaced product exports (ecma.md §1.4): what is kept, translated, or told."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError
from connector_host.setup.ecma2host.document import all_of, is_true, parameters, parse, text_of
from connector_host.setup.ecma2host.notes import notes
from connector_host.setup.ecma2host.procedures import described, exports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from xml.etree import ElementTree as ET

    from connector_host.setup.ecma2host.document import Parameter
    from connector_host.setup.ecma2host.procedures import Statement


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
    exports: Mapping[str, Statement] = field(default_factory=dict)
    """What creates, changes and deletes, where that was no plain table."""
    notes: tuple[str, ...] = ()
    """What has no equivalent, each with what to do instead."""


def read_export(path: Path) -> tuple[Migrated, ...]:
    """Return every SQL connector in the file; raises ConfigurationError where it is no such export."""
    root = parse(path)
    connectors = all_of(root, "Connector")
    others = [one for one in connectors if not _is_sql(one)]
    left = tuple(
        f"The connector {_name(one)} ({text_of(one, 'LibraryName')}) is no SQL connector, and is left out."
        for one in others
    )
    if others and len(others) == len(connectors):
        raise ConfigurationError(f"{path}: only SQL connectors can be taken over. {' '.join(left)}")
    if not connectors:
        raise ConfigurationError(f"{path}: holds no connector. Export it from the configuration wizard: Export.")
    found = [_migrated(path, root, one) for one in connectors if one not in others]
    return tuple(replace(one, notes=(*one.notes, *left)) for one in found)


def choose(connectors: tuple[Migrated, ...], name: str | None) -> Migrated:
    """Return the connector of this name, or the only one, which then takes the name, as it fits into a URL here.

    Raises ConfigurationError that names those there are.
    """
    names = ", ".join(connector.name for connector in connectors)
    found = [one for one in connectors if len(connectors) == 1 or name in {None, one.name}]
    if len(found) != 1:
        raise ConfigurationError(f"The export holds these connectors: {names}. Name one of them with --name.")
    rest = tuple(
        f"The connector {one.name} of the export is still to be taken over: --add --name {one.name}."
        for one in connectors
        if one is not found[0]
    )
    chosen = replace(found[0], notes=(*found[0].notes, *rest))
    return _named(chosen, _fitting(name if len(connectors) == 1 and name else chosen.name))


def _fitting(name: str) -> str:
    """Return the name with everything left out that does not fit into a URL without escaping."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "_", letters).strip("_-")[:64] or "connector"


def _named(connector: Migrated, name: str) -> Migrated:
    notes = tuple(note.replace("connectors.NAME", f"connectors.{name}") for note in connector.notes)
    if name == connector.name:
        return replace(connector, notes=notes)
    note = (
        f"The connector {connector.name!r} is called {name} here, so its tenant URL changes: put the new one, ending "
        f"with /ecma2host_{name}/scim, into Entra."
    )
    return replace(connector, name=name, notes=(note, *notes))


def _is_sql(connector: ET.Element) -> bool:
    library = text_of(connector, "LibraryName").lower()
    return not library or "genericsql" in library


def _name(connector: ET.Element) -> str:
    return text_of(connector, "ProfileName") or text_of(connector, "Name")


def _migrated(path: Path, root: ET.Element, connector: ET.Element) -> Migrated:
    settings = [*parameters(connector)]
    name, tables = _name(connector), [*_tables(settings)]
    if not name or not tables:
        missing = "name" if not name else "table"
        raise ConfigurationError(f"{path}: a connector in it has no {missing}; only SQL connectors can be taken over.")
    entry, *more = all_of(connector, "EntrySchema") or [connector]
    attributes = [attribute for attribute in all_of(entry, "AttributeSchema") if text_of(attribute, "Name")]
    anchors = [text_of(attribute, "Name") for attribute in attributes if is_true(attribute, "IsAnchor")]
    schema, _, bare = tables[0].replace("[", "").replace("]", "").rpartition(".")
    flows, (statements, _) = dict(_flows(entry)), exports(settings)
    selected = [text_of(attribute, "Name") for attribute in attributes if _is_served(attribute)]
    # There, a column that a flow sets was none of the selected attributes; here it has to be exposed.
    selected += [str(flow["column"]) for flow in flows.values() if "column" in flow]
    return Migrated(
        name=name,
        port=_number(text_of(root, "Port")),
        table=bare,
        schema=schema or None,
        anchor=anchors[0] if len(anchors) == 1 else "",
        columns=tuple(dict.fromkeys(selected)),
        flows=flows,
        exports=statements,
        notes=(
            *_on_the_shape(anchors, tables, more),
            *_on_the_flows(entry, flows),
            *described(statements),
            *notes(root, connector, entry, settings),
        ),
    )


def _tables(settings: Sequence[Parameter]) -> Iterator[str]:
    """Yield each table once: what attributes were read from, then users, then what was written to."""
    found = [one for one in settings if one.key.startswith("table/view")]
    order = ["", "FullImport", "DeltaImport", "Export"]
    found.sort(key=lambda one: order.index(one.run) if one.run in order else len(order))
    yield from dict.fromkeys(one.value for one in found)


def _on_the_shape(anchors: Sequence[str], tables: Sequence[str], more: Sequence[ET.Element]) -> Iterator[str]:
    if len(anchors) != 1:
        yield f"The anchor is not one attribute ({', '.join(anchors) or 'none'}): choose one with --anchor."
    if len(tables) > 1:
        yield (
            f"Several tables were read and written ({', '.join(tables)}); {tables[0]} is taken for both. Where that "
            "cannot be written, say in [connectors.NAME.exports] what writes."
        )
    for one in more:
        kind = text_of(one, "ObjectType") or text_of(one, "ExternalName")
        yield f"The object type {kind} is left out: one is served."


def _flows(entry: ET.Element) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield what disabling and deleting did: nothing, deleting the row, or setting a boolean attribute."""
    for kind, ours, value_key in (("Soft", "disable", "inactive"), ("Hard", "delete", "deleted")):
        attribute, action = text_of(entry, f"{kind}DeleteStatusAttribute"), text_of(entry, f"{kind}Delete")
        other = "active" if ours == "disable" else "present"
        if attribute:
            yield ours, {"action": "set", "column": attribute, value_key: False, other: True}
        elif action == "TreatAsHard":
            yield ours, {"action": "delete"}
        elif action == "None" and ours == "delete":
            yield ours, {"action": "none"}


def _on_the_flows(entry: ET.Element, flows: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    for kind, ours in (("Soft", "disable"), ("Hard", "delete")):
        action = text_of(entry, f"{kind}Delete")
        if ours not in flows and action not in {"", "None"}:
            yield f"{kind}Delete = {action} is not taken over: write [connectors.NAME.{ours}] yourself."


def _is_served(attribute: ET.Element) -> bool:
    name = text_of(attribute, "Name")
    invented = re.fullmatch(r"-dn-|_distinguishedName|export_password|objectClass", name)
    return invented is None and text_of(attribute, "DataType") not in {"Binary", "Reference"}


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and int(text) <= 65_535 else None  # noqa: PLR2004 - the last port

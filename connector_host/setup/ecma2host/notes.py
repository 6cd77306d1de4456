"""What of the replaced product's configuration has no equivalent here, each with what to do instead.

Every setting that says something is kept, translated, told here by a sentence of its own, or named at the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from connector_host.setup.ecma2host import procedures
from connector_host.setup.ecma2host.document import Parameter, all_of, is_true, local, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from xml.etree import ElementTree as ET

_KEPT: Final = re.compile(
    r"table/view.*|attribute detection|operation method|object type detection( method)?|fixed value.*"
    r"|(select )?(anchor|dn attribute).*|dn is anchor"
)
"""What is in force here, too, under another name, or has no meaning without the old product's connector space."""

_PORT_MAX: Final = 65_535
_OF_METHODS: Final = {"attribute detection", "operation method"}
_TABLES: Final = {"table", "view", "table/view"}

_TOLD: Final[tuple[tuple[str, str], ...]] = (
    (r"dsn file", "The DSN file {} is not read: give the database as --database-url, and its password anew."),
    (r"user name", "The login {} is not taken over: it belongs into --database-url."),
    (r"password", "The database password is not in the export: give it anew."),
    (r"object replace", "A change wrote the whole row there; here it writes what the request names, and no more."),
    (r"command timeout", "The command timeout of {} s: write statement_s = {} in the connector's table."),
    (
        r"delta strategy",
        (
            "Delta strategy {}: say it with each delta import, as in `connector-host import --profile watermark "
            "--watermark COLUMN`, or --profile snapshot or changes."
        ),
    ),
    (
        r"water ?mark.*|history table.*|.*snapshot database.*|change type.*",
        (
            "{name} {} is not taken over: a delta import here needs a column (--watermark), a change log "
            "(`connector-host change-log`), or nothing (--profile snapshot)."
        ),
    ),
    (
        r"data source time zone",
        (
            "The data source's time zone {}: columns that keep time without a zone are read as UTC; write zone in "
            "[connectors.NAME.column.COLUMN] for each that is not."
        ),
    ),
    (
        r"data source date time format",
        (
            "The date format {} has no equivalent: dates are written in the column's own type, and one in a text "
            "column is served as the text that it is."
        ),
    ),
    (
        r".*multi-?valued?.*",
        "Multi-valued tables ({}) have no equivalent: give each value a column of its own, or leave them out.",
    ),
    (
        r"(set|change) password.*|password extension.*|extension name",
        "{name}: password procedures have no equivalent, since passwords are never provisioned.",
    ),
    (r"page ?size.*", ""),
    (r"(start|end) index.*", ""),
)
"""Pattern of a key, and what is said of it; `{}` is the value. Empty: named at the end as not needed."""


def notes(root: ET.Element, connector: ET.Element, entry: ET.Element, settings: Sequence[Parameter]) -> Iterator[str]:
    """Yield what is to be told of one connector."""
    yield from _on_parameters(settings)
    yield from _on_attributes(entry)
    yield from _on_directions(connector)
    yield from _on_host(root, connector)
    yield from _on_the_rest(root, connector, settings)


def _on_parameters(settings: Sequence[Parameter]) -> Iterator[str]:
    said = set()
    for one in settings:
        text = _sentence(one)
        if text and text not in said:
            said.add(text)
            yield text
    methods = {one.value for one in settings if one.key in _OF_METHODS and one.run != "Export"}
    if other := sorted(value for value in methods if value.lower() not in _TABLES):
        yield f"It was read by {' and '.join(other)}: make a view of that, or write `query` in place of `table`."
    taken, lost = procedures.exports(settings)
    wrote = next((one.value for one in settings if one.key == "operation method" and one.run == "Export"), "Table")
    if wrote.lower() not in _TABLES and not (taken or lost):
        yield f"Users were written by {wrote}: write the statements into [connectors.NAME.exports], see docs/sql.md."
    for one in lost:
        yield (
            f"{one}: its parameters cannot be taken over (an OUTPUT, or no attribute): write the call into "
            "[connectors.NAME.exports], see docs/sql.md."
        )


def _sentence(one: Parameter) -> str | None:
    """Return what is said of a setting, empty where it is not needed here; None where nobody knows it."""
    for pattern, sentence in _TOLD:
        if re.fullmatch(pattern, one.key):
            return sentence.replace("{name}", one.name).replace("{}", one.shown)
    return None


def _on_attributes(entry: ET.Element) -> Iterator[str]:
    booleans = []
    for attribute in all_of(entry, "AttributeSchema"):
        name, kind = text_of(attribute, "Name"), text_of(attribute, "DataType")
        if kind in {"Binary", "Reference"}:
            yield f"{name} is left out: {kind.lower()} attributes are not provisioned."
        elif is_true(attribute, "Multivalued") and not is_true(attribute, "TreatAsSingleValue"):
            yield f"{name} was multi-valued: its column is served with one value."
        if kind == "Boolean":
            booleans.append(name)
    if booleans:
        yield (
            f"{', '.join(booleans)}: was boolean there; where its column is none, write true and false in "
            "[connectors.NAME.column.COLUMN]."
        )
    if text_of(entry, "IsDNAutogenerated").lower() == "false":
        yield "The DN was mapped: there is none here, and the mapping to -dn- in Entra can be removed."


def _on_directions(connector: ET.Element) -> Iterator[str]:
    if text_of(connector, "IsExportSupported").lower() == "false":
        yield "It did not export; here whoever has the token may write: grant the login SELECT and no more."
    if is_true(connector, "IsExportOnly"):
        yield "It only exported; here users are read, too: the login needs SELECT."
    if is_true(connector, "SupportPassword") or is_true(connector, "ExportPasswordInFirstPass"):
        yield "Passwords were exported: here they are never provisioned, and refused or dropped ([refusals])."


def _on_host(root: ET.Element, connector: ET.Element) -> Iterator[str]:
    keep = "put the new one into Entra, or keep the old one with `connector-host token new --from-stdin`"
    if text_of(connector, "SecretToken"):
        yield f"The secret token stands in the export, and is not taken over: {keep}. Then delete the export."
    else:
        yield f"The secret token was exported empty: {keep}."
    if timer := text_of(connector, "AutosyncTimer"):
        yield f"The autosync timer ({timer} min) is gone: every read goes to the database, so nothing is out of date."
    port = next((text_of(one, "Port") for one in all_of(root, "Setting")), "")
    if port and not (port.isdecimal() and int(port) <= _PORT_MAX):
        yield f"The port {port} is none, so the tenant URL has the port of this configuration: put it into Entra."
    if thumbprint := next((text_of(one, "Certificate") for one in all_of(root, "Setting")), ""):
        yield (
            f"The certificate {thumbprint} is in the store of Windows, and not in the export: one is issued, whose "
            "authority.pem the agent must trust; or export yours and `connector-host cert install` it."
        )


_KNOWN: Final = {
    "ECMAConfig": {
        "ECMAFolderPath", "LibraryName", "AutosyncTimer", "SecretToken", "ProfileName", "CreationDateTime",
        "ModificationDateTime", "Validated",
    },
    "Setting": {"Port", "Certificate"},
    "RunStep": {"Name", "Type", "Partition", "Parameters"},
}  # fmt: skip
"""What is known in these elements; anything else is named."""


def _on_the_rest(root: ET.Element, connector: ET.Element, settings: Sequence[Parameter]) -> Iterator[str]:
    needless = [str(one) for one in settings if _sentence(one) == ""]
    if needless:
        yield f"Not needed here: {'; '.join(needless)}."
    unknown = [
        one
        for one in settings
        if _sentence(one) is None and not (_KEPT.fullmatch(one.key) or procedures.is_about_exports(one))
    ]
    parts = [*all_of(connector, "ECMAConfig"), *all_of(connector, "RunStep"), *all_of(root, "Setting")]
    unknown += [one for part in parts for one in _odd(part)]
    if unknown:
        yield f"Not taken over, look whether you need it: {'; '.join(map(str, unknown))}."


def _odd(part: ET.Element) -> list[Parameter]:
    found = [one for one in part if local(one) not in _KNOWN[local(part)]]
    settings = [Parameter(local(one), (one.text or "").strip(), local(part)) for one in found]
    return [one for one in settings if one.says]

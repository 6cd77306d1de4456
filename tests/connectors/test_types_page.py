"""The page of types is what the code does: docs/types.md, for each database.

After a change that is meant, `UPDATE_COMPILED=1 pytest` writes it anew: read what differs before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connector_host.connectors.sql.columns import ATTRIBUTE_TYPES, Family
from connector_host.connectors.sql.databases.anyodbc import KINDS_BY_CODE
from connector_host.connectors.sql.dialects import DIALECTS
from connector_host.connectors.sql.meanings import WORDS

PAGE = Path(__file__).parents[2] / "docs" / "types.md"

NAMES = {
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
    "mysql": "MySQL and MariaDB",
    "mssql": "SQL Server and Azure SQL",
    "oracle": "Oracle",
    "db2": "DB2",
    "odbc": "Any other ODBC data source",
}
BESIDE = {
    "postgresql": "An enum is text, one of its labels. An array is left out.",
    "mysql": "`tinyint(1)` and `bit(1)` are true or false.",
    "oracle": "A `number` whose scale is 0 is a whole number of as many digits as it declares, or 38.",
    "db2": "Character types `FOR BIT DATA` are bytes.",
    "odbc": "Names come before codes. The codes are those of ODBC's `SQL_…` types, which drivers tell of each column.",
}
LEFT_OUT = {
    Family.BINARY: "bytes; a UUID, as text, where `uuid` of the column says so",
    Family.MULTI_VALUED: "several values in one column",
    Family.UNKNOWN: "not handed out or compared as it would have to be",
}
HEAD = """# Types of columns and of attributes

Made from the code, which a test compares. The attribute's type is what `/Schemas` says of it; values travel both ways
by the same rule, and what would not survive is refused before any SQL ([sql.md](sql.md#what-becomes-of-a-column)).
A type that is not named here is left out, and `connector-host discover TABLE` says so. Lengths, digits and
arguments of a type are its limits. `true` and `false`, `zone`, `epoch` and `uuid` of a column say what the database
cannot.
"""


def page():
    """Return the page of types."""
    dialects = {dialect.name: dialect for dialect in DIALECTS.values()}
    return HEAD + "".join(section(name, dialects[name]) for name in NAMES)


def section(name, dialect):
    grouped = {}
    named = [(f"`{spelled}`", kind) for spelled, kind in dialect.types.items()]
    if name == "odbc":
        named += [(f"code {code}", kind) for code, kind in KINDS_BY_CODE.items()]
    for spelled, kind in named:
        grouped.setdefault(kind, []).append(spelled)
    lines = [row(kind, spelled, dialect) for kind, spelled in grouped.items()]
    beside = f"\n{BESIDE[name]}\n" if name in BESIDE else ""
    return f"\n## {NAMES[name]}\n\n| types | attribute | values |\n|---|---|---|\n" + "\n".join(lines) + "\n" + beside


def row(kind, spelled, dialect):
    if kind.family is Family.BINARY and dialect.row_versions is not None:
        versions = dialect.row_versions.types
        spelled = [one if one.strip("`") not in versions else f"{one} (row version)" for one in spelled]
    attribute = ATTRIBUTE_TYPES.get(kind.family)
    values = LEFT_OUT[kind.family] if attribute is None else WORDS[kind.family]
    if kind.family is Family.INTEGER:
        values += f", {kind.low} to {kind.high}"
    listed = ", ".join(sorted(spelled, key=lambda one: one.strip("`")))
    return f"| {listed} | {attribute.value if attribute else 'none'} | {values} |"


def test_the_page_of_types_is_what_the_code_does():
    if os.environ.get("UPDATE_COMPILED"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), "Write it anew: UPDATE_COMPILED=1 pytest"


@pytest.mark.parametrize("first", DIALECTS.values(), ids=["-".join(pair) for pair in DIALECTS])
def test_a_database_has_the_same_types_by_each_driver(first):
    """The page has one table for a database, whatever the driver."""
    assert all(first.types == other.types for other in DIALECTS.values() if other.name == first.name)

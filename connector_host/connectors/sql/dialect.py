"""What is to know of a database and a driver, so that everything else need not: the facts themselves are in databases.

Whatever differs between databases and is not an error code stands there (errors: codes). Nothing here opens a
connection. Sources: sql-connectors.md §3, and the databases' manuals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from connector_host.connectors.sql.columns import Converted, Family, Kind, Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

TextComparison = Literal["lower", "nocase", "collation", "unknown"]
"""How text is compared without regard to case: by lower() on both sides, by SQLite's NOCASE (which an index
may serve), or by the column's own collation narrowed to lower() on both sides, byte by byte. Where nothing is known of
the collation, by lower() on both sides, and what is found is looked at once more."""

GeneratedKey = Literal["returning", "last_insert_rowid", "last_insert_id", "output_into", "final_table", "by_values"]
"""How the anchor that the database made comes back from an insertion. OUTPUT alone fails on a table of SQL Server that
has triggers; OUTPUT … INTO a variable works on any. DB2 selects from the FINAL TABLE of an insertion. By
its values: the only row that has all of them is the new one."""

Paging = Literal["limit", "fetch", "cursor"]
"""How a page is cut: as SQLAlchemy says it for the database, by the standard's FETCH FIRST, or by passing over rows."""

ServerCursor = Literal["named", "unbuffered", "plain"]
"""How a driver is asked for rows that stay on the server until they are fetched; plain where that is its way, or
where its connection string says so (odbc_import_options)."""


@dataclass(frozen=True, slots=True)
class RowVersions:
    """What a database stamps its rows with: a number that grows with each change (see rowversions)."""

    types: frozenset[str]
    """Types of columns that hold it, in lower case."""
    horizon: str
    """The lowest number that a transaction which is not committed yet may still bring, as text or as bigint."""
    spelled: tuple[str, ...]
    """What a number that is bound as text is cast to, to be compared with the column: from the inside out."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of database, reached by one kind of driver."""

    name: str
    """The kind of database: sqlite, postgresql, mysql, mssql, oracle, db2; odbc where nobody says."""
    catalogue: Mapping[str, str]
    """Which statement of the catalogue answers which question; none where the driver's functions do (datasource)."""
    types: Mapping[str, Kind]
    """The database's type names, in lower case and without arguments."""
    parameters: Parameters = field(default_factory=Parameters)
    session: tuple[str, ...] = ()
    """Statements for each new connection; {ms} and {s} stand for the time limit of a statement, {lock_ms} and
    {lock_s} for that of waiting for a lock."""
    import_session: tuple[str, ...] = ()
    """More of them for an import: one consistent moment, however long it takes."""
    reads_only: tuple[str, ...] = ()
    """More of them for connections that read a query, whose functions must not change anything; none where functions
    in a SELECT cannot, or the database cannot be told."""
    server_cursor: ServerCursor = "plain"
    row_versions: RowVersions | None = None
    """How rows are stamped, where the database tells how far stamps are committed."""
    text_comparison: TextComparison = "lower"
    generated_key: GeneratedKey = "returning"
    inserts_return: bool = True
    """Whether INSERT … RETURNING hands out rows."""
    counts_many: bool = True
    """Whether the rows of many executions of one statement are counted together, rightly."""
    looks_up_many: bool = False
    """Whether many searches for one value each may be one UNION ALL: where that has been run, with this driver."""
    updates_many: bool = False
    """Whether UPDATE … RETURNING hands out rows, so that one statement may change many and tell what they are now."""
    row_locks: bool = True
    """Whether SELECT … FOR UPDATE locks the row."""
    lock_hint: str = ""
    """What is said at the table instead, where FOR UPDATE is not known."""
    narrow_texts: frozenset[str] = frozenset()
    """Text types that the driver's parameters are wider than: compared as they come, no index would be used (§3.9)."""
    long_texts: frozenset[str] = frozenset()
    """Text types that know LIKE, but neither equality nor order."""
    driver_limits: bool = False
    """Whether the driver enforces the time limit of a statement, since the database has none."""
    labels_columns: bool = False
    """Whether names in results stay within ASCII: no other can be read from SQLite's driver (see databases.odbc)."""
    single_writer: bool = False
    """Whether only one connection may write at a time."""
    like_signs: str = "%_"
    """What LIKE takes for something else than itself."""
    conversions: Mapping[Family, Converted] = field(default_factory=dict)
    """Families whose values SQL converts on their way to and from the driver."""
    text_cast: str = ""
    """The type that a parameter is cast to inside of a function, where the database does not infer one."""
    padded_cast: str = ""
    """The type that a parameter is cast to where it is compared with CHAR(n), if blanks count otherwise."""
    counting: tuple[str, str] | None = None
    """What is said before and after a statement so that it hands out how many rows it met; None where the driver tells.
    """
    pads_comparisons: bool = False
    """Whether = takes texts for equal that differ in blanks at their end only."""
    multirow_insert: bool = True
    """Whether INSERT … VALUES takes several rows."""
    lock_suffix: str = ""
    """What is said at the end of a SELECT instead of FOR UPDATE."""
    paging: Paging = "limit"
    savepoints: bool = True
    """Whether an export that fails can be undone alone in a transaction; where not, each has one of its own."""
    proves_writes: bool = False
    """Whether a write is undone where a value reads back as another: nobody told what the database does to it."""
    driver_from: str = ""
    """Where an administrator gets the ODBC driver from."""
    odbc_options: Mapping[str, str] = field(default_factory=dict)
    """Keywords that a driver needs to tell the truth; what the administrator writes goes before them. {ms} as above."""
    odbc_import_options: Mapping[str, str] = field(default_factory=dict)
    """More of them for an import: a cursor on the server, so that memory stays bounded (§3.2)."""


TEXT = Kind(Family.TEXT)
PADDED = Kind(Family.PADDED_TEXT)
DECIMAL = Kind(Family.DECIMAL)
SINGLE = Kind(Family.SINGLE)
DOUBLE = Kind(Family.DOUBLE)
BOOLEAN = Kind(Family.BOOLEAN)
MOMENT = Kind(Family.MOMENT)
NAIVE = Kind(Family.NAIVE_MOMENT)
DATE = Kind(Family.DATE)
TIME = Kind(Family.TIME)
UUID = Kind(Family.UUID)
BINARY = Kind(Family.BINARY)
UNKNOWN = Kind(Family.UNKNOWN)
MULTI = Kind(Family.MULTI_VALUED)


PLAIN = frozenset({Family.TEXT, Family.INTEGER, Family.DECIMAL})
"""What every driver of a typed database hands out as text, int and Decimal."""


def questions(prefix: str, **others: str) -> dict[str, str]:
    """Return the files of the catalogue that answer each question for a database."""
    return {
        question: others.get(question, f"{prefix}_{question}.sql")
        for question in ("columns", "keys", "relations", "checks", "triggers")
    }

"""Checks: everything about the database that an administrator can get wrong, each with the mend in words.

Writes nothing, and repeats no value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connector_host.connectors.contract import Mutability
from connector_host.connectors.errors import Denied
from connector_host.connectors.sql import anchors, datasource, privileges, queries, shapes, sources, views
from connector_host.connectors.sql.columns import Unfit
from connector_host.connectors.sql.engines import parse_url
from connector_host.connectors.sql.indexes import check_indexes
from connector_host.connectors.sql.predicates import is_folded
from connector_host.connectors.sql.sqlstate import to_error
from connector_host.databases.codes import Happened
from connector_host.databases.failures import Failure, understand
from connector_host.errors import ConfigurationError, Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.discovery import TableFacts
    from connector_host.connectors.sql.known import Known
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.settings import SqlSettings

ENCRYPTION = {
    "postgresql": "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mysql": "SHOW STATUS LIKE 'Ssl_cipher'",
    "oracle": "SELECT CASE sys_context('USERENV', 'NETWORK_PROTOCOL') WHEN 'tcps' THEN 1 ELSE 0 END FROM dual",
}
"""What tells whether the connection that asks is encrypted, in its last column."""

GRANTS = "Run what `connector-host grants` prints as an administrator of the database."

LOOPBACK = ("localhost", "127.0.0.1", "::1")

KNOWN_AS = {
    "postgresql": "postgresql+pyodbc",
    "mariadb": "mariadb+pyodbc",
    "mysql": "mysql",
    "sqlite": "sqlite+pyodbc",
    "microsoft sql server": "mssql",
    "oracle": "oracle",
    "db2": "db2",
}
"""How the URL begins for what an ODBC driver calls its database, as far as it begins so."""

SAMPLE_ROWS = 1_000
"""How many rows are looked at for values that their column's type does not allow."""


def check(engine: Engine, dialect: Dialect, settings: SqlSettings, known: Known) -> list[Finding]:
    """Return every finding about the database, the table and its columns; blocks."""
    found: list[Finding] = []
    try:
        for finding in _findings(engine, dialect, settings, known):
            found.append(finding)  # noqa: PERF402 - what was found before the database broke off counts
    except DBAPIError as error:
        found += _broken_off(found, understand(error, dialect.name), dialect, settings)
    except SQLAlchemyError:
        found.append(_unreachable(Happened.CONNECTION, dialect, settings))
    return found


def _findings(engine: Engine, dialect: Dialect, settings: SqlSettings, known: Known) -> Iterator[Finding]:
    with engine.connect() as connection:
        yield Finding(Level.OK, "database", "The database answers and accepts the login.")
        yield from _product(connection, dialect)
        yield from _encryption(connection, dialect)
        yield from _table(connection, dialect, settings, known)


def _broken_off(found: Sequence[Finding], failure: Failure, dialect: Dialect, settings: SqlSettings) -> list[Finding]:
    """Return what the error adds to what was found before it: nothing where the missing rights were named already."""
    if not found or failure.happened in (Happened.CONNECTION, Happened.CROWDED, Happened.LOGIN, Happened.NO_DRIVER):
        return [_unreachable(failure.happened, dialect, settings)]
    if failure.happened is Happened.DENIED:
        named = any(one.subject == "privileges" and one.level is Level.FAILURE for one in found)
        return [] if named else [Finding(Level.FAILURE, "privileges", "The login may not read the table.", GRANTS)]
    mend = "Check again; where it stays so, the log of the database tells more."
    return [Finding(Level.FAILURE, "database", str(to_error(failure)), mend)]


def _unreachable(happened: Happened, dialect: Dialect, settings: SqlSettings) -> Finding:
    match happened:
        case Happened.NO_DRIVER:
            return Finding(
                Level.FAILURE,
                "driver",
                "The ODBC driver or data source is not installed on this machine.",
                _no_driver(dialect, settings),
            )
        case Happened.CROWDED:
            return Finding(
                Level.FAILURE,
                "connections",
                "The database takes no more connections: its limit, or the login's, is reached.",
                "Raise the limit, close what others leave open, or lower `readers` and `writers`.",
            )
        case Happened.LOGIN:
            return Finding(
                Level.FAILURE,
                "login",
                "The database does not accept the login, or there is no such database.",
                "Check the user and the database in the URL, and the password where it is kept.",
            )
        case _:
            return Finding(
                Level.FAILURE,
                "database",
                "The database cannot be reached.",
                "Check host, port and path in the URL, that the server runs, and that a firewall lets it through.",
            )


def _no_driver(dialect: Dialect, settings: SqlSettings) -> str:
    """Return the mend, which is another one for whoever named a data source or a file than for who named a driver."""
    query = parse_url(settings.database, None).query
    if "dsn" in query:
        return (
            "Write ?dsn= as `odbcinst -q -s` spells it for the account that the host runs as (an ASCII name is the safe"
            f" one), and see that the driver that it names is there: {dialect.driver_from}."
        )
    if "filedsn" in query:
        return f"Install {dialect.driver_from}, or write DRIVER in the File DSN as `odbcinst -q -d` spells it."
    return f"Install {dialect.driver_from}, or write the driver's name in ?driver= as `odbcinst -q -d` spells it."


def _encryption(connection: Connection, dialect: Dialect) -> Iterator[Finding]:
    """Ask the server: a driver may pass over an option that it does not know (sql-connectors.md §3.3.15)."""
    asked = ENCRYPTION.get(dialect.name)
    if asked is None:
        return
    *_, answer = connection.execute(sa.text(asked)).one()
    host = connection.engine.url.host or _odbc_host(connection)
    if answer not in (None, "", False, 0, "0"):
        yield Finding(Level.OK, "encryption", "The connection to the database is encrypted.")
    elif host in LOOPBACK or not host:
        yield Finding(Level.OK, "encryption", "The connection is not encrypted, but does not leave this machine.")
    else:
        yield Finding(
            Level.WARNING,
            "encryption",
            "The connection to the database is not encrypted: passwords and personal data can be read on the way.",
            "Turn TLS on in the server, and demand it in the URL, such as ?sslmode=verify-full for PostgreSQL.",
        )


def _product(connection: Connection, dialect: Dialect) -> Iterator[Finding]:
    """Say so where a data source that the URL does not name is one of those of which more is known."""
    if dialect.catalogue:
        return
    product = datasource.product_of(connection)
    scheme = next((scheme for name, scheme in KNOWN_AS.items() if product.lower().startswith(name)), None)
    if scheme is not None:
        yield Finding(
            Level.WARNING,
            "database",
            f"It is {product}, whose types, keys, locks and limits are known here, and ODBC does not tell them.",
            f"Let the URL begin with {scheme}:// instead of odbc://.",
        )


def _odbc_host(connection: Connection) -> str:
    """Return the server that an ODBC connection string names."""
    found = re.search(r"(?:^|;)SERVER=([^;]*)", str(connection.engine.url.query.get("odbc_connect", "")))
    return found[1].strip("{}") if found else ""


def _table(connection: Connection, dialect: Dialect, settings: SqlSettings, known: Known) -> Iterator[Finding]:
    try:
        facts = sources.facts_of(connection, dialect, settings)
    except ConfigurationError as failure:
        subject, _, text = str(failure).partition(": ")
        mend = "Write the name as the database spells it." if subject == "table" else "Change it, and check again."
        yield Finding(Level.FAILURE, subject, text if settings.query else str(failure), mend)
        return
    except Denied:
        yield Finding(Level.FAILURE, "query", "The login may not read all that the query names.", GRANTS)
        return
    if settings.table is None:
        yield Finding(Level.OK, "query", f"It gives {len(facts.columns)} columns.")
    else:
        yield Finding(Level.OK, "table", f"{settings.table} has {len(facts.columns)} columns.")
    try:
        anchors.demand_transactions(facts)
        shape = shapes.build(facts, settings, dialect, known)
    except ConfigurationError as failure:
        subject, _, text = str(failure).partition(": ")
        yield Finding(Level.FAILURE, subject, text, "Change the configuration or the table, and check again.")
        return
    yield from _privileges(connection, shape, settings)
    yield from _lost(shape, settings)
    yield from _anchor(connection, shape, settings)
    yield from check_indexes(connection, shape, settings)
    yield from _columns(facts, shape, settings)
    yield from _changed(known, facts, shape)
    yield from _values(connection, shape)


def _privileges(connection: Connection, shape: Shape, settings: SqlSettings) -> Iterator[Finding]:
    if shape.is_query:
        yield Finding(Level.OK, "privileges", "The login may read all that the query names: it was run for no row.")
        yield from _own_statements(shape)
        return
    rights = privileges.held(connection, shape, settings)
    if rights is None:
        words = "This database has no privileges to check."
        if shape.dialect.name in ("odbc", "oracle", "db2"):
            who = "ODBC" if shape.dialect.name == "odbc" else "The catalogue that a login sees"
            needed = ", ".join(privileges.needed(shape, settings))
            words = f"{who} does not tell what the login may do: give it no more than {needed}."
        yield Finding(Level.OK, "privileges", words)
        return
    yield from _own_statements(shape)
    if rights.missing:
        words = ", ".join(rights.missing)
        yield Finding(Level.FAILURE, "privileges", f"The login may not {words}.", GRANTS)
    else:
        yield Finding(Level.OK, "privileges", "The login may do all that the mapping needs.")
    for words in rights.excess:
        mend = "Use a login of its own, with what `connector-host grants` prints and no more."
        yield Finding(Level.WARNING, "privileges", f"The login {words}.", mend)


def _own_statements(shape: Shape) -> Iterator[Finding]:
    """Say that nobody looked at the rights of the administrator's own statements."""
    if shape.scripts:
        keys = ", ".join(f"exports.{operation}" for operation in shape.scripts)
        words = f"What {keys} needs beyond this table is not looked at: a dry run tells whether the login may do it."
        yield Finding(Level.OK, "exports", words)


def _lost(shape: Shape, settings: SqlSettings) -> Iterator[Finding]:
    """Say what is mapped and left out by the administrator's own statements: a directory hears of success all the same.

    What is not mapped may well be computed.
    """
    for operation in ("create", "update"):
        if left_out := [name for name in _left_out(shape, operation) if name in settings.attributes]:
            yield Finding(
                Level.WARNING,
                f"exports.{operation}",
                f"Nothing in it stands for {', '.join(left_out)}: what a directory sends there is not kept.",
                "Pass it on as a parameter, or take it out of `attributes`.",
            )


def _left_out(shape: Shape, operation: str) -> list[str]:
    """Return what clients may write, and no parameter of the administrator's own statements stands for."""
    if operation not in shape.scripts:
        return []
    passed_on = frozenset[str]().union(*(script.passes_on for script in shape.scripts_of(operation).values()))
    return [
        name
        for name, column in shape.columns.items()
        if not (name in passed_on or column is shape.anchor or column.attribute.mutability is Mutability.READ_ONLY)
    ]


def _anchor(connection: Connection, shape: Shape, settings: SqlSettings) -> Iterator[Finding]:
    name = shape.object_type.anchor
    passed_over = views.passed_over(connection, shape, settings)
    if undone := [write for write in passed_over or () if write in shape.writes]:
        missing = " and ".join(f"exports.{shapes.OPERATIONS[write]}" for write in undone)
        yield Finding(
            Level.FAILURE,
            "view",
            f"The database cannot {', '.join(undone)} through the view {settings.table}.",
            "Serve the table behind it, give the view INSTEAD OF triggers where the database knows them, or write "
            f"statements of your own in {missing}.",
        )
    yield from _deferred(shape.facts)
    if shape.enforced:
        yield Finding(Level.OK, "anchor", f"{name} is unique and not null, and the database keeps it so.")
        return
    proof = anchors.prove(connection, shape)
    if not proof.holds:
        yield Finding(Level.FAILURE, "anchor", anchors.contradiction(shape, proof), "Mend the rows, then check again.")
        return
    what = "query" if shape.is_query else "view"
    yield Finding(
        Level.WARNING,
        "anchor",
        f"{name} is unique and not null in every row now, but the database does not keep it so.",
        f"Add a unique key on {name} and declare it NOT NULL."
        if passed_over is None and not shape.is_query
        else f"A {what} has no keys: make {name} unique and NOT NULL in the table behind it, and see that no join "
        "repeats a row of it.",
    )


def _deferred(facts: TableFacts) -> Iterator[Finding]:
    for key in facts.keys:
        if key.deferred:
            yield Finding(
                Level.WARNING,
                ", ".join(key.columns),
                f"The unique key {key.name} is DEFERRABLE: the database looks at it as late as at the commit, so that "
                "exports which share one have to be run again one by one to find the one that clashes.",
                "Make it NOT DEFERRABLE, unless another application needs it so.",
            )


def _columns(facts: TableFacts, shape: Shape, settings: SqlSettings) -> Iterator[Finding]:
    for column in facts.columns:
        own = column.facts
        if own.left_out:
            yield Finding(Level.WARNING, own.name, f"The column is left out: {own.left_out}.")
        if own.required and own.name not in shape.columns and "create" not in shape.scripts:
            yield Finding(
                Level.FAILURE,
                own.name,
                "The column is required and has no default, but is not exposed: no user can be created.",
                "Give it a default, let it be null, or expose it.",
            )
    for name in settings.attributes:
        if name not in shape.columns:
            yield Finding(
                Level.FAILURE,
                name,
                "It is mapped in [attributes], but is no exposed column of the table.",
                "Write the column as the database spells it, or take the line away.",
            )


def _changed(known: Known, facts: TableFacts, shape: Shape) -> Iterator[Finding]:
    exposed = {name: column for name, column in known.items() if name in shape.columns}
    for name in shapes.changed_types(exposed, facts):
        yield Finding(
            Level.WARNING,
            name,
            f"The type of the column has changed; it is still served as {shape.columns[name].attribute.type.value}.",
            "Run `connector-host check --accept-types` to accept the new type, or change the column back.",
        )


def _values(connection: Connection, shape: Shape) -> Iterator[Finding]:
    """Look at a sample of rows for values that cannot be read as the column's type."""
    unreadable: dict[str, int] = {}
    unfolded: set[str] = set()
    for row in queries.sample(connection, shape, SAMPLE_ROWS):
        for (name, column), raw in zip(shape.columns.items(), row, strict=True):
            try:
                if raw is not None:
                    column.codec.decode(raw)
            except Unfit:
                unreadable[name] = unreadable.get(name, 0) + 1
            if shape.dialect.name == "sqlite" and is_folded(column) and _has_other_letters(raw):
                unfolded.add(name)
    for name, count in unreadable.items():
        yield Finding(
            Level.WARNING,
            name,
            f"{count} of the first rows hold a value that the column's type does not allow; it reads as absent.",
            "Mend the rows, or change the type of the column.",
        )
    for name in sorted(unfolded):
        yield Finding(
            Level.WARNING,
            name,
            "It holds letters beyond ASCII, whose upper and lower case SQLite takes for different letters.",
            "Let the directory spell such values as the table does, or move the users to another database.",
        )


def _has_other_letters(raw: object) -> bool:
    return isinstance(raw, str) and any(not sign.isascii() and sign.lower() != sign.upper() for sign in raw)

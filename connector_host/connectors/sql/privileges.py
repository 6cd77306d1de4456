"""Privileges: what a connector needs of its login, what the login has, and the statements that grant the rest.

As far as the database tells without a write. Where the configuration names its columns, single columns are enough;
otherwise the whole table is needed, since columns that appear later are to be served, too. An operation that has
statements of the administrator's own needs no right to write the table; what those statements need is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import OID

from connector_host.connectors.sql.statements import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from connector_host.connectors.sql.shapes import Shape
    from connector_host.settings import SqlSettings

Right: TypeAlias = Literal["SELECT", "INSERT", "UPDATE", "DELETE"]

ORDINARY = frozenset[str](("SELECT", "INSERT", "UPDATE", "DELETE"))
"""Rights that are never too many: statements of one's own may need them on this very table."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a login has of what it needs, and what it has beside."""

    missing: tuple[str, ...]
    excess: tuple[str, ...]
    """Rights that nothing here needs, in words."""


def needed(shape: Shape, settings: SqlSettings) -> Mapping[Right, tuple[str, ...]]:
    """Return the rights that the mapping needs; the columns of each, none where it is the whole table."""
    wanted = _by_column(shape)
    return dict.fromkeys(wanted, ()) if settings.columns is None else wanted


def _by_column(shape: Shape) -> Mapping[Right, tuple[str, ...]]:
    """Return the columns that each right is needed on now; rights on all of them are enough."""
    exposed = shape.columns.values()
    written = tuple(column.attribute.name for column in exposed if not column.discovered.facts.always)
    # MariaDB wants INSERT on whatever RETURNING hands out, computed columns included.
    inserted = tuple(shape.columns) if shape.dialect.name == "mysql" else written
    wanted: dict[Right, tuple[str, ...]] = {
        "SELECT": tuple(shape.columns),
        "INSERT": inserted,
        "UPDATE": tuple(name for name in written if name != shape.object_type.anchor),
        "DELETE": (),
    }
    return {right: columns for right, columns in wanted.items() if right == "SELECT" or right in shape.writes}


# ── what the login has ────────────────────────────────────────────────────────────────────────────────────────────


def held(connection: Connection, shape: Shape, settings: SqlSettings) -> Rights | None:
    """Return what the login lacks and has too much; None where the database has no privileges."""
    wanted = _by_column(shape)
    match shape.dialect.name:
        case "postgresql":
            return _postgresql(connection, shape, settings, wanted)
        case "mysql":
            return _mysql(connection, settings, wanted)
        case "mssql":
            return _mssql(connection, shape, settings, wanted)
        case _:
            return None


def _postgresql(
    connection: Connection, shape: Shape, settings: SqlSettings, wanted: Mapping[Right, tuple[str, ...]]
) -> Rights:
    found = sa.text(
        "SELECT c.oid, r.rolsuper, r.rolcreaterole OR r.rolcreatedb AS creates, "
        "pg_has_role(c.relowner, 'USAGE') AS owns, has_table_privilege(c.oid, 'TRUNCATE') AS truncates "
        "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "JOIN pg_roles AS r ON r.rolname = current_user "
        "WHERE c.relname = :table AND n.nspname = coalesce(:schema, current_schema())"
    ).bindparams(
        sa.bindparam("table", settings.place, sa.String()),
        sa.bindparam("schema", settings.database_schema, sa.String()),
    )
    row = connection.execute(found).mappings().one()
    table = sa.cast(int(row["oid"]), OID)
    missing: list[str] = [
        right
        for right, columns in wanted.items()
        if not _true(connection.execute(sa.select(sa.func.has_table_privilege(table, right))).scalar())
        and not (columns and all(_may(connection, table, column, right) for column in columns))
    ]
    if "INSERT" in wanted:
        missing += [f"USAGE of {sequence}" for sequence in _denied_sequences(connection, shape)]
    excess = {
        "is a superuser": row["rolsuper"],
        "may create roles or databases": row["creates"],
        "owns the table, and so may alter and drop it": row["owns"],
        "may truncate the table": row["truncates"],
    }
    told = tuple(words for words, so in excess.items() if _true(so))
    return Rights(tuple(missing), told[:1] if _true(row["rolsuper"]) else told)


def _denied_sequences(connection: Connection, shape: Shape) -> list[str]:
    """Return the sequences of defaults that the login may not draw from: every insertion would fail."""
    defaults = (column.discovered.facts.default or "" for column in shape.columns.values())
    named = [found[1].replace("''", "'") for text in defaults if (found := _SEQUENCE.match(text))]
    may = sa.func.has_sequence_privilege(sa.bindparam("name", type_=sa.String()), sa.literal_column("'USAGE, UPDATE'"))
    return [name for name in named if not _true(connection.scalar(sa.select(may), {"name": name}))]


_SEQUENCE = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")
"""A default that draws from a sequence, as the catalogue spells it, with the name as it must be quoted."""


def _may(connection: Connection, table: sa.Cast[int], column: str, right: Right) -> bool:
    asked = sa.select(sa.func.has_column_privilege(table, sa.cast(column, sa.Text()), right))
    return _true(connection.execute(asked).scalar())


def _true(value: object) -> bool:
    return value in (True, 1, "1")


def _mysql(connection: Connection, settings: SqlSettings, wanted: Mapping[Right, tuple[str, ...]]) -> Rights:
    """Ask information_schema at its four levels; each row is about the session's own login or its roles."""
    names = {"schema": settings.database_schema, "table": settings.place}
    in_table = "table_schema = coalesce(:schema, database()) AND table_name = :table"
    levels = {
        "user_privileges": "1 = 1",
        "schema_privileges": "coalesce(:schema, database()) LIKE table_schema",
        "table_privileges": in_table,
    }
    granted = {
        level: {str(value).upper() for value in _asked(connection, "privilege_type", level, where, names)}
        for level, where in levels.items()
    }
    granted["role"], columns_of_roles = _of_roles(connection, settings)
    of_columns = columns_of_roles | {
        str(value) for value in _asked(connection, _PAIRS, "column_privileges", in_table, names)
    }
    everywhere = set().union(*granted.values())
    missing = [
        right
        for right, columns in wanted.items()
        if right not in everywhere and not (columns and all(f"{right} {column}" in of_columns for column in columns))
    ]
    beyond = sorted(everywhere - ORDINARY - {"USAGE"})
    excess = [f"has {len(beyond)} more rights, among them {', '.join(beyond[:3])}"] if beyond else []
    if granted["user_privileges"] & ORDINARY:
        excess.append("has rights on every database of the server")
    return Rights(tuple(missing), tuple(excess))


def _of_roles(connection: Connection, settings: SqlSettings) -> tuple[set[str], set[str]]:
    """Return the rights on the table, and on columns of it, by the roles that are enabled.

    information_schema has the login's own rights only; the server says the rest as statements.
    """
    if connection.dialect.name == "mariadb" or getattr(connection.dialect, "is_mariadb", False):
        if connection.scalar(sa.text("SELECT current_role()")) is None:
            return set(), set()
        statement = "SHOW GRANTS FOR CURRENT_ROLE"
    else:
        statement = "SHOW GRANTS"
    database = settings.database_schema or str(connection.scalar(sa.text("SELECT database()")))
    whole: set[str] = set()
    of_columns: set[str] = set()
    for line in connection.execute(sa.text(statement)).scalars():
        found = _GRANT.match(str(line))
        if found is None or not _is_about(found["database"], found["table"], database, settings.place):
            continue
        for right, columns in re.findall(r"([A-Z][A-Z ]+?)(?:\s*\(([^)]*)\))?(?:, |$)", found["rights"]):
            if columns:
                of_columns |= {f"{right} {column.strip('` ')}" for column in columns.split(",")}
            else:
                whole |= {"SELECT", "INSERT", "UPDATE", "DELETE"} if right.startswith("ALL") else {right}
    return whole, of_columns


_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON `?(?P<database>.+?)`?\.`?(?P<table>[^`]+?)`? TO ")


def _is_about(database: str, table: str, our_database: str, our_table: str) -> bool:
    """Return whether a grant covers the table; the name of a database is a pattern where no table is named."""
    if table != "*":
        return (database, table) == (our_database, our_table)
    pattern = re.escape(database).replace(r"\\_", "_").replace("%", ".*")
    return database == "*" or re.fullmatch(re.sub(r"(?<!\\)_", ".", pattern), our_database) is not None


def _mssql(
    connection: Connection, shape: Shape, settings: SqlSettings, wanted: Mapping[Right, tuple[str, ...]]
) -> Rights:
    """Ask HAS_PERMS_BY_NAME, for the table and, where the mapping names them, for each column."""
    quote = partial(quoted, connection)
    parts = (settings.database_schema, shape.table.name)
    table = ".".join(quote(part) for part in parts if part is not None)

    def may(right: Right, column: str | None = None) -> bool:
        place = (table, "OBJECT", right) if column is None else (table, "OBJECT", right, column, "COLUMN")
        return connection.scalar(sa.select(sa.func.has_perms_by_name(*place))) == 1

    missing = tuple(
        right
        for right, columns in wanted.items()
        if not may(right) and not (columns and all(may(right, column) for column in columns))
    )
    rules = connection.scalar(sa.text("SELECT is_srvrolemember('sysadmin')")) == 1
    owns = connection.scalar(sa.text("SELECT is_rolemember('db_owner')")) == 1
    excess = "is a member of sysadmin" if rules else "is a member of db_owner" if owns else ""
    return Rights(missing, (excess,) if excess else ())


_PAIRS = "concat(upper(privilege_type), ' ', column_name)"


def _asked(
    connection: Connection, what: str, level: str, where: str, names: Mapping[str, str | None]
) -> Sequence[object]:
    # Made of constants of this module alone.
    statement = f"SELECT {what} FROM information_schema.{level} WHERE {where}"  # noqa: S608
    known = {name: value for name, value in names.items() if f":{name}" in statement}
    return connection.execute(sa.text(statement), known).scalars().all()


BY_COLUMN: Mapping[str, tuple[Right, ...]] = {
    "postgresql": ("SELECT", "INSERT", "UPDATE"),
    "mysql": ("SELECT", "INSERT", "UPDATE"),
    "mssql": ("SELECT", "UPDATE"),
    "oracle": ("INSERT", "UPDATE"),
    "db2": ("UPDATE",),
}
"""Which rights each database grants on single columns; the others are on the whole table."""


# ── what grants it ────────────────────────────────────────────────────────────────────────────────────────────────


def grants(
    connection: Connection, shape: Shape, settings: SqlSettings, login: str, *, tracked: bool = False
) -> tuple[str, ...]:
    """Return the statements that give a login what the mapping needs and no more; empty where there are no rights.

    `tracked` is whether the database tracks the table's changes, so that an import by them is among what is needed.

    Names are quoted by SQLAlchemy's own rules for the database, whatever they hold.
    """
    quote = partial(quoted, connection)
    schema = settings.database_schema
    by_column = BY_COLUMN.get(shape.dialect.name, ())
    rights = ", ".join(
        f"{right} ({', '.join(quote(column) for column in columns)})" if columns and right in by_column else right
        for right, columns in needed(shape, settings).items()
    )
    match shape.dialect.name:
        case "postgresql":
            schema = schema or str(connection.scalar(sa.text("SELECT current_schema()")))
            table = f"{quote(schema)}.{quote(settings.place)}"
            sequences = [
                f"GRANT USAGE ON SEQUENCE {sequence} TO {quote(login)};"
                for sequence in _sequences(connection, table, shape)
                if "INSERT" in shape.writes
            ]
            return (
                f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(login)};",
                f"GRANT {rights} ON {table} TO {quote(login)};",
                *sequences,
            )
        case "mysql":
            schema = schema or str(connection.scalar(sa.text("SELECT database()")))
            spelled = account(connection, login)
            return (f"GRANT {rights} ON {quote(schema)}.{quote(settings.place)} TO {spelled};",)
        case "oracle":
            asked = sa.text("SELECT sys_context('USERENV', 'CURRENT_SCHEMA') FROM dual")
            schema = schema or str(connection.scalar(asked))
            return (f"GRANT {rights} ON {quote(schema)}.{quote(settings.place)} TO {quote(login)};",)
        case "db2":
            schema = schema or str(connection.scalar(sa.text("VALUES CURRENT SCHEMA"))).strip()
            return (f"GRANT {rights} ON TABLE {quote(schema)}.{quote(settings.place)} TO USER {quote(login)};",)
        case "mssql":
            schema = schema or str(connection.scalar(sa.text("SELECT schema_name()")))
            rights += ", VIEW CHANGE TRACKING" if tracked else ""
            return (f"GRANT {rights} ON {quote(schema)}.{quote(settings.place)} TO {quote(login)};",)
        case _:
            return ()


def account(connection: Connection, login: str) -> str:
    """Return an account of MySQL or MariaDB as GRANT wants it; the one that asks where no login is given."""
    whole = str(connection.scalar(sa.text("SELECT current_user()"))) if not login else f"{login}@%"
    name, _, host = whole.rpartition("@")
    return f"{_quoted_text(name)}@{_quoted_text(host)}"


def _sequences(connection: Connection, table: str, shape: Shape) -> list[str]:
    """Return the sequences behind serial columns, which need a right of their own; identity columns need none."""
    serial = [
        name for name, column in shape.columns.items() if (column.discovered.facts.default or "").startswith("nextval(")
    ]
    asked = sa.select(sa.func.pg_get_serial_sequence(sa.bindparam("table"), sa.bindparam("column")))
    found = (connection.scalar(asked, {"table": table, "column": name}) for name in serial)
    return [str(sequence) for sequence in found if sequence is not None]


def _quoted_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

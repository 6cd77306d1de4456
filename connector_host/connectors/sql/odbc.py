"""Any other DSN: SQLAlchemy dialects over pyodbc where it has none, and connection strings that quote rightly.

Registered with SQLAlchemy on import. pyodbc itself is imported only when an engine is made.
"""

from __future__ import annotations

import codecs
import configparser
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.connectors.pyodbc import PyODBCConnector
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from connector_host.errors import ConfigurationError
from connector_host.small_files import read_small

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL
    from sqlalchemy.engine.interfaces import DBAPIConnection

DEFAULT_ODBC_DRIVERS: Mapping[str, str] = {
    "sqlite": "SQLite3",
    "postgresql": "PostgreSQL Unicode",
    "mariadb": "MariaDB Unicode",
    "mysql": "MariaDB Unicode",
    "mssql": "ODBC Driver 18 for SQL Server",
    "db2": "IBM DB2 ODBC DRIVER",
}


class PostgreSQLOverODBC(PyODBCConnector, PGDialect):
    """PostgreSQL through psqlODBC; only its Unicode driver works with pyodbc (sql-connectors.md §3.3.7)."""

    supports_statement_cache = True
    supports_sane_multi_rowcount = False
    pyodbc_driver_name = "PostgreSQL Unicode"

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:  # noqa: ANN401 - SQLAlchemy's signature
        # Numbers, since PyODBCConnector's way does not parse psqlODBC's words.
        number = int(connection.exec_driver_sql("SHOW server_version_num").scalar())
        return number // 10_000, number % 10_000


class SQLiteOverODBC(PyODBCConnector, SQLiteDialect):
    """SQLite through its ODBC driver, which is left in autocommit: BEGIN and COMMIT are said by us."""

    supports_statement_cache = True
    insert_returning = False
    update_returning = False
    delete_returning = False
    pyodbc_driver_name = "SQLite3"

    def __init__(self, dbapi: Any = None, **options: Any) -> None:  # noqa: ANN401 - SQLAlchemy's signature
        # The base dialect would ask the module for SQLite's version, which only the standard library's knows.
        super().__init__(dbapi=None, **{"paramstyle": "qmark", **options})
        self.dbapi = dbapi

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:  # noqa: ANN401 - SQLAlchemy's signature
        text = connection.exec_driver_sql("SELECT sqlite_version()").scalar()
        return tuple(int(part) for part in str(text).split("."))

    def do_commit(self, dbapi_connection: DBAPIConnection) -> None:
        """End the transaction that `BEGIN` began."""
        _say(dbapi_connection, "COMMIT")

    def do_rollback(self, dbapi_connection: DBAPIConnection) -> None:
        """Undo the transaction where one is open; SQLite may have ended it by itself."""
        try:
            _say(dbapi_connection, "ROLLBACK")
        except self.loaded_dbapi.Error as failure:
            if "no transaction is active" not in str(failure):
                raise


def _say(connection: Any, statement: str) -> None:  # noqa: ANN401 - the driver's door
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()


registry.register("postgresql.pyodbc", __name__, "PostgreSQLOverODBC")
registry.register("sqlite.pyodbc", __name__, "SQLiteOverODBC")


def driver_url(url: URL, options: Mapping[str, str]) -> URL:
    """Return the URL with everything in one ODBC connection string, which is quoted as ODBC wants it.

    `?driver=` names the ODBC driver, other query keys are its keywords; `?dsn=` names a data source instead, and
    `?filedsn=` a file that describes one. What the URL says goes before what the file says.
    """
    backend = url.get_backend_name()
    query = {key: str(value) for key, value in url.query.items()}
    if "odbc_connect" in query:
        raise ConfigurationError("database: write the parts of odbc_connect as keys of the URL's query instead.")
    parts: dict[str, str] = {}
    if "dsn" in query:
        parts["DSN"] = query.pop("dsn")
    elif "filedsn" in query:
        parts |= read_file_dsn(Path(query.pop("filedsn")))
    else:
        parts["DRIVER"] = query.pop("driver", DEFAULT_ODBC_DRIVERS.get(backend, ""))
        if not parts["DRIVER"]:
            raise ConfigurationError(
                "database: name the data source: ?dsn= as `odbcinst -q -s` spells it, ?filedsn= and a path, or ?driver="
                " as `odbcinst -q -d` spells it, with the driver's own keywords behind."
            )
    named = {"SERVER": url.host, "PORT": url.port, "DATABASE": url.database, "UID": url.username, "PWD": url.password}
    parts |= {key: str(value) for key, value in named.items() if value}
    if backend == "db2" and "SERVER" in parts:
        parts["HOSTNAME"] = parts.pop("SERVER")
    if backend == "mssql" and "PORT" in parts:
        parts["SERVER"] = f"{parts.get('SERVER', 'localhost')},{parts.pop('PORT')}"
    given = {key.upper() for key in (*query, *parts)}
    parts |= {key: value for key, value in options.items() if key.upper() not in given}
    parts |= query
    text = ";".join(f"{key}={quoted(value)}" for key, value in parts.items())
    extra = {"autocommit": "true"} if backend == "sqlite" else {}
    return url.set(
        host=None, port=None, database=None, username=None, password=None, query={"odbc_connect": text, **extra}
    )


def read_file_dsn(path: Path) -> dict[str, str]:
    """Return the keywords of a File DSN, written in UTF-8 or UTF-16 as Windows and its tools do.

    unixODBC reads neither UTF-16 nor a byte order mark, so the file is read here. Raises ConfigurationError.
    """
    try:
        content = read_small(path)
    except OSError as failure:
        raise ConfigurationError(f"database: the File DSN {path} cannot be read ({failure.strerror}).") from failure
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    parser = configparser.RawConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
    try:
        parser.read_string(content.decode("utf-16" if is_wide else "utf-8-sig"))
        section = parser["ODBC"]
    except (UnicodeDecodeError, configparser.Error, KeyError):
        raise ConfigurationError(f"database: the File DSN {path} has no section [ODBC] with keywords.") from None
    return {key.upper(): value.strip("{}") for key, value in section.items()}


def quoted(value: str) -> str:
    """Return a value for an ODBC connection string: `a;b}c` becomes `{a;b}}c}` (sql-connectors.md §3.3.18)."""
    if re.fullmatch(r"[\w./:@+-]*( [\w./:@+-]+)*", value):
        return value
    return "{" + value.replace("}", "}}") + "}"

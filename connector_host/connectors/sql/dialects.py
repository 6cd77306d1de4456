"""Which facts go with a database URL, and which package brings the driver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connector_host.connectors.sql.databases.anyodbc import ANYODBC
from connector_host.connectors.sql.databases.db2 import DB2
from connector_host.connectors.sql.databases.mssql import MSSQL
from connector_host.connectors.sql.databases.mysql import MARIADB, MARIADB_ODBC, MYSQL
from connector_host.connectors.sql.databases.oracle import ORACLE
from connector_host.connectors.sql.databases.postgresql import POSTGRESQL, POSTGRESQL_ODBC
from connector_host.connectors.sql.databases.sqlite import SQLITE, SQLITE_ODBC
from connector_host.connectors.sql.dialect import BOOLEAN, MULTI, UNKNOWN
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

    from connector_host.connectors.sql.columns import Kind
    from connector_host.connectors.sql.dialect import Dialect

DIALECTS: Mapping[tuple[str, str], Dialect] = {
    ("sqlite", "pysqlite"): SQLITE,
    ("sqlite", "pyodbc"): SQLITE_ODBC,
    ("postgresql", "psycopg"): POSTGRESQL,
    ("postgresql", "pyodbc"): POSTGRESQL_ODBC,
    ("mysql", "pymysql"): MYSQL,
    ("mariadb", "pymysql"): MARIADB,
    ("mariadb", "pyodbc"): MARIADB_ODBC,
    ("mssql", "pyodbc"): MSSQL,
    ("oracle", "oracledb"): ORACLE,
    ("db2", "pyodbc"): DB2,
    ("odbc", "pyodbc"): ANYODBC,
}

DEFAULT_DRIVERS: Mapping[str, str] = {
    "sqlite": "pysqlite",
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "mssql": "pyodbc",
    "oracle": "oracledb",
    "db2": "pyodbc",
    "odbc": "pyodbc",
}

PACKAGES: Mapping[str, str] = {
    "psycopg": "psycopg[binary]",
    "pymysql": "pymysql",
    "pyodbc": "pyodbc",
    "oracledb": "oracledb",
}
"""Which package brings a driver."""


def dialect_of(url: URL) -> Dialect:
    """Return the facts for a database URL; raise ConfigurationError that names the forms that are served."""
    backend = url.get_backend_name()
    driver = driver_of(url)
    try:
        return DIALECTS[backend, driver]
    except KeyError:
        served = ", ".join(f"{name}+{by}" for name, by in DIALECTS)
        raise ConfigurationError(f"database: {backend}+{driver} is not served; use one of {served}.") from None


def driver_of(url: URL) -> str:
    """Return the driver that a database URL names, or the one that we choose for its kind of database."""
    _, plus, driver = url.drivername.partition("+")
    return driver if plus else DEFAULT_DRIVERS.get(url.get_backend_name(), "")


def kind_of(dialect: Dialect, declared: str) -> Kind:
    """Return the kind of a declared type; arguments and array brackets are looked at, too."""
    spelled = re.sub(r"\s+", " ", declared.strip().lower())
    if spelled.endswith("[]"):
        return MULTI
    if dialect.name == "mysql" and spelled in ("tinyint(1)", "bit(1)"):
        return BOOLEAN
    plain = re.sub(r"\s*\([^)]*\)", "", spelled).removesuffix(" zerofill").strip()
    return dialect.types.get(plain, UNKNOWN)

"""Where the conformance suite runs: each database natively and over ODBC, with one table of users that is alike."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from connector_host.connectors.registry import open_connector
from connector_host.settings import SqlSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connector_host.connectors.contract import Connector
    from tests.servers import DatabaseServer

Database = Literal["sqlite", "postgresql", "mariadb"]
Driver = Literal["native", "odbc", "any"]
"""Natively, over ODBC, or over ODBC without a word about which database it is."""

MATRIX: tuple[tuple[Database, Driver], ...] = (
    ("sqlite", "native"),
    ("postgresql", "native"),
    ("mariadb", "native"),
    ("sqlite", "odbc"),
    ("postgresql", "odbc"),
    ("mariadb", "odbc"),
)
UNNAMED: tuple[tuple[Database, Driver], ...] = (("sqlite", "any"), ("postgresql", "any"), ("mariadb", "any"))
"""Data sources of which the connector is not told what they are."""

ODBC_DRIVERS: dict[str, str] = {
    "sqlite": "SQLite3",
    "postgresql": "PostgreSQL Unicode",
    "mariadb": "MariaDB Unicode",
}

EMPLOYEES: dict[Database, str] = {
    "sqlite": """
        CREATE TABLE "Employees" (
            "Login" varchar(20) NOT NULL UNIQUE,
            "Email" varchar(60) UNIQUE,
            "Name" varchar(40) NOT NULL,
            "Number" integer,
            "Salary" decimal(10, 2),
            "Active" boolean NOT NULL DEFAULT 1,
            "Hired" datetime,
            "Born" date,
            "Guid" uuid,
            "Status" varchar(8) NOT NULL DEFAULT 'new' CHECK ("Status" IN ('new', 'known')),
            "Shout" varchar(40) GENERATED ALWAYS AS (upper("Name")) STORED,
            "Photo" blob
        )""",
    "postgresql": """
        CREATE TABLE "Employees" (
            "Login" varchar(20) NOT NULL UNIQUE,
            "Email" varchar(60) UNIQUE,
            "Name" varchar(40) NOT NULL,
            "Number" integer,
            "Salary" numeric(10, 2),
            "Active" boolean NOT NULL DEFAULT true,
            "Hired" timestamptz,
            "Born" date,
            "Guid" uuid,
            "Status" varchar(8) NOT NULL DEFAULT 'new' CHECK ("Status" IN ('new', 'known')),
            "Shout" varchar(40) GENERATED ALWAYS AS (upper("Name")) STORED,
            "Photo" bytea
        )""",
    "mariadb": """
        CREATE TABLE `Employees` (
            `Login` varchar(20) NOT NULL UNIQUE,
            `Email` varchar(60) UNIQUE,
            `Name` varchar(40) NOT NULL,
            `Number` integer,
            `Salary` decimal(10, 2),
            `Active` tinyint(1) NOT NULL DEFAULT 1,
            `Hired` datetime(6),
            `Born` date,
            `Guid` uuid,
            `Status` varchar(8) NOT NULL DEFAULT 'new' CHECK (`Status` IN ('new', 'known')),
            `Shout` varchar(40) GENERATED ALWAYS AS (upper(`Name`)) STORED,
            `Photo` blob
        ) ENGINE=InnoDB""",
}

ATTRIBUTES = ["Login", "Email", "Name", "Number", "Salary", "Active", "Hired", "Born", "Guid", "Status", "Shout"]


@dataclass
class Platform:
    """One database, one driver, and an administrator's own way to it that does not pass through our code."""

    database: Database
    driver: Driver
    url: str
    password: str | None
    file: Path | None = None
    server: DatabaseServer | None = None
    server_database: str = ""

    def execute(self, *statements: str) -> list[Sequence[Any]]:
        """Run statements, each committed at once, and return the rows of the last one."""
        connection = self.connect()
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(self.spelled(statement))
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def connect(self) -> Any:
        """Return a connection of the native driver that commits each statement."""
        if self.file is not None:
            return sqlite3.connect(self.file, isolation_level=None, timeout=20)
        assert self.server is not None
        return self.server.connect(self.server_database)

    def spelled(self, statement: str) -> str:
        """Return a statement with its quoted names as this database wants them."""
        return statement.replace('"', "`") if self.database == "mariadb" else statement

    def settings(self, **changes: Any) -> SqlSettings:
        """Return the settings of a connector over the table of users."""
        given = {"database": self.url, "password": self.password, "table": "Employees", "anchor": "Login", **changes}
        if self.driver == "any" and self.database == "mariadb":
            # ODBC says of tinyint(1) that it is a number.
            given["column"] = {"Active": {"true": "1", "false": "0"}} | given.get("column", {})
        return SqlSettings.model_validate(given)

    def open(self, **changes: Any) -> Connector:
        """Return a connector over the table of users."""
        return open_connector("HR", self.settings(**changes))

    @property
    def employees(self) -> str:
        """The statement that makes the table of users."""
        if self.driver != "any":
            return EMPLOYEES[self.database]
        # Of unique keys, ODBC vouches for the primary one alone, and it does not tell the zone of a moment.
        table = EMPLOYEES[self.database].replace("NOT NULL UNIQUE", "NOT NULL PRIMARY KEY")
        return table.replace("timestamptz", "timestamp")

    def only(self, *databases: Database) -> None:
        """Skip the test where the behaviour is another database's."""
        if self.database not in databases:
            pytest.skip(f"is about {' and '.join(databases)}")


def on_file(path: Path, driver: Driver) -> Platform:
    """Return SQLite on an empty file."""
    sqlite3.connect(path).close()
    path.touch()
    scheme = {"native": "sqlite", "odbc": "sqlite+pyodbc", "any": "odbc"}[driver]
    query = "?driver=SQLite3" if driver == "any" else ""
    return Platform("sqlite", driver, f"{scheme}:///{path}{query}", None, file=path)


def on_server(server: DatabaseServer, driver: Driver, database: str) -> Platform:
    """Return a fresh database of a server."""
    scheme = {
        ("postgresql", "native"): "postgresql",
        ("postgresql", "odbc"): "postgresql+pyodbc",
        ("mariadb", "native"): "mariadb",
        ("mariadb", "odbc"): "mariadb+pyodbc",
    }.get((server.name, driver), "odbc")
    query = f"?driver={ODBC_DRIVERS[server.name].replace(' ', '+')}" if driver == "any" else ""
    if (server.name, driver) == ("mariadb", "native"):
        # PyMySQL reads all authorities of the machine for each connection that may use TLS: 30 ms.
        query = "?ssl_disabled=true"
    url = f"{scheme}://{server.user}@{server.host}:{server.port}/{database}{query}"
    return Platform(server.name, driver, url, server.password, server=server, server_database=database)

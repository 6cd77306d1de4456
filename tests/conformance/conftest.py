"""The platforms of the conformance suite, and a connector over a fresh table on each."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conformance.platforms import MATRIX, ODBC_DRIVERS, Platform, on_file, on_server
from tests.conftest import absent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from connector_host.connectors.contract import Connector


@pytest.fixture(scope="module", params=MATRIX, ids=["-".join(pair) for pair in MATRIX])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    yield from opened(request, tmp_path_factory)


def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Give the platform that the parameter of a fixture names."""
    database, driver = request.param
    if driver != "native":
        demand_odbc(database, request.config)
    if database == "sqlite":
        folder = tmp_path_factory.mktemp("sqlite")
        yield on_file(folder / "hr.db", driver)
        shutil.rmtree(folder)
        return
    server = request.getfixturevalue(f"{database}_server")
    yield on_server(server, driver, server.database())


def demand_odbc(database: str, config: pytest.Config) -> None:
    """Skip where unixODBC or the database's driver is not installed."""
    wanted = ODBC_DRIVERS[database]
    try:
        import pyodbc
    except ImportError as missing:
        absent(f"pyodbc cannot be loaded ({missing})", "odbc", config)
    if wanted not in pyodbc.drivers():
        absent(f"the ODBC driver {wanted} is not installed", f"odbc-{database}", config)


@pytest.fixture
def employees(platform: Platform) -> Platform:
    """The platform with an empty table of users."""
    cascade = " CASCADE" if platform.database == "postgresql" else ""
    platform.execute(f'DROP TABLE IF EXISTS "Employees"{cascade}', platform.employees)
    return platform


@pytest.fixture
async def connector(employees: Platform) -> AsyncIterator[Connector]:
    opened = employees.open()
    yield opened
    await opened.close()


@pytest.fixture
def poor(employees):
    """A login without any right, and a function that opens a connector with it."""
    employees.only("postgresql", "mariadb")
    identified = "PASSWORD" if employees.database == "postgresql" else "IDENTIFIED BY"
    employees.execute(f"CREATE USER poor {identified} 'poor'")
    yield lambda **changes: employees.open(database=employees.url.replace("scim@", "poor@"), password="poor", **changes)
    employees.execute(*(["DROP OWNED BY poor"] if employees.database == "postgresql" else []), "DROP USER poor")

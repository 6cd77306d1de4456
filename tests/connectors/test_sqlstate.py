"""A driver's failure reaches its caller as what it means, not as what it is called (sql-connectors.md §3.6)."""

from __future__ import annotations

import sqlite3

import psycopg
import pymysql
import pytest
from sqlalchemy.exc import DBAPIError

from connector_host.connectors.errors import Busy, Conflict, Denied, InvalidValue, Unavailable
from connector_host.connectors.sql.sqlstate import OF_THE_SYSTEM, OF_VALUES, to_error
from connector_host.databases.codes import CODES, Happened
from connector_host.databases.failures import understand


class Psycopg2(Exception):
    """Keeps the SQLSTATE where psycopg2.Error does."""

    pgcode = "42P01"


def wrapped(origin):
    return DBAPIError("SELECT 1", {}, origin)


class Odbc(Exception):
    """Has the arguments of pyodbc.Error, whose class tells nothing either."""


@pytest.mark.parametrize(
    ("database", "origin", "happened"),
    [
        ("mysql", pymysql.err.OperationalError(1213, "Deadlock found"), Happened.DEADLOCK),
        ("mysql", pymysql.err.OperationalError(1364, "Field 'x' doesn't have a default value"), Happened.NOT_NULL),
        ("mysql", pymysql.err.InternalError(1205, "Lock wait timeout"), Happened.LOCKED),
        ("mysql", pymysql.err.DataError(1406, "Data too long"), Happened.BAD_VALUE),
        ("mysql", pymysql.err.OperationalError(2013, "Lost connection"), Happened.CONNECTION),
        ("mysql", pymysql.err.OperationalError(1045, "Access denied"), Happened.LOGIN),
        ("mysql", Odbc("40001", "[40001] [ma-3][10.11] Deadlock found (1213) (SQLExecDirectW)"), Happened.DEADLOCK),
        ("mysql", Odbc("HY000", "[HY000] Lost connection (2013) (SQLExecDirectW)"), Happened.CONNECTION),
        (
            "mysql",
            Odbc("23000", "[23000] Duplicate entry 'x (2013)' for key 'k' (1062) (SQLExecDirectW)"),
            Happened.UNIQUE,
        ),
        (
            "mysql",
            Odbc("23000", "[23000] Duplicate entry 'x\n(1213) (SQLMind)' for key 'k' (1062) (SQLExecDirectW)"),
            Happened.UNIQUE,
        ),
        (
            "mysql",
            Odbc("22003", "[22003] Out of range value for column 'id' (167) (SQLExecDirectW)"),
            Happened.EXHAUSTED,
        ),
        ("mysql", Odbc("45000", "[45000] not (2013) so (1644) (SQLExecDirectW)"), Happened.RULE),
        ("postgresql", Odbc("P0001", "[P0001] ERROR: connection lost;\nError (1) (SQLExecDirectW)"), Happened.RULE),
        ("postgresql", Odbc("22P02", '[22P02] ERROR: invalid input: "server has gone away"'), Happened.BAD_VALUE),
        ("postgresql", Psycopg2('relation "x" does not exist'), Happened.SCHEMA),
        ("postgresql", psycopg.DataError("time not supported by Python: hour 24"), Happened.OTHER),
        ("postgresql", psycopg.OperationalError("server closed the connection unexpectedly"), Happened.CONNECTION),
        ("postgresql", Odbc("XX000", "[XX000] ERROR: connection lost"), Happened.OTHER),
        ("postgresql", Odbc("40P01", "[40P01] ERROR: deadlock detected"), Happened.DEADLOCK),
        ("postgresql", Odbc("23505", '[23505] ERROR: duplicate key "k"'), Happened.UNIQUE),
        ("postgresql", Odbc("HY000", "[HY000] internal SAVEPOINT failed (8)"), Happened.CONNECTION),
        ("postgresql", Odbc("08001", "[08001] FATAL:  password authentication failed"), Happened.LOGIN),
        ("postgresql", Odbc("08001", "[08001] FATAL:  sorry, too many clients already"), Happened.CROWDED),
        ("mysql", pymysql.err.OperationalError(1040, "Too many connections"), Happened.CROWDED),
        ("postgresql", Odbc("08001", "[08001] fe_sendauth: no password supplied"), Happened.LOGIN),
        ("postgresql", Odbc("08001", '[08001] FATAL:  role "x" is not permitted to log in'), Happened.LOGIN),
        ("postgresql", Odbc("08006", "[08006] authentication failed, said the user"), Happened.CONNECTION),
        ("postgresql", Odbc("08001", "[08001] could not connect to server"), Happened.CONNECTION),
        ("sqlite", Odbc("HY000", "[HY000] UNIQUE constraint failed: t.a (19)"), Happened.UNIQUE),
        ("sqlite", Odbc("HY000", "[HY000] database is locked (5)"), Happened.LOCKED),
        ("sqlite", Odbc("HY000", "[HY000] [SQLite]database is locked (19) (19) (SQLExecDirectW)"), Happened.RULE),
        ("sqlite", Odbc("HY000", "[HY000] [SQLite]no such table: t (1) (1) (SQLExecDirectW)"), Happened.SCHEMA),
        ("sqlite", sqlite3.OperationalError("interrupted"), Happened.TIME_LIMIT),
    ],
)
def test_the_code_decides_and_never_the_class(database, origin, happened):
    assert understand(wrapped(origin), database).happened is happened


def test_every_meaning_has_an_error():
    special = {Happened.UNIQUE, Happened.COMPUTED, Happened.OTHER}
    assert special | set(OF_VALUES) | set(OF_THE_SYSTEM) == set(Happened)
    assert {happened for table in CODES.values() for happened in table.values()} <= set(Happened)


@pytest.mark.parametrize(
    ("code", "error"),
    [(1062, Conflict), (1213, Busy), (1205, Busy), (2006, Unavailable), (1142, Denied), (1406, InvalidValue)],
)
def test_a_meaning_becomes_the_error_that_says_whether_to_retry(code, error):
    failure = to_error(understand(wrapped(pymysql.err.MySQLError(code, "words 's3cr3t'")), "mysql"))
    assert type(failure) is error
    assert failure.retry is issubclass(error, Unavailable)
    assert "s3cr3t" not in str(failure)

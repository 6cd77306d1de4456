"""What Oracle and DB2 say when they refuse something, and which packages bring the drivers.

Codes and SQLSTATEs are those of the vendors' references; most texts around them are shortened or put in our own words,
so nothing here may depend on more of a text than its code and the names that it quotes.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import oracledb
import pytest
from oracledb.errors import _Error
from sqlalchemy.exc import DBAPIError

from connector_host.connectors.errors import Conflict, InvalidValue
from connector_host.connectors.registry import list_relations
from connector_host.connectors.sql.checks import check
from connector_host.connectors.sql.dialects import DEFAULT_DRIVERS, dialect_of
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.connectors.sql.sqlstate import to_error
from connector_host.databases.codes import Happened
from connector_host.databases.failures import understand
from connector_host.errors import ConfigurationError
from connector_host.settings import SqlSettings
from tests.connectors.test_compiled import Described


class Odbc(Exception):
    """Has the arguments of pyodbc.Error."""


def oracle(text):
    """Return an error as oracledb raises it."""
    return DBAPIError("", {}, oracledb.DatabaseError(_Error(message=text)))


def db2(state, text):
    return DBAPIError("", {}, Odbc(state, f"[{state}] [IBM][CLI Driver][DB2/LINUXX8664] {text} (-1) (SQLExecDirectW)"))


DUPLICATE = (
    "SQL0803N  One or more values in the INSERT statement, UPDATE statement, or foreign key update caused by a DELETE "
    'statement are not valid because the primary key, unique constraint or unique index identified by "{}" constrains '
    'table "HR.EMPLOYEES" from having duplicate values for the index key.  SQLSTATE=23505'
)


@pytest.mark.parametrize(
    ("text", "happened", "names"),
    [
        ("ORA-00001: unique constraint (HR.UQ_LOGIN) violated", Happened.UNIQUE, ("UQ_LOGIN",)),
        ("ORA-00001: 违反唯一约束条件 (HR.UQ_LOGIN)", Happened.UNIQUE, ("UQ_LOGIN",)),
        (
            "ORA-00001: unique constraint (HR.UQ) violated on table HR.E columns (LOGIN)\nORA-03301: (LOGIN:'x')",
            Happened.UNIQUE,
            ("UQ",),
        ),
        (
            'ORA-01400: cannot insert NULL into ("HR"."EMPLOYEES"."NAME")',
            Happened.NOT_NULL,
            ("NAME", "EMPLOYEES", "HR"),
        ),
        (
            'ORA-12899: value too large for column "HR"."EMPLOYEES"."NAME" (actual: 30, maximum: 20)',
            Happened.BAD_VALUE,
            ("NAME", "EMPLOYEES", "HR"),
        ),
        ("ORA-02290: check constraint (HR.CK_STATUS) violated", Happened.CHECK, ("CK_STATUS",)),
        ("ORA-02291: integrity constraint (HR.FK_TEAM) violated - parent key not found", Happened.FOREIGN_KEY, None),
        ("ORA-00060: deadlock detected while waiting for resource", Happened.DEADLOCK, None),
        ("ORA-08177: can't serialize access for this transaction", Happened.DEADLOCK, None),
        ("ORA-30006: resource busy; acquire with WAIT timeout expired", Happened.LOCKED, None),
        ("DPY-4024: call timeout of 5000 ms exceeded", Happened.TIME_LIMIT, None),
        ("DPY-4011: the database or network closed the connection", Happened.CONNECTION, None),
        ("ORA-03113: end-of-file on communication channel", Happened.CONNECTION, None),
        ("ORA-01017: invalid username/password; logon denied", Happened.LOGIN, None),
        ("ORA-01031: insufficient privileges", Happened.DENIED, None),
        ("ORA-00942: table or view does not exist", Happened.SCHEMA, None),
        ("ORA-32795: cannot insert into a generated always identity column", Happened.COMPUTED, None),
        ("ORA-20017: no users on Sundays (2291)\nORA-06512: at HR.T, line 3", Happened.RULE, None),
        ("ORA-08004: sequence HR.S.NEXTVAL exceeds MAXVALUE and cannot be instantiated", Happened.EXHAUSTED, None),
        ("ORA-64603: NEXTVAL cannot be instantiated for S", Happened.EXHAUSTED, None),
        ("ORA-01653: unable to extend table HR.EMPLOYEES by 8 in tablespace USERS", Happened.FULL, None),
    ],
)
def test_oracles_code_decides_and_its_constraint_is_named(text, happened, names):
    failure = understand(oracle(text), "oracle")
    assert failure.happened is happened
    assert names is None or failure.names == names


@pytest.mark.parametrize(
    ("state", "text", "happened"),
    [
        ("23505", DUPLICATE.format("2"), Happened.UNIQUE),
        ("23502", "SQL0407N  Assignment of a NULL value is not allowed.  SQLSTATE=23502", Happened.NOT_NULL),
        ("23503", "SQL0530N  The value of the FOREIGN KEY is not equal.  SQLSTATE=23503", Happened.FOREIGN_KEY),
        ("23513", 'SQL0545N  The check constraint "HR.EMPLOYEES.CK" is not satisfied.  SQLSTATE=23513', Happened.CHECK),
        ("22001", 'SQL0433N  Value "x" is too long.  SQLSTATE=22001', Happened.BAD_VALUE),
        ("40001", 'SQL0911N  Rolled back. Reason code "2".  SQLSTATE=40001', Happened.DEADLOCK),
        ("57033", "SQL0913N  Caused by deadlock or timeout.  SQLSTATE=57033", Happened.LOCKED),
        ("57014", "SQL0952N  Processing was cancelled.  SQLSTATE=57014", Happened.TIME_LIMIT),
        ("08001", "SQL30081N  A communication error.  SQLSTATE=08001", Happened.CONNECTION),
        ("55032", "SQL1224N  No new requests are accepted.  SQLSTATE=55032", Happened.CONNECTION),
        ("42501", "SQL0551N  The authorization ID lacks it.  SQLSTATE=42501", Happened.DENIED),
        ("42704", 'SQL0204N  "HR.EMPLOYEES" is an undefined name.  SQLSTATE=42704', Happened.SCHEMA),
        ("57011", "SQL0964C  The transaction log is full.  SQLSTATE=57011", Happened.FULL),
        ("428C9", "SQL0798N  No value for a generated column.  SQLSTATE=428C9", Happened.COMPUTED),
        ("23522", "SQL0359N  The range of values is exhausted.  SQLSTATE=23522", Happened.EXHAUSTED),
        ("75001", 'SQL0438N  Application raised error with diagnostic text: "no".  SQLSTATE=75001', Happened.RULE),
        ("HYT00", "CLI0125E  Timeout expired.  SQLSTATE=HYT00", Happened.TIME_LIMIT),
    ],
)  # fmt: skip
def test_db2s_state_decides(state, text, happened):
    assert understand(db2(state, text), "db2").happened is happened


def test_a_login_that_db2_turns_away_is_told_by_its_message_alone():
    """Said by IBM's driver here, to a server of another kind: its SQLSTATE is that of a lost connection."""
    text = (
        '[08001] [IBM][CLI Driver] SQL30082N  Security processing failed with reason "17" ("UNSUPPORTED FUNCTION").  '
        "SQLSTATE=08001\n (-30082) (SQLDriverConnect)"
    )
    assert understand(DBAPIError("", {}, Odbc("08001", text)), "db2").happened is Happened.LOGIN


def test_a_clash_on_db2_is_named_by_the_number_of_the_index():
    facts = Described("db2").shape("Login").facts
    keys = tuple(SimpleNamespace(name="2", columns=key.columns, primary=False) for key in facts.keys[1:])
    numbered = SimpleNamespace(columns=facts.columns, checks={}, keys=keys)
    error = to_error(understand(db2("23505", DUPLICATE.format("2")), "db2"), numbered)
    assert isinstance(error, Conflict)
    assert error.attributes == ("Login",)


def test_a_value_that_oracle_refuses_is_named_and_not_repeated():
    facts = Described("oracle").shape("Login").facts
    text = 'ORA-12899: value too large for column "HR"."Employees"."Name" (actual: 30, maximum: 20)'
    error = to_error(understand(oracle(text), "oracle"), facts)
    assert isinstance(error, InvalidValue)
    assert error.attribute == "Name"


def test_an_oracle_that_does_not_answer_is_told_by_the_driver_itself():
    engine = open_engine(parse_url("oracle://scim@127.0.0.1:1/hr", "x"), size=1, statement_s=5)
    settings = SqlSettings(database="oracle://scim@127.0.0.1:1/hr", table="Employees", anchor="Id")
    findings = check(engine, dialect_of(engine.url), settings, {})
    assert [finding.fact for finding in findings] == ["The database cannot be reached."]


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ("sqlite://scim:hunter2@/hr", "neither host, user nor password"),
        ("postgresql://scim:hunter2@db:port/hr", "is no URL"),
        ("postgresql://scim:hunter2@127.0.0.1/hr?nonsense=1", "nonsense in the URL is no key"),
        ("postgresql://scim:hunter2@127.0.0.1/hr?sslmode=hunter2", "a value in the URL"),
        ("mysql://scim:hunter2@127.0.0.1/hr?nonsense=1", "nonsense in the URL is no key"),
        ("mysql://scim:hunter2@127.0.0.1/hr?connect_timeout=hunter2", "a value in the URL"),
        ("mysql://scim:hunter2@127.0.0.1/hr?ssl_ca=/nowhere", "cannot be read"),
        ("oracle://scim:hunter2@127.0.0.1/hr?nonsense=1", "nonsense in the URL is no key"),
    ],
)
def test_an_url_that_no_driver_can_use_is_a_mistake_of_the_configuration(database, words):
    with pytest.raises(ConfigurationError, match=words) as told:
        open_engine(parse_url(database, None), size=1, statement_s=5).connect()
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("database", ["mssql", "db2"])
def test_an_odbc_driver_that_is_missing_is_named_with_where_it_comes_from(database):
    url = parse_url(f"{database}://scim@127.0.0.1:1/hr?driver=Nowhere", "x")
    engine = open_engine(url, size=1, statement_s=5)
    settings = SqlSettings(database=f"{database}://scim@127.0.0.1:1/hr", table="Employees", anchor="Id")
    (finding,) = check(engine, dialect_of(url), settings, {})
    assert finding.subject == "driver"
    assert {"mssql": "msodbcsql18", "db2": "IBM's Data Server Driver"}[database] in finding.mend


@pytest.mark.parametrize("database", sorted(set(DEFAULT_DRIVERS) - {"sqlite"}))
def test_a_missing_driver_is_named_with_the_command_that_brings_it(database, monkeypatch):
    driver = DEFAULT_DRIVERS[database]
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ConfigurationError, match=rf"{driver} is not installed: .* -m pip install '{driver}"):
        open_engine(parse_url(f"{database}://scim@db/hr?driver=x", "x"), size=1, statement_s=5)


def test_a_mariadb_that_is_called_mysql_is_told_with_the_mend(mariadb_server):
    server = mariadb_server
    url = f"mysql://{server.user}@{server.host}:{server.port}/{server.database()}"
    with pytest.raises(ConfigurationError, match="this server is MariaDB: begin the URL with mariadb in place of"):
        list_relations(url, server.password)

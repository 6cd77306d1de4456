"""SQL Server, held by what is compiled for it: none can be run here (docs/sql.md says so)."""

from __future__ import annotations

import codecs

import pytest
from sqlalchemy import make_url
from sqlalchemy.dialects.mssql import pyodbc
from sqlalchemy.exc import DBAPIError

from connector_host.connectors.contract import Add, AllOf, Comparator, Compare, Mutability, Query
from connector_host.connectors.errors import Conflict
from connector_host.connectors.sql import bulk, discovery, exports, mssql, queries, shapes, sources
from connector_host.connectors.sql.columns import Family
from connector_host.connectors.sql.databases.mssql import MSSQL
from connector_host.connectors.sql.dialects import dialect_of
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.connectors.sql.odbc import driver_url
from connector_host.connectors.sql.sqlstate import to_error
from connector_host.connectors.survey import Relation
from connector_host.databases.codes import Happened
from connector_host.databases.failures import understand
from connector_host.errors import ConfigurationError
from connector_host.settings import SqlSettings


def row(name, declared, **facts):
    return {
        "name": name, "declared": declared, "byte_length": 100, "digits": 10, "scale": 2, "nullable": True,
        "default_text": None, "is_identity": False, "is_made": False, "collation_name": None, "comment_text": None,
        **facts,
    }  # fmt: skip


ROWS = [
    row("Id", "int", is_identity=True, nullable=False),
    row("Login", "varchar", nullable=False, collation_name="SQL_Latin1_General_CP1_CI_AS"),
    row("Name", "nvarchar"),
    row("Guid", "uniqueidentifier", default_text="(newid())"),
    row("Version", "timestamp", is_made=True),
    row("Hired", "datetime"),
]


def shape_of(anchor, triggers=0):
    keys = (discovery.Key("PK", ("Id",), primary=True), discovery.Key("UQ_Login", ("Login",), primary=False))
    columns = tuple(discovery._column(one, MSSQL, keys, []) for one in ROWS)
    facts = discovery.TableFacts(Relation("Employees", None, "table"), columns, keys, {}, triggers)
    settings = SqlSettings(database="mssql://x/y", table="Employees", anchor=anchor, schema="dbo")
    return shapes.build(facts, settings, MSSQL, None)


@pytest.fixture
def dialect():
    dialect = pyodbc.dialect(paramstyle="qmark")
    dialect.server_version_info = (16, 0)
    dialect._supports_offset_fetch = dialect.deprecate_large_types = True
    return dialect


@pytest.fixture
def compiled(dialect):
    return lambda statement: " ".join(str(statement.compile(dialect=dialect)).split())


def test_column_facts_are_understood():
    by_name = shape_of("Id").object_type.by_name
    assert list(by_name) == ["Id", "Login", "Name", "Guid", "Hired"]
    assert by_name["Id"].mutability is Mutability.READ_ONLY
    assert (by_name["Login"].max_length, by_name["Name"].max_length) == (100, 50)
    assert not by_name["Login"].case_exact
    assert shapes.is_case_exact("Latin1_General_CS_AS")
    assert shapes.is_case_exact("Latin1_General_BIN2")


@pytest.mark.parametrize(("declared", "size"), [("text", 16), ("ntext", 16), ("nvarchar", -1), ("xml", -1)])
def test_long_text_has_no_limit_of_its_own(declared, size):
    """sys.columns.max_length is that of a pointer for text and ntext, and -1 for max."""
    assert discovery._column(row("Notes", declared, byte_length=size), MSSQL, (), []).facts.length is None


def test_a_made_anchor_is_told_through_a_variable_which_works_with_triggers(dialect):
    shape = shape_of("Id")
    insertion = exports.sa.insert(shape.table).values({"Login": "anna"})
    statement = mssql.insertion(insertion, shape.anchor.sql, dialect, Family.INTEGER)
    assert "OUTPUT inserted.[Id] INTO @made VALUES (?)" in statement.text
    assert statement.text.startswith("SET NOCOUNT ON; DECLARE @made TABLE")
    assert statement.bound({}) == ("anna",)


@pytest.mark.parametrize(
    ("declared", "sixteen", "kept_as"), [("binary", {"uuid": "guid"}, "binary(16)"), ("nvarchar", {}, "nvarchar(450)")]
)
def test_a_made_anchor_goes_through_a_variable_of_its_own_kind(dialect, declared, sixteen, kept_as):
    """Bytes that are put into a text are no UUID any more."""
    settings = SqlSettings(
        database="mssql://x/y", table="Employees", anchor="Id", column={"Id": sixteen} if sixteen else {}
    )
    key = discovery.Key("PK", ("Id",), primary=True)
    column = discovery._column(
        row("Id", declared, byte_length=16, nullable=False, default_text="(x)"), MSSQL, (key,), []
    )
    column = sources._meant(column, MSSQL, settings)
    facts = discovery.TableFacts(Relation("Employees", None, "table"), (column,), (key,), {}, 0)
    shape = shapes.build(facts, settings, MSSQL, None)
    said = []

    def heard(text, parameters):
        said.append((text, parameters))
        return type("Answer", (), {"scalar_one": lambda _: b"\0" * 16})()

    connection = type("Connection", (), {"dialect": dialect, "exec_driver_sql": staticmethod(heard)})
    exports._insert_and_learn(connection, shape, exports.sa.insert(shape.table), {})
    assert said[0][0].startswith(f"SET NOCOUNT ON; DECLARE @made TABLE (anchor {kept_as}); INSERT")


def test_output_is_used_for_many_rows_only_where_no_trigger_fires(compiled):
    many = compiled(bulk._insertion(shape_of("Login"), ("Login", "Name"), 2))
    assert "OUTPUT inserted.[Id], inserted.[Login]" in many
    assert many.endswith("VALUES (?, ?), (?, ?)")
    assert "OUTPUT" not in compiled(bulk._insertion(shape_of("Login", triggers=1), ("Login", "Name"), 2))


def test_a_look_up_by_a_varchar_key_is_bound_as_varchar_so_that_its_index_is_used(compiled):
    found = compiled(queries._by_keys(shape_of("Login"), 2, locked=False))
    assert found.endswith("WHERE [dbo].[Employees].[Login] IN (CAST(? AS VARCHAR(8000)), CAST(? AS VARCHAR(8000)))")
    wide = Compare("Name", Comparator.EQ, "")
    page = compiled(queries._select(shape_of("Login"), Query(), AllOf((wide,))))
    assert "[Name] = ?" in page


def test_rows_are_locked_by_a_hint_since_there_is_no_for_update(compiled):
    assert "WITH (UPDLOCK, ROWLOCK)" in compiled(queries._by_keys(shape_of("Login"), 1, locked=True))


def test_a_page_is_cut_by_the_server(compiled):
    page = compiled(queries._select(shape_of("Login"), Query(offset=5, limit=10), AllOf(())))
    assert page.endswith("ORDER BY [dbo].[Employees].[Login] ASC OFFSET ? ROWS FETCH FIRST ? ROWS ONLY")


def test_comparing_text_sees_what_a_collation_does_not(compiled):
    page = compiled(queries._select(shape_of("Login"), Query(), Compare("Name", Comparator.EQ, "")))
    assert "CAST(lower(CAST([dbo].[Employees].[Name] AS NVARCHAR(max))) AS VARBINARY(max))" in page


class Odbc(Exception):
    """Has the arguments of pyodbc.Error."""


@pytest.mark.parametrize(
    ("state", "text", "happened"),
    [
        ("23000", "[23000] Violation of UNIQUE KEY constraint 'UQ_Login'. (2627) (SQLExecDirectW)", Happened.UNIQUE),
        ("23000", "[23000] Cannot insert the value NULL into column 'Name' (515) (SQLExecDirectW)", Happened.NOT_NULL),
        ("40001", "[40001] Transaction was deadlocked (1205) (SQLExecDirectW)", Happened.DEADLOCK),
        ("HY000", "[HY000] Lock request time out period exceeded. (1222) (SQLExecDirectW)", Happened.LOCKED),
        ("HYT00", "[HYT00] Query timeout expired (0) (SQLExecDirectW)", Happened.TIME_LIMIT),
        ("28000", "[28000] Login failed for user 'x'. (18456) (SQLDriverConnect)", Happened.LOGIN),
        ("08S01", "[08S01] TCP Provider: Error code 0x68 (104) (SQLExecDirectW)", Happened.CONNECTION),
        ("42S02", "[42S02] Invalid object name 'x'. (208) (SQLExecDirectW)", Happened.SCHEMA),
        (
            "22003",
            "[22003] Arithmetic overflow error converting IDENTITY to data type int. (8115) (SQLExecDirectW)",
            Happened.EXHAUSTED,
        ),
        (
            "22003",
            "[22003] Arithmetic overflow error converting expression to data type int. (8115) (SQLExecDirectW)",
            Happened.BAD_VALUE,
        ),
        (
            "HY000",
            "[HY000] The sequence object 'S' has reached its minimum or maximum value. (11728) (SQLExecDirectW)",
            Happened.EXHAUSTED,
        ),
    ],
)
def test_errors_are_told_by_their_number(state, text, happened):
    assert understand(DBAPIError("", {}, Odbc(state, text)), "mssql").happened is happened


def test_the_violated_key_is_told_by_attribute():
    text = (
        "[23000] Violation of UNIQUE KEY constraint 'UQ_Login'. Cannot insert duplicate key in object 'dbo.E'. "
        "The duplicate key value is (Name). (2627) (SQLExecDirectW)"
    )
    failure = understand(DBAPIError("", {}, Odbc("23000", text)), "mssql")
    error = to_error(failure, shape_of("Login").facts)
    assert isinstance(error, Conflict)
    assert error.attributes == ("Login",)


def connection_string(url, **options):
    return driver_url(make_url(url), {**MSSQL.odbc_options, **options}).query["odbc_connect"]


def test_the_connection_is_encrypted_and_the_certificate_looked_at_unless_somebody_says_otherwise():
    assert dialect_of(parse_url("mssql://sa@db/hr", "p;w}")) is MSSQL
    text = connection_string("mssql+pyodbc://sa:p;w}@db.example.org:1444/hr")
    assert "SERVER={db.example.org,1444}" in text
    assert "PWD={p;w}}}" in text
    assert "Encrypt=yes;TrustServerCertificate=no" in text
    assert "TrustServerCertificate=yes" in connection_string("mssql+pyodbc://db/hr?TrustServerCertificate=yes")


@pytest.mark.parametrize(
    "content",
    [
        b"[ODBC]\nDRIVER={ODBC Driver 18 for SQL Server}\nSERVER=db\nDATABASE=hr\n",
        b"\xef\xbb\xbf[ODBC]\r\nDRIVER=ODBC Driver 18 for SQL Server\r\nSERVER=db\r\nDATABASE=hr\r\n",
        codecs.BOM_UTF16_LE
        + "[ODBC]\r\nDRIVER=ODBC Driver 18 for SQL Server\r\nSERVER=db\r\nDATABASE=hr\r\n".encode("utf-16-le"),
    ],
    ids=["utf-8", "utf-8 with a mark", "utf-16"],
)
def test_a_file_dsn_is_read_in_each_encoding_that_windows_writes(tmp_path, content):
    (tmp_path / "hr.dsn").write_bytes(content)
    text = connection_string(f"mssql+pyodbc://scim@/?filedsn={tmp_path}/hr.dsn")
    assert text.startswith("DRIVER=ODBC Driver 18 for SQL Server;SERVER=db;DATABASE=hr;UID=scim")


def test_a_file_that_is_no_dsn_is_said_to_be_none(tmp_path):
    (tmp_path / "hr.dsn").write_bytes(b"\xff\xfe\x00")
    for name in ("hr.dsn", "nowhere.dsn"):
        with pytest.raises(ConfigurationError, match="File DSN"):
            connection_string(f"mssql+pyodbc:///?filedsn={tmp_path}/{name}")


def test_an_addition_without_the_identity_is_complete():
    assert exports.creation(shape_of("Id"), Add({"Login": "anna"}).values) == {"Login": "anna"}


def test_an_engine_can_be_made_without_a_server():
    engine = open_engine(parse_url("mssql://sa@127.0.0.1/hr", "x"), size=1, statement_s=5)
    assert engine.dialect.name == "mssql"

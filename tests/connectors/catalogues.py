"""One table of employees as the catalogues of databases tell it that cannot be run here."""

from __future__ import annotations

from itertools import product

from connector_host.connectors.contract import Comparator

NAMES = dict.fromkeys(("mssql", "oracle", "db2", "mysql"), ("Id", "Login"))
"""By database: the column that it numbers, and the client's own key."""

COMPARISONS = [
    *product(("Login", "Name", "Code"), (Comparator.EQ, Comparator.NE, Comparator.SW, Comparator.GT)),
    *product(("Number", "Salary", "Hired"), (Comparator.EQ, Comparator.GE)),
    *product(("Notes",), (Comparator.EQ, Comparator.CO)),
    *product(("Small",), (Comparator.EQ,)),
]


def _mssql(name, declared, **facts):
    return {
        "name": name, "declared": declared, "byte_length": 100, "digits": 10, "scale": 2, "nullable": True,
        "default_text": None, "is_identity": False, "is_made": False, "collation_name": None, "comment_text": None,
        **facts,
    }  # fmt: skip


def _oracle(name, declared, **facts):
    return {
        "name": name, "declared": declared, "char_length": 0, "digits": None, "scale": None, "nullable": "Y",
        "default_text": None, "is_virtual": "NO", "identity_kind": None, "comment_text": None, **facts,
    }  # fmt: skip


def _db2(name, declared, **facts):
    return {
        "name": name, "declared": declared, "char_length": 20, "digits": 10, "scale": 0, "code_page": 1208,
        "nullable": "Y", "default_text": None, "is_identity": "N", "generated_kind": "", "is_row_change": "N",
        "comment_text": None, **facts,
    }  # fmt: skip


def _mysql(name, declared, **facts):
    return {
        "name": name, "declared": declared, "extra": "", "default_text": None, "not_null": 0, "char_length": 20,
        "fraction_digits": None, "digits": 10, "scale": 2, "collation_name": None, "comment_text": "", **facts,
    }  # fmt: skip


ROWS = {
    "mssql": [
        _mssql("Id", "int", is_identity=True, nullable=False),
        _mssql("Login", "varchar", nullable=False, collation_name="SQL_Latin1_General_CP1_CI_AS"),
        _mssql("Name", "nvarchar"),
        _mssql("Code", "char", byte_length=4),
        _mssql("Number", "bigint"),
        _mssql("Salary", "decimal"),
        _mssql("Hired", "datetime2", scale=6),
        _mssql("Notes", "ntext", byte_length=16),
        _mssql("Small", "real"),
        _mssql("Guid", "uniqueidentifier"),
        _mssql("Version", "timestamp", is_made=True),
    ],
    "oracle": [
        _oracle("Id", "NUMBER", digits=10, scale=0, nullable="N", identity_kind="ALWAYS"),
        _oracle("Login", "VARCHAR2", char_length=20, nullable="N"),
        _oracle("Name", "NVARCHAR2", char_length=40),
        _oracle("Code", "CHAR", char_length=4),
        _oracle("Number", "NUMBER", digits=18, scale=0),
        _oracle("Salary", "NUMBER", digits=10, scale=2),
        _oracle("Hired", "TIMESTAMP(6)", scale=6),
        _oracle("Left", "TIMESTAMP(6) WITH TIME ZONE", scale=6),
        _oracle("Born", "DATE"),
        _oracle("Notes", "CLOB"),
        _oracle("Small", "BINARY_FLOAT"),
        _oracle("Photo", "BLOB"),
        _oracle("Shout", "VARCHAR2", char_length=40, is_virtual="YES", default_text='UPPER("Name")'),
    ],
    "db2": [
        _db2("Id", "INTEGER", is_identity="Y", generated_kind="A", nullable="N"),
        _db2("Login", "VARCHAR", nullable="N"),
        _db2("Name", "VARCHAR", char_length=40),
        _db2("Code", "CHARACTER", char_length=4),
        _db2("Number", "BIGINT"),
        _db2("Salary", "DECIMAL", scale=2),
        _db2("Hired", "TIMESTAMP", scale=6),
        _db2("Born", "DATE"),
        _db2("Notes", "CLOB", char_length=100000),
        _db2("Small", "REAL"),
        _db2("Photo", "VARCHAR", code_page=0),
        _db2("Shout", "VARCHAR", generated_kind="A"),
    ],
    "mysql": [
        _mysql("Id", "int", extra="auto_increment", not_null=1),
        _mysql("Login", "varchar(20)", not_null=1, collation_name="utf8mb4_0900_ai_ci"),
        _mysql("Name", "varchar(40)", collation_name="utf8mb4_0900_ai_ci"),
        _mysql("Code", "char(4)", collation_name="utf8mb4_bin"),
        _mysql("Number", "bigint"),
        _mysql("Salary", "decimal(10,2)"),
        _mysql("Hired", "datetime(6)", fraction_digits=6),
        _mysql("Notes", "longtext", collation_name="utf8mb4_0900_ai_ci"),
        _mysql("Small", "float"),
    ],
}

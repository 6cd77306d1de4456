"""SQL Server's change tracking, which cannot be run here: what is refused, when a mark is too old, and how it is paged.

Its statements stand in compiled/mssql.sql. What a run makes of a log, be it tracking or a table that triggers feed, is
in tests/conformance/test_importing.py on real databases. SQLite stands in for CHANGETABLE alone.
"""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from connector_host.connectors.sql import tracking
from connector_host.errors import ConfigurationError
from tests.connectors.test_compiled import Described

TRACKED = {"object_id": 7, "oldest": 3, "snapshots": 1}


def shape_of(anchor="Id"):
    return Described("mssql").shape(anchor)


def test_a_tracked_table_is_known_by_its_number():
    assert tracking.demanded(TRACKED, shape_of()) == 7


@pytest.mark.parametrize(
    ("found", "anchor", "mend"),
    [
        (TRACKED, "Login", "Login is not that of Employees: make the change log"),
        (TRACKED | {"oldest": None}, "Id", "VIEW CHANGE TRACKING"),
        (TRACKED | {"snapshots": 0}, "Id", "ALLOW_SNAPSHOT_ISOLATION ON"),
        (TRACKED | {"snapshots": 3}, "Id", "ALLOW_SNAPSHOT_ISOLATION ON"),
    ],
    ids=["another key", "no right", "no snapshots", "snapshots not yet"],
)
def test_tracking_that_cannot_be_used_is_refused_with_what_to_do(found, anchor, mend):
    with pytest.raises(ConfigurationError, match=mend):
        tracking.demanded(found, shape_of(anchor))


def test_no_statements_are_printed_for_a_table_whose_key_is_not_the_anchor():
    database = Described("mssql")
    with pytest.raises(ConfigurationError, match="knows a row by its primary key"):
        tracking.statements(database.connection, database.shape("Login"), remove=False)
    assert tracking.statements(Described("mysql").connection, Described("mysql").shape("Id"), remove=False) == ()


@pytest.mark.parametrize(("mark", "reached"), [("2", False), ("3", True), ("9", True), ("10", False)])
def test_a_mark_is_too_old_below_what_is_kept_and_unknown_beyond_the_present(mark, reached):
    log = tracking.Tracking(None, shape_of(), oldest=3, newest=9)
    assert log.reaches(mark) is reached
    assert log.end("8") == "9"


def test_an_overlap_is_refused():
    with pytest.raises(ConfigurationError, match="overlap"):
        next(tracking.Tracking(None, shape_of(), 3, 9).anchors("5", 60.0))


@pytest.fixture
def connection():
    """SQLite, where a table of keys and versions answers what CHANGETABLE is asked."""
    engine = sa.create_engine("sqlite://")

    @sa.event.listens_for(engine, "before_cursor_execute", retval=True)
    def stand_in(_, __, text, given, *___):
        return re.sub(r"CHANGETABLE\(CHANGES [^,]+, \?\)", "(SELECT * FROM tracked WHERE version > ?)", text), given

    with engine.connect() as connection:
        connection.exec_driver_sql('CREATE TABLE tracked ("Id" integer, version integer)')
        rows = [(number, number) for number in range(1, 2_501)]
        connection.exec_driver_sql("INSERT INTO tracked VALUES (?, ?)", rows)
        yield connection
    engine.dispose()


@pytest.mark.parametrize(("mark", "sizes"), [("0", [1_000, 1_000, 500]), ("500", [1_000, 1_000]), ("2500", [])])
def test_each_key_behind_the_mark_comes_once_however_many_pages_there_are(connection, mark, sizes):
    pages = list(tracking.Tracking(connection, shape_of(), 0, 2_500).anchors(mark, None))
    assert [len(page) for page in pages] == sizes
    assert [int(anchor) for page in pages for anchor in page] == list(range(int(mark) + 1, 2_501))

"""CHAR columns: the blanks at the end are no part of a value, on every database and driver, in any mode of a server."""

from __future__ import annotations

import pytest

from connector_host.connectors.contract import Add, Comparator, Compare, Delete, Modify, Query

PADDING = "concat(@@sql_mode, ',PAD_CHAR_TO_FULL_LENGTH')"


@pytest.fixture(params=["as it comes", "padded by the server"])
def padding(platform, request):
    if request.param == "as it comes":
        yield
        return
    platform.only("mariadb")
    before = platform.execute("SELECT @@GLOBAL.sql_mode")[0][0]
    platform.execute(f"SET GLOBAL sql_mode = {PADDING}")
    yield
    platform.execute(f"SET GLOBAL sql_mode = '{before}'")


@pytest.fixture
async def padded(platform, padding):
    platform.execute(
        'DROP TABLE IF EXISTS "Padded"',
        'CREATE TABLE "Padded" (login char(10) NOT NULL PRIMARY KEY, code char(5), name varchar(20))',
        """INSERT INTO "Padded" VALUES ('ann', 'A1', 'Ann')""",
    )
    connector = platform.open(table="Padded", anchor="login")
    yield connector
    await connector.close()


async def test_a_value_of_a_char_column_reads_without_its_blanks(padded):
    entry = await padded.read("ann")
    assert (entry.anchor, entry.values["code"], entry.values["name"]) == ("ann", "A1", "Ann")
    found = await padded.search(Query(Compare("code", Comparator.EQ, "A1")))
    assert [entry.anchor for entry in found.entries] == ["ann"]


async def test_a_char_anchor_is_created_changed_and_deleted_by_its_text(padded, platform):
    made = await padded.export(Add({"login": "bob", "code": "B", "name": "Bob"}))
    assert (made.entry.anchor, made.entry.values["code"]) == ("bob", "B")
    done = await padded.export(Modify("bob", lambda old: {"code": old.values["code"] + "2"}))
    assert done.entry.values["code"] == "B2"
    await padded.export(Delete("bob"))
    assert [login.strip() for (login,) in platform.execute('SELECT login FROM "Padded"')] == ["ann"]


async def test_the_length_of_a_char_column_is_its_limit(padded):
    described = await padded.describe()
    assert described.by_name["code"].max_length == 5

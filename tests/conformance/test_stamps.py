"""Imports by row versions, where the database tells a horizon: no late commit is missed, and nothing comes twice."""

from __future__ import annotations

import json

import pytest

from connector_host.connectors.registry import open_importer, survey_table
from connector_host.errors import ConfigurationError
from connector_host.runs import imports
from connector_host.runs.imports import Request
from connector_host.runs.state import ImportState

STAMPED = (
    'ALTER TABLE "Employees" ADD COLUMN "Stamp" xid8 DEFAULT pg_current_xact_id()',
    """CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN NEW."Stamp" := pg_current_xact_id(); RETURN NEW; END $$""",
    'CREATE TRIGGER stamped BEFORE INSERT OR UPDATE ON "Employees" FOR EACH ROW EXECUTE FUNCTION stamp()',
    'CREATE INDEX ON "Employees" ("Stamp")',
)


@pytest.fixture
def stamped(employees):
    employees.only("postgresql")
    employees.execute(
        *STAMPED,
        """INSERT INTO "Employees" ("Login", "Name", "Number")
           SELECT 'user' || number, 'Name', number FROM generate_series(1, 20) AS number""",
    )
    return employees


@pytest.fixture
def imported(stamped, tmp_path):
    """A function that runs one import by the row version and returns the changes by anchor."""

    def run(**changes):
        request = Request("watermark", tmp_path / "out", watermark="Stamp", **changes)
        with ImportState(tmp_path / "state") as state, open_importer("HR", stamped.settings()) as importer:
            counts = imports.run(importer, state, request)
        lines = (tmp_path / "out").read_text().splitlines()
        run.read = counts.read
        return {row["anchor"]: row["change"] for row in map(json.loads, lines)}

    return run


async def test_what_was_stamped_since_is_delivered_once_and_nothing_else_is_read(stamped, imported):
    assert len(imported()) == 20
    stamped.execute("""UPDATE "Employees" SET "Name" = 'x' WHERE "Login" = 'user1'""")
    stamped.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('new', 'x')""")
    assert imported() == {"user1": "modify", "new": "add"}
    assert imported.read < 20
    assert imported() == {}
    assert imported.read < 20


async def test_a_change_that_commits_after_later_ones_were_delivered_is_not_missed(stamped, imported):
    imported()
    slow = stamped.connect()
    slow.autocommit = False
    slow.cursor().execute("""UPDATE "Employees" SET "Name" = 'slow' WHERE "Login" = 'user1'""")
    stamped.execute("""UPDATE "Employees" SET "Name" = 'quick' WHERE "Login" = 'user2'""")
    assert imported() == {"user2": "modify"}
    slow.commit()
    slow.close()
    assert imported() == {"user1": "modify"}
    assert imported() == {}


async def test_a_row_without_a_stamp_is_always_looked_at(stamped, imported):
    imported()
    stamped.execute(
        'ALTER TABLE "Employees" DISABLE TRIGGER stamped',
        """INSERT INTO "Employees" ("Login", "Name", "Stamp") VALUES ('bare', 'x', NULL)""",
    )
    assert imported() == {"bare": "add"}


async def test_a_database_that_was_restored_is_read_as_a_whole(stamped, imported, tmp_path):
    imported()
    with ImportState(tmp_path / "state") as state:
        state.move_mark("Stamp", str(2**40))
    stamped.execute("""UPDATE "Employees" SET "Name" = 'x' WHERE "Login" = 'user1'""")
    assert imported() == {"user1": "modify"}
    assert imported.read == 20
    assert imported() == {}
    assert imported.read < 20


async def test_an_overlap_for_a_row_version_is_refused(imported):
    with pytest.raises(ConfigurationError, match="overlap: Stamp holds row versions"):
        imported(overlap=60)


async def test_a_column_of_row_versions_is_no_attribute_and_said_to_be_a_watermark(stamped):
    survey = survey_table(stamped.url, stamped.password, table="Employees")
    column = next(column for column in survey.columns if column.name == "Stamp")
    assert "--watermark" in column.left_out

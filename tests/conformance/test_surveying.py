"""What `discover` learns before anything is configured: types in words, and the rows in counts and shapes."""

from __future__ import annotations

import pytest

from connector_host.connectors.registry import survey_table
from connector_host.connectors.survey import ColumnSample
from connector_host.setup.plans import best_anchor, suggest_for
from connector_host.setup.truths import truths_of

TABLE = """CREATE TABLE "Legacy" (code varchar(10) NOT NULL, contact varchar(60), aktiv char(1), made bigint,
           hired integer, phone_desk varchar(30), note varchar(10), salary numeric(12, 2) DEFAULT 0)"""
ROWS = 25


@pytest.fixture
def legacy(platform):
    flags, notes = ("J", "N"), ("'y'", "NULL", "NULL", "NULL", "NULL")
    rows = (
        f"('x{row:03}', 'person{row}@example.org', '{flags[row % 2]}', {1_700_000_000_000 + row}, 20200101, "
        f"'+49 30 {1_000_000 + row}', {notes[row % 5]}, {row}.25)"
        for row in range(ROWS)
    )
    platform.execute('DROP TABLE IF EXISTS "Legacy"', TABLE, f'INSERT INTO "Legacy" VALUES {", ".join(rows)}')
    yield platform
    platform.execute('DROP TABLE "Legacy"')


def surveyed(platform):
    return survey_table(platform.url, platform.password, table="Legacy")


def test_the_rows_are_told_in_counts_and_shapes(legacy):
    survey = surveyed(legacy)
    assert dict(survey.samples) == {
        "code": ColumnSample(ROWS, ROWS, ROWS),
        "contact": ColumnSample(ROWS, ROWS, ROWS, "e-mail addresses"),
        "aktiv": ColumnSample(ROWS, ROWS, 2, "J and N only"),
        "made": ColumnSample(ROWS, ROWS, ROWS, "milliseconds from 1970"),
        "hired": ColumnSample(ROWS, ROWS, 1, "days as YYYYMMDD"),
        "phone_desk": ColumnSample(ROWS, ROWS, ROWS, "telephone numbers"),
        "note": ColumnSample(ROWS, 5, 1),
        "salary": ColumnSample(ROWS, ROWS, ROWS),
    }


def test_no_value_of_a_user_is_told(legacy):
    survey = surveyed(legacy)
    said = repr(survey) + repr(suggest_for(survey, "code"))
    assert not [part for part in ("person1", "x001", "1000001", "1700000000", "20200101") if part in said]


def test_values_are_said_in_words_with_their_limits(legacy):
    words = {column.name: column.values for column in surveyed(legacy).columns}
    assert words["code"] == "text, up to 10"
    assert words["made"] == "whole number"
    assert words["salary"] == "decimal, 12 digits, 2 after the point"
    assert words["aktiv"].endswith("up to 1")


def test_a_column_that_tells_the_rows_apart_is_proposed_where_nothing_is_enforced(legacy):
    survey = surveyed(legacy)
    assert best_anchor(survey).column == "code"
    assert {one.column: one.enforced for one in survey.anchors} == {"code": False, "contact": False, "salary": False}
    assert f"is different in each of the first {ROWS} rows" in survey.anchors[0].reasons


def test_what_the_name_does_not_say_the_values_may(legacy):
    survey = surveyed(legacy)
    found = {one.column: one for one in suggest_for(survey, "code")}
    assert found["contact"].path == 'emails[type eq "work"].value'
    assert found["contact"].reason == "its values look like e-mail addresses"
    assert 'column.aktiv = { true = "J", false = "N" }' in found["aktiv"].reason


def test_words_for_true_and_false_are_known_by_the_rows_and_by_a_check_constraint(legacy):
    legacy.execute(
        'DROP TABLE IF EXISTS "Checked"',
        """CREATE TABLE "Checked" (code varchar(10), "Active" char(1) NOT NULL CHECK ("Active" IN ('Y', 'N')))""",
    )
    checked = survey_table(legacy.url, legacy.password, table="Checked")
    found = truths_of(checked) | truths_of(surveyed(legacy))
    assert {name: (truth.true, truth.false) for name, truth in found.items()} == {
        "Active": ("Y", "N"),
        "aktiv": ("J", "N"),
    }


def test_a_login_that_may_not_read_still_learns_what_the_catalogue_says(employees, poor):
    employees.only("postgresql")
    url = employees.url.replace("scim@", "poor@")
    survey = survey_table(url, "poor", table="Employees")
    assert not survey.samples
    assert best_anchor(survey).column == "Login"

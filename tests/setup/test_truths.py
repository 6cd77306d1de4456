"""Words for true and false are written down where they are certain, and only mentioned where they are not."""

import pytest

from connector_host.connectors.contract import AttributeType
from connector_host.connectors.survey import ColumnFacts, ColumnSample, Relation, TableSurvey
from connector_host.setup.plans import suggest_for
from connector_host.setup.truths import to_write, truths_of

TEXT, NUMBER = AttributeType.STRING, AttributeType.INTEGER
YES_NO = ColumnSample(20, 20, 2, "Y and N only")
ONE_ZERO = ColumnSample(20, 20, 2, "1 and 0 only")


def survey(name, type_, sample=None, **facts):
    column = ColumnFacts(name, "char", type_, **facts)
    return TableSurvey(Relation("people", None, "table"), (column,), (), {} if sample is None else {name: sample})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (survey("Vip", TEXT, allowed=("N", "Y")), ("Y", "N")),
        (survey("Vip", TEXT, allowed=("yes", "no")), ("yes", "no")),
        (survey("Vip", TEXT, YES_NO, length=1), ("Y", "N")),
        (survey("IsActive", TEXT, YES_NO, length=10), ("Y", "N")),
        (survey("IsActive", NUMBER, ONE_ZERO), ("1", "0")),
    ],
)
def test_what_is_certain(table, words):
    (truth,) = truths_of(table).values()
    assert (truth.true, truth.false) == words


@pytest.mark.parametrize(
    "table",
    [
        survey("Vip", TEXT, allowed=("Y", "N", "L")),
        survey("Vip", TEXT, allowed=("Y", "y")),
        survey("Vip", TEXT, YES_NO, length=10),
        survey("Level", NUMBER, ONE_ZERO),
        survey("Level", TEXT, ONE_ZERO, length=1),
        survey("IsActive", TEXT, ColumnSample(2, 2, 2, "Y and N only"), length=1),
        survey("IsActive", TEXT, ColumnSample(20, 20, 20, "UUIDs"), length=36),
    ],
)
def test_what_may_be_anything(table):
    assert truths_of(table) == {}


def test_what_is_certain_is_no_text_to_a_directory():
    (found,) = suggest_for(survey("Active", TEXT, allowed=("Y", "N")), "login")
    assert (found.path, found.confidence > 0.9) == ("active", True)
    assert 'column.Active = { true = "Y", false = "N" }' in found.reason


def test_what_a_person_maps_to_text_stays_text():
    table = survey("Active", TEXT, allowed=("Y", "N"))
    assert to_write(table, {"Active": "userType"}, mapped_only=False) == {}
    assert to_write(table, {}, mapped_only=True) == {}
    assert set(to_write(table, {"Active": "active"}, mapped_only=True)) == {"Active"}
    assert set(to_write(table, {}, mapped_only=False)) == {"Active"}

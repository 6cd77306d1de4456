"""What an import delivers is named as the table names it, whatever its columns are called."""

from __future__ import annotations

import csv
import io
import json

import pytest

from connector_host.runs.changes import GONE, Change, digesting, output

NAMES = ["login", 'the "short" name', "back\\slash", "two\nlines", "class", "é"]
ROW = ("anna", "x", "", None, True, 7)


def test_values_stand_under_the_names_of_their_columns():
    form = output("ndjson", NAMES)
    lines = form.encode([Change("add", "anna", form.record(*ROW)), Change("delete", "bob", GONE)])
    added, gone = map(json.loads, lines.splitlines())
    assert added == {"change": "add", "anchor": "anna", "values": dict(zip(NAMES, ROW, strict=True))}
    assert gone == {"change": "delete", "anchor": "bob", "values": {}}


def test_names_that_json_need_not_escape_are_the_same():
    form = output("ndjson", NAMES[4:])
    assert json.loads(form.encode([Change("modify", "anna", form.record(*ROW[4:]))]))["values"] == {
        "class": True,
        "é": 7,
    }


def test_a_deletion_as_csv_is_a_row_without_values():
    form = output("csv", NAMES)
    rows = list(csv.reader(io.StringIO((form.head + form.encode([Change("delete", "bob", GONE)])).decode())))
    assert rows == [["change", "anchor", *NAMES], ["delete", "bob", *[""] * len(NAMES)]]


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0]])
def test_a_digest_does_not_depend_on_the_order_of_the_columns(order):
    names, row = ["login", "name", "number"], ["anna", "x", 1]
    moved = digesting([names[place] for place in order])([row[place] for place in order])
    assert moved == digesting(names)(row)
    assert moved != digesting(names)(["anna", "y", 1])

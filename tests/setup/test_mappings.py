"""A mapping that a person types replaces what it contradicts."""

import pytest

from connector_host.setup.mappings import connector_name, merged, parse_mapping


def test_a_path_is_spelled_as_the_rfc_does():
    assert parse_mapping("Login = USERNAME", ["Login"]) == ("Login", "userName")


def test_a_path_moves_to_the_column_that_is_given():
    assert merged({"A": "userName", "B": "title"}, ("B", "userName")) == {"B": "userName"}


def test_an_empty_path_unmaps():
    assert merged({"A": "userName", "B": "title"}, ("B", "")) == {"A": "userName"}


@pytest.mark.parametrize(
    ("table", "name"),
    [("Employees", "Employees"), ("hr.people 2", "hr-people-2"), ("日本", "users"), ("x" * 99, "x" * 64)],
)
def test_a_table_lends_its_name(table, name):
    assert connector_name(table) == name

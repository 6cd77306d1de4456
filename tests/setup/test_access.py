"""A password that somebody typed into a URL does not stay there."""

import pytest

from connector_host.errors import ConfigurationError
from connector_host.setup.access import PASSWORD_VARIABLE, of_url


@pytest.mark.parametrize(
    ("url", "password", "bare"),
    [
        ("postgresql://scim:p%40ss@db/hr", "p@ss", "postgresql://scim@db/hr"),
        ("postgresql+psycopg://scim@db:5433/hr?password=p%40ss&sslmode=require", "p@ss",
         "postgresql+psycopg://scim@db:5433/hr?sslmode=require"),
        ("mssql+pyodbc://scim@db/hr?driver=ODBC+Driver+18&PWD=x", "x", "mssql+pyodbc://scim@db/hr?driver=ODBC+Driver+18"),
        ("postgresql://scim@db/hr", None, "postgresql://scim@db/hr"),
    ],
)  # fmt: skip
def test_it_is_taken_out_of_the_url(url, password, bare):
    login = of_url(url, None, {})
    assert (login.password, login.url) == (password, bare)
    assert "p@ss" not in repr(login)


def test_a_file_comes_first_then_the_url_then_the_environment(tmp_path):
    file = tmp_path / "password"
    file.write_text("from file\n")
    environment = {PASSWORD_VARIABLE: "from environment"}
    assert of_url("postgresql://scim:url@db/hr", file, environment).password == "from file"
    assert of_url("postgresql://scim:url@db/hr", None, environment).password == "url"
    assert of_url("postgresql://scim@db/hr", None, environment).password == "from environment"


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        of_url("postgresql://scim@db/hr", tmp_path / "none", {})


def test_the_path_of_a_database_file_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert of_url("sqlite:///hr.db", None, {}).url == f"sqlite:///{tmp_path}/hr.db"


def test_a_database_file_that_is_named_by_an_address_is_refused_before_anything_is_written():
    with pytest.raises(ConfigurationError, match="write sqlite:///PATH"):
        of_url("sqlite:///file:hr.db?uri=true", None, {})


def test_a_person_is_asked_only_where_a_password_may_be_needed():
    assert of_url("postgresql://scim@db/hr", None, {}).may_need_password
    assert not of_url("postgresql://scim:p@db/hr", None, {}).may_need_password
    assert not of_url("postgresql:///hr", None, {}).may_need_password
    assert not of_url("sqlite:///hr.db", None, {}).may_need_password


def test_what_is_no_url_is_told_without_repeating_it():
    with pytest.raises(ConfigurationError, match="is no URL") as failure:
        of_url("scim:s3cret@db", None, {})
    assert "s3cret" not in str(failure.value)

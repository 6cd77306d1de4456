"""What is written is read back as it was meant, whatever the names are."""

import tomllib
from pathlib import Path

import pytest

from connector_host.settings import Configuration
from connector_host.setup.documents import render
from connector_host.setup.plans import ConnectorPlan, HostPlan
from connector_host.setup.toml import quoted

FOLDER = Path("/etc/host")
HOST = HostPlan("hr.example.org", "0.0.0.0", 8585, FOLDER / "tls" / "certificate.pem", Path("/else/key.pem"))  # noqa: S104 - written, not bound


def plan(**changes):
    usual = {
        "name": "HR",
        "database": "postgresql://scim@db/hr",
        "table": "Employees",
        "schema": None,
        "anchor": "Login",
        "attributes": {"Login": "userName"},
        "reasons": {},
        "token_hash_file": FOLDER / "HR.tokens",
    }
    return ConnectorPlan(**(usual | changes))


def read(connector):
    document = tomllib.loads(render(HOST, connector, FOLDER))
    assert Configuration.model_validate(document)
    return document


def test_paths_beside_the_file_are_relative_and_others_are_not():
    document = read(plan(password_sealed_file=FOLDER / "HR.password.sealed"))
    assert document["host"]["certificate"] == "tls/certificate.pem"
    assert document["host"]["key"] == "/else/key.pem"
    assert document["connectors"]["HR"]["password_sealed_file"] == "HR.password.sealed"


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "two words",
        'with "quotes"',
        "with 'both' \"kinds\"",
        "back\\slash",
        "tab\tnew\nline",
        "del\x7f",
        "é",
        "",
    ],
)
def test_any_name_survives(name):
    assert tomllib.loads(f"x = {quoted(name)}")["x"] == name
    column = name or "x"
    document = read(plan(table=name, anchor=column, attributes={column: "userName"}, reasons={column: name}))
    assert document["connectors"]["HR"]["attributes"] == {column: "userName"}
    assert document["connectors"]["HR"]["table"] == name


def test_a_reason_cannot_break_out_of_its_comment():
    hostile = 'x\nadmin = "yes"'
    document = read(plan(left_out={hostile: hostile}, reasons={"Login": hostile}))
    assert "admin" not in document["connectors"]["HR"]


def test_choices_are_written():
    document = read(
        plan(
            schema="hr",
            accept_unenforced_anchor=True,
            columns=("Login", "Mail"),
            preset="okta",
            preset_reason="because",
            flows={"delete": {"action": "set", "column": "Here", "deleted": False, "present": True}},
            notes=("first\nsecond",),
        )
    )
    connector = document["connectors"]["HR"]
    assert (connector["schema"], connector["accept_unenforced_anchor"]) == ("hr", True)
    assert connector["columns"] == ["Login", "Mail"]
    assert connector["refusals"] == {"preset": "okta"}
    assert connector["delete"]["column"] == "Here"


def test_statements_in_place_of_the_generated_ones_survive():
    statements = {"create": "CALL \"add\"(:Login, 'x')", "delete": "DELETE FROM t\nWHERE a = @Login"}
    document = read(plan(exports=statements))
    assert document["connectors"]["HR"]["exports"] == {name: [text] for name, text in statements.items()}

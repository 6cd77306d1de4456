"""`check` tells what an administrator may not have meant."""

from __future__ import annotations

from connector_host.connectors.contract import Attribute, AttributeType, ObjectType
from connector_host.errors import Level
from connector_host.scim.compilation import compile_flows
from connector_host.scim.flows import Policies
from connector_host.scim.oversights import find_oversights
from connector_host.settings import DeleteFlow

TABLE = ObjectType("User", "Id", tuple(Attribute(name, AttributeType.STRING) for name in ("Id", "Nom", "first name")))


def test_a_mapping_that_fits_is_said_to_fit():
    (finding,) = find_oversights(compile_flows(TABLE, {"first name": "name.givenName"}))
    assert finding.level is Level.OK


def test_a_column_that_is_misspelt_and_one_that_scim_cannot_name_are_named():
    missing, hidden = find_oversights(compile_flows(TABLE, {"Name": "title"}, Policies(on_null={"Nam": "reject"})))
    assert missing.level is hidden.level is Level.WARNING
    assert "Name, Nam" in missing.fact
    assert "first name" in hidden.fact


def test_the_column_that_marks_deleted_users_is_hidden_on_purpose():
    delete = DeleteFlow(action="set", column="Nom", deleted="D", present="P")
    findings = find_oversights(compile_flows(TABLE, {"first name": "title"}, Policies(delete=delete)))
    assert [finding.level for finding in findings] == [Level.OK]

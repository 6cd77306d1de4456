"""An entry becomes exactly the resource that its columns say, with a version that follows the content."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import pytest
from msgspec.structs import replace

from connector_host.scim.compilation import compile_flows
from connector_host.scim.rendering import Renderer, render_list
from tests.scim.employees import BARBARA, CORE, ECMA, EMPLOYEE, ENTERPRISE, FLOWS

USERS = "https://host/ecma2host_HR/scim/Users"
RENDERER = Renderer(FLOWS)


def with_values(**values):
    return replace(BARBARA, values={**BARBARA.values, **values})


def test_a_user_is_rendered_in_full_with_typed_values():
    rendered = RENDERER.render(BARBARA, USERS)
    assert msgspec.json.decode(rendered.body) == {
        "schemas": [CORE, ENTERPRISE, ECMA],
        "id": "bjensen",
        "userName": "bjensen",
        "name": {"givenName": "Barbara", "familyName": "Jensen"},
        "emails": [{"type": "work", "value": "bjensen@example.org"}],
        "active": True,
        ENTERPRISE: {"department": "Tours"},
        ECMA: {
            "Badge": 7,
            "Salary": 10.5,
            "HiredAt": "2026-01-02T03:04:05Z",
            "Grade": "senior",
            "FullName": "Barbara Jensen",
        },
        "meta": {"resourceType": "User", "location": f"{USERS}/bjensen", "version": rendered.version},
    }


def test_a_decimal_keeps_its_digits():
    assert b'"Salary":10.50' in RENDERER.render(BARBARA, USERS).body


def test_an_extension_without_a_value_is_absent_and_unnamed():
    content = RENDERER.content(with_values(Department=None))
    assert ENTERPRISE not in content
    assert content["schemas"] == [CORE, ECMA]


def test_a_password_column_never_shows():
    assert b"never shown" not in RENDERER.render(BARBARA, USERS).body


def test_the_version_changes_with_the_content_and_only_with_it():
    version = RENDERER.render(BARBARA, USERS).version
    assert version.startswith('W/"')
    assert RENDERER.render(BARBARA, "https://other/Users").version == version == RENDERER.version(BARBARA)
    assert RENDERER.version(with_values(Badge=8)) != version
    assert RENDERER.version(with_values(password="other")) == version


def test_numbers_appear_as_text_where_the_rfc_says_text_and_as_truth_where_it_says_truth():
    flows = compile_flows(EMPLOYEE, {"Badge": f"{ENTERPRISE}:employeeNumber", "Grade": "active"})
    content = Renderer(flows).content(with_values(Grade="1"))
    assert content[ENTERPRISE] == {"employeeNumber": "7"}
    assert content["active"] is True


def test_a_list_holds_its_resources_unchanged():
    one = RENDERER.render(BARBARA, USERS)
    listed = msgspec.json.decode(render_list([one, one], total=9, start_index=3))
    assert listed == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 9,
        "startIndex": 3,
        "itemsPerPage": 2,
        "Resources": [msgspec.json.decode(one.body)] * 2,
    }
    assert msgspec.json.decode(render_list([], total=0, start_index=1))["Resources"] == []


@pytest.mark.parametrize(
    "anchor",
    ["bjensen", "b.jensen@example.org", "B-J_1~2", "a@b@c", "a/b", "a b", "a%b", "ä@b", "a+b", "@", "a\n", "é"],
)
def test_the_location_names_a_user_whatever_the_anchor_is(anchor):
    assert RENDERER.location(anchor, USERS) == f"{USERS}/{quote(anchor, safe='')}"

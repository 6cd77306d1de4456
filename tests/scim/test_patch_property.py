"""A PATCH leaves in the row, read back, what scim2-models' own PATCH leaves in the resource, over random operations.

The library is the independent judge: it works on a full model, and we on a flat set of columns.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scim2_models import Context, Extension, PatchOp, Resource, Schema, ScimPolicy

from connector_host.connectors.contract import Add, Modify
from connector_host.scim import discovery
from connector_host.scim.compilation import compile_flows
from connector_host.scim.patches import read_patch
from connector_host.scim.rendering import Renderer
from connector_host.scim.resources import read_create
from tests.scim.employees import CORE, ECMA, ENTERPRISE
from tests.scim.tables import opened

DDL = """
CREATE TABLE People (
  Login VARCHAR(20) NOT NULL PRIMARY KEY, Given VARCHAR(20), Family VARCHAR(20), Title VARCHAR(20), Work VARCHAR(20),
  Home VARCHAR(20), Active BOOLEAN, Department VARCHAR(20), Badge INTEGER, Nick VARCHAR(20)
)
"""
MAPPING = {
    "Login": "userName",
    "Given": "name.givenName",
    "Family": "name.familyName",
    "Title": "title",
    "Work": 'emails[type eq "work"].value',
    "Home": 'emails[type eq "home"].value',
    "Active": "active",
    "Department": f"{ENTERPRISE}:department",
}
ENTRA = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)

words = st.sampled_from(["a", "B"]) | st.text(alphabet="abcÄ'\"% ", min_size=1, max_size=6)
numbers = st.integers(-99, 99)
name = st.fixed_dictionaries({}, optional={"givenName": words, "familyName": words})
emails = st.fixed_dictionaries({}, optional={"work": words, "home": words}).map(
    lambda values: [{"type": kind, "value": value} for kind, value in values.items()]
)
PATHS = {
    "title": words,
    "name.givenName": words,
    f"{CORE}:name.familyName": words,
    'emails[type eq "work"].value': words,
    'emails[type eq "home"].value': words,
    "active": st.booleans(),
    f"{ENTERPRISE}:department": words,
    f"{ECMA}:Badge": numbers,
    f"{ECMA.upper()}:nick": words,
}

values = st.fixed_dictionaries(
    {},
    optional={
        "title": words,
        "name": name.filter(bool),
        "name.familyName": words,
        "active": st.booleans(),
        f"{ENTERPRISE}:department": words,
        ECMA: st.fixed_dictionaries({}, optional={"Badge": numbers, "Nick": words}).filter(bool),
    },
).filter(bool)

verbs = st.sampled_from(["add", "replace", "Add", "Replace"])
named = st.fixed_dictionaries({"value": words}, optional={"type": st.sampled_from(["work", "home"])})
"""What a removal says about the value that it means."""
operations = st.one_of(
    st.sampled_from(list(PATHS)).flatmap(
        lambda path: st.fixed_dictionaries({"op": verbs, "path": st.just(path), "value": PATHS[path]})
    ),
    st.fixed_dictionaries({"op": verbs, "value": values}),
    st.fixed_dictionaries({"op": st.just("replace"), "path": st.just("name"), "value": name.filter(bool)}),
    st.fixed_dictionaries({"op": st.just("replace"), "path": st.just("emails"), "value": emails.filter(bool)}),
    st.fixed_dictionaries(
        {"op": st.sampled_from(["remove", "Remove"]), "path": st.sampled_from([*PATHS, "name", "emails"])}
    ),
    st.fixed_dictionaries(
        {"op": st.just("Remove"), "path": st.just("emails"), "value": named.map(lambda element: [element])}
    ),
)

users = st.fixed_dictionaries(
    {"userName": st.just("anna")},
    optional={"name": name, "emails": emails, "active": st.booleans(), "title": words, ECMA: st.just({"Badge": 1})},
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    database = tmp_path_factory.mktemp("property") / "people.sqlite"
    with opened(database, DDL, table="People", anchor="Login") as (connection, connector, run):
        flows = compile_flows(run(connector.describe()), MAPPING)
        core, *extensions = [Schema.model_validate(schema) for schema in discovery.schemas(flows, "https://host")]
        resource = Resource.from_schema(core)[reduce(or_, [Extension.from_schema(one) for one in extensions])]
        yield connection, connector, run, flows, resource


def judged(resource, before, body):
    """Return what the library makes of it, without what only one of the two keeps: empty values and `schemas`."""
    user = resource.model_validate(before, scim_policy=ENTRA)
    change = PatchOp[resource].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=ENTRA)
    change.patch(user, scim_policy=ENTRA)
    return bare(user.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


def bare(content):
    content = {key: value for key, value in content.items() if key not in ("schemas", "meta") and value not in ({}, [])}
    kept = [element for element in content.pop("emails", []) if element.get("value")]
    if kept:
        content["emails"] = sorted(({"type": one["type"], "value": one["value"]} for one in kept), key=str)
    return content


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=users, changes=st.lists(operations, min_size=1, max_size=4))
def test_the_row_read_back_is_what_the_library_makes_of_the_resource(people, user, changes):
    connection, connector, run, flows, resource = people
    with connection:
        connection.execute("DELETE FROM People")
    add = read_create(flows, user)
    assert isinstance(add, Add)
    before = Renderer(flows).content(run(connector.export(add)).entry)
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": changes}
    change = read_patch(flows, body, operations_max=10)
    assume(not change.refusals)
    run(connector.export(Modify("anna", change.revise)))
    after = run(connector.read("anna"))
    assert bare(Renderer(flows).content(after)) == judged(resource, before, body)

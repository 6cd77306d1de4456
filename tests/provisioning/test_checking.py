"""`check` lays a job beside its source and its target, and names what does not fit, with the mend."""

from __future__ import annotations

import json

import pytest

from connector_host.errors import Level
from connector_host.provisioning.checking import check_job
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.fitting import fit
from connector_host.provisioning.mappings import compile_mappings
from connector_host.provisioning.schemas import user_schema
from connector_host.provisioning.sources.ldap import attribute_kinds
from tests.endpoint.service import ECMA
from tests.provisioning.jobs import job
from tests.provisioning.rig import MAPPINGS, person

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
EXTENSION = "urn:example:2.0:User"


def attribute(name, kind="string", **facts):
    return {"name": name, "type": kind, "multiValued": False, "required": False, "mutability": "readWrite"} | facts


SCHEMA = user_schema(
    [
        {
            "id": CORE,
            "attributes": [
                attribute("userName", required=True),
                attribute("active", "boolean"),
                attribute("title"),
                attribute("nickName", mutability="immutable"),
                attribute("groups", "complex", multiValued=True, mutability="readOnly"),
                attribute("name", "complex", subAttributes=[attribute("givenName"), attribute("familyName")]),
                attribute(
                    "emails",
                    "complex",
                    multiValued=True,
                    subAttributes=[attribute("value"), attribute("type", canonicalValues=["work", "home"])],
                ),
            ],
        },
        {
            "id": EXTENSION,
            "attributes": [
                attribute("badge", "integer"),
                attribute("boss", "reference"),
                attribute("cleared", "boolean"),
            ],
        },
        {"id": "urn:ietf:params:scim:schemas:core:2.0:Group", "attributes": [attribute("displayName", required=True)]},
    ]
)
MATCH = {"target": "userName", "source": "mail", "match": 1}


def judged(*mappings, kinds=None, schema=SCHEMA, **changes):
    settings = job(mappings=[MATCH, *mappings], **changes)
    return fit(compile_mappings(settings), settings, schema, kinds)


@pytest.mark.parametrize(
    ("mapping", "level", "words"),
    [
        ({"target": "displayName", "source": "a"}, "warning", "do not have it"),
        ({"target": "name.middleName", "source": "a"}, "failure", "parts givenName, familyName"),
        ({"target": "displayName", "source": "a", "match": 2}, "failure", "nobody could be found by it"),
        ({"target": "groups", "source": "a"}, "failure", "read-only"),
        ({"target": "nickName", "source": "a"}, "warning", 'apply = "creation"'),
        ({"target": "name", "source": "a"}, "failure", "name.givenName, name.familyName"),
        ({"target": "emails.value", "source": "a"}, "failure", 'emails[type eq "work"].value'),
        ({"target": 'emails[type eq "spare"].value', "source": "a"}, "warning", "It names work, home"),
        ({"target": 'title[type eq "work"].value', "source": "a"}, "failure", "Write title"),
        ({"target": "title", "source": "many"}, "failure", "Join"),
        ({"target": "title", "source": "number"}, "warning", "CStr"),
        ({"target": f"{EXTENSION}:cleared", "source": "text"}, "warning", "CBool"),
        ({"target": f"{EXTENSION}:cleared", "type": "constant", "constant": 3}, "failure", "type boolean"),
        ({"target": f"{EXTENSION}:badge", "type": "expression", "expression": "ToUpper([a])"}, "warning", "integer"),
        ({"target": f"{EXTENSION}:boss", "source": "a"}, "warning", "reference"),
    ],
)
def test_a_mapping_that_does_not_fit_the_target_is_named_with_its_mend(mapping, level, words):
    kinds = {"many": Kind.MANY, "number": Kind.NUMBER, "text": Kind.TEXT}
    found = [one for one in judged(mapping, kinds=kinds) if one.subject == f"mapping {mapping['target']}"]
    assert any(one.level == level and words in f"{one.fact} {one.mend}" for one in found), found


@pytest.mark.parametrize(
    "mapping",
    [
        {"target": "TITLE", "source": "text"},
        {"target": "externalId", "source": "text"},
        {"target": f"{CORE}:title", "source": "text"},
        {"target": 'emails[type eq "work"].value', "source": "text"},
        {"target": "emails", "source": "many"},
        {"target": f"{EXTENSION}:cleared", "type": "expression", "expression": "CBool([text])"},
        {"target": "nickName", "source": "text", "apply": "creation"},
        {"target": f"{EXTENSION}:badge", "source": "unknown"},
    ],
)
def test_a_mapping_that_fits_is_not_complained_of(mapping):
    found = judged(mapping, kinds={"text": Kind.TEXT, "many": Kind.MANY})
    assert [one.level for one in found] == [Level.OK]


def test_a_required_attribute_that_no_mapping_gives_is_named():
    needs = user_schema([{"id": CORE, "attributes": [attribute(n, required=True) for n in ("userName", "title")]}])
    found = judged(schema=needs, disable={"path": ""})
    assert [(one.level, one.subject) for one in found] == [(Level.FAILURE, "attribute title")]
    assert judged(schema=needs, disable={"path": ""}, actions={"create": False})[0].level is Level.OK


def test_a_target_without_the_attribute_that_disables_could_disable_nobody():
    assert "nobody could be disabled" in judged(disable={"path": "urn:x:2.0:User:Off", "value": True})[0].fact


async def test_the_schemas_of_a_real_target_are_asked(rig):
    rig.people(person(1))
    good = await check_job(rig.settings().jobs["staff"])
    assert "has all 5 attributes" in str(good)
    nick = {"target": "nickName", "source": "given"}
    typed = {"target": f"{ECMA}:Badge", "source": "given"}
    found = {
        one.subject: one.fact for one in await check_job(rig.settings(mappings=[*MAPPINGS, nick, typed]).jobs["staff"])
    }
    assert "do not have it" in found["mapping nickName"]
    assert "type integer" in found[f"mapping {ECMA}:Badge"]
    without = [one for one in MAPPINGS if one["target"] != "name.givenName"]
    assert "attribute name.givenName" in str(await check_job(rig.settings(mappings=without).jobs["staff"]))


async def test_what_no_scope_can_use_is_named_with_the_reason_whatever_the_source(rig):
    people = rig.folder / "people.ndjson"
    people.write_text(json.dumps({"id": 1, "login": "a", "mails": ["a", "b"], "manager": {"displayName": "B"}}) + "\n")
    source = {"type": "ndjson", "path": str(people), "key": "id"}
    mappings = [{"target": "userName", "source": "login", "match": 1}]
    scope = [{"clauses": [{"attribute": "mails", "operator": "EQUALS", "value": "a"}]}]
    settings = rig.settings(source=source, mappings=mappings, scope=scope, enabled_attribute=None).jobs["staff"]
    found = await check_job(settings)
    listed = next(one for one in found if one.subject == "no scope by")
    assert "mails (it may have several values)" in listed.fact
    assert "manager.displayName (it is a reference" in listed.fact
    assert "login" not in listed.fact
    assert any(one.subject == "scope" and "mails: it may have several" in one.fact for one in found)


@pytest.mark.parametrize(
    ("values", "level"),
    [(("true", "0"), None), (("true", "Y", ""), Level.WARNING), (("active", "left"), Level.FAILURE)],
)
async def test_users_of_whom_nobody_can_tell_whether_they_are_disabled_are_told_of(rig, values, level):
    rig.people(*(person(number, enabled=value) for number, value in enumerate(values)))
    found = [one for one in await check_job(rig.settings().jobs["staff"]) if one.subject == "enabled_attribute"]
    assert [one.level for one in found] == ([level] if level else [])
    assert all("2 of the first" in one.fact for one in found)


@pytest.mark.parametrize(
    ("url", "told"), [("ldap://directory.invalid", True), ("ldap://127.0.0.1:9", False), ("ldaps://x.invalid", False)]
)
async def test_users_who_come_unencrypted_over_a_network_are_warned_of(rig, url, told):
    source = {"type": "ldap", "url": url, "search_base": "dc=example,dc=org"}
    found = await check_job(rig.settings(source=source).jobs["staff"])
    warned = [one for one in found if one.subject == "source" and "unencrypted" in one.fact]
    assert [(one.level, "start_tls" in one.mend) for one in warned] == ([(Level.WARNING, True)] if told else [])


async def test_a_webhook_that_is_not_there_is_a_failure_of_the_job(rig):
    rig.people(person(1))
    found = await check_job(rig.settings(notify={"webhook": "http://127.0.0.1:9/hook"}).jobs["staff"])
    assert [one.level for one in found if one.subject == "notices"] == [Level.FAILURE]


async def test_more_than_the_cloud_could_store_is_a_warning(rig):
    rig.people(person(1))
    target = rig.document["target"] | {"token": "t" * 1_024}
    assert "Microsoft's service stores 1024" in str(await check_job(rig.settings(target=target).jobs["staff"]))


def test_the_schema_of_a_directory_tells_kinds_by_syntax_own_or_inherited():
    kinds = attribute_kinds(
        [
            "( 2.5.4.49 NAME 'distinguishedName' SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )",
            "( 2.5.4.31 NAME 'member' SUP distinguishedName )",
            "( 0.9 NAME ( 'manager' 'boss' ) SUP distinguishedName )",
            "( 1.2 NAME 'hired' SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE )",
            "( 1.3 NAME 'mail' SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )",
            "( 1.4 NAME 'a' SUP b )",
            "( 1.5 NAME 'b' SUP a )",
        ]
    )
    assert kinds["member"] is kinds["boss"] is kinds["manager"] is Kind.REFERENCE
    assert kinds["hired"] is Kind.DATE
    assert not {"mail", "a", "b"} & kinds.keys()


async def test_a_key_that_users_share_is_told_whoever_saves_the_job(rig):
    rig.people(*(person(n, department=f"D{n % 400}") for n in range(500)))
    told = [one for one in await check_job(job_by(rig, "department")) if one.subject == "key"]
    assert [(one.level, one.fact) for one in told] == [
        (Level.WARNING, "200 of the first 500 users share their department with another one.")
    ]
    assert [one for one in await check_job(job_by(rig, "id")) if one.subject == "key"] == []


def job_by(rig, key):
    return rig.settings(source=rig.document["source"] | {"key": key}).jobs["staff"]

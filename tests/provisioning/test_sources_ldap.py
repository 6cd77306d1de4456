"""LDAP as a source, against a real slapd over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time

import pytest

from connector_host import clock
from connector_host.provisioning.errors import SourceFailed
from connector_host.provisioning.settings import LdapSettings
from connector_host.provisioning.sources.opening import open_source
from connector_host.tls.issuing import issue_files
from tests.conftest import absent
from tests.provisioning.directory import PASSWORD, SUFFIX, Directory, available
from tests.provisioning.test_sources import users_of


@pytest.fixture(scope="module")
def directory(request, tmp_path_factory):
    if (reason := available()) is not None:
        absent(reason, "LDAP", request.config)
    folder = tmp_path_factory.mktemp("slapd")
    issue_files(folder, "localhost", clock.now())
    running = Directory(folder)
    running.start()
    for number in range(25):
        running.add(f"u{number:02}", givenName=f"Given{number}", mail=f"u{number}@example.org")
    yield running
    running.stop()


def source_of(directory, **changes):
    document = {
        "type": "ldap",
        "url": directory.secure_url,
        "trust": directory.folder / "authority.pem",
        "login": f"cn=reader,{SUFFIX}",
        "secret": PASSWORD,
        "search_base": SUFFIX,
        "filter": "(objectClass=inetOrgPerson)",
        "attributes": ["uid", "givenName", "sn", "mail"],
        "page_size": 5,
    } | changes
    return open_source(LdapSettings.model_validate(document))


async def test_every_entry_comes_page_by_page_beyond_the_servers_size_limit(directory):
    source = source_of(directory)
    users, mark = await users_of(source)
    assert len({user.key for user in users}) >= 25
    assert mark is not None
    assert await source.count() is None
    one = next(user for user in users if user.values["uid"] == "u03")
    assert one.values["mail"] == "u3@example.org"
    assert one.values["dn"] == f"uid=u03,{SUFFIX}"
    assert (await source.fetch(one.key)).values["sn"] == "U03"
    assert await source.fetch("00000000-0000-0000-0000-000000000000") is None


async def test_nobody_has_a_key_that_is_no_guid(directory):
    assert await source_of(directory, key="objectGUID").fetch("u03") is None


async def test_since_a_mark_only_changes_come(directory):
    source = source_of(directory)
    _, mark = await users_of(source)
    while time.strftime("%Y%m%d%H%M%SZ", time.gmtime()) <= mark:  # noqa: ASYNC110 - slapd counts whole seconds
        await asyncio.sleep(0.05)
    changed = f"dn: uid=u07,{SUFFIX}\nchangetype: modify\nreplace: givenName\ngivenName: Zoë\n\n"
    directory.change("ldapmodify", changed)
    directory.add("late")
    users, later = await users_of(source, mark)
    names = {user.values["uid"]: user.values.get("givenName") for user in users}
    assert names["u07"] == "Zoë"
    assert "late" in names
    assert len(names) < 25 or later > mark
    again, _ = await users_of(source, later)
    assert {user.values["uid"] for user in again} == {"u07", "late"}


async def test_several_values_of_an_attribute_stay_several(directory):
    directory.change("ldapmodify", f"dn: uid=u08,{SUFFIX}\nchangetype: modify\nadd: mail\nmail: second@example.org\n\n")
    users, _ = await users_of(source_of(directory, filter="(uid=u08)"))
    assert users[0].values["mail"] == ("u8@example.org", "second@example.org")


async def test_an_entry_without_a_key_is_told_of_and_the_others_are_read(directory):
    directory.add("nomail")
    users, _ = await users_of(source_of(directory, filter="(|(uid=u01)(uid=nomail))", key="mail"))
    assert sorted((user.key, bool(user.flaw)) for user in users) == [("", True), ("u1@example.org", False)]


async def test_start_tls_encrypts_a_plain_connection(directory):
    source = source_of(directory, url=directory.url, start_tls=True)
    assert len((await users_of(source))[0]) >= 25


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "wrong"},
        {"search_base": "dc=nowhere"},
        {"filter": "(&"},
        {"trust": None},
        {"url": "ldaps://localhost:9"},
    ],
)
async def test_what_the_directory_refuses_fails_without_a_secret(directory, changes):
    with pytest.raises(SourceFailed, match="directory refused") as caught:
        await users_of(source_of(directory, **changes))
    assert PASSWORD not in str(caught.value)


async def test_a_job_over_the_directory_creates_its_people(directory, rig):
    mappings = [
        {"target": "userName", "source": "uid", "match": 1},
        {"target": "name.givenName", "type": "expression", "expression": "Coalesce([givenName], [sn])"},
    ]
    settings = source_of(directory)._settings.model_dump(mode="json") | {"secret": PASSWORD}
    job = {"source": settings, "mappings": mappings, "enabled_attribute": None}
    report = await rig.run(**job)
    assert report.counts["created"] == report.counts["read"] >= 25
    assert (await rig.run(**job)).kind == "incremental"


async def test_the_directory_says_which_attributes_are_dates_and_references(directory):
    kinds = await source_of(directory, attributes=["createTimestamp", "manager", "mail"]).kinds()
    assert kinds == {"createTimestamp": "a date", "manager": "a reference to another object"}


async def test_attributes_keep_the_spelling_of_the_job(directory):
    source = source_of(directory, attributes=["UID", "givenname"], key="entryuuid", filter="(uid=u04)")
    users, _ = await users_of(source)
    assert (users[0].values["UID"], users[0].values["givenname"]) == ("u04", "Given4")
    assert users[0].key


@pytest.fixture
def controlled(directory):
    """Let two people have Active Directory's flags: an account that is enabled, and one that is not."""
    for uid, flags in (("ad1", "512"), ("ad2", "514")):
        with contextlib.suppress(subprocess.CalledProcessError):  # there already
            directory.add(uid, objectClass="adAccount", userAccountControl=flags)
    return directory


@pytest.mark.parametrize(
    "attributes", [["uid", "accountEnabled"], ["uid", "UserAccountControl"], ["uid", "ACCOUNTENABLED"], []]
)
async def test_the_flags_of_active_directory_say_whether_an_account_is_enabled(controlled, attributes):
    source = source_of(controlled, attributes=attributes, filter="(|(uid=ad*)(uid=u01))")
    name = "ACCOUNTENABLED" if "ACCOUNTENABLED" in attributes else "accountEnabled"
    users, _ = await users_of(source)
    assert {user.values["uid"]: user.values.get(name) for user in users} == {"ad1": True, "ad2": False, "u01": None}
    assert name in (await source.attributes() or {name})
    assert (await source.kinds()).get(name, "true or false") == "true or false"


async def test_who_is_disabled_in_active_directory_is_disabled_in_the_target_by_the_next_changes(controlled, rig):
    mappings = [
        {"target": "userName", "source": "uid", "match": 1},
        {"target": "name.givenName", "source": "sn"},
    ]
    settings = source_of(controlled)._settings.model_dump(mode="json") | {
        "secret": PASSWORD,
        "filter": "(uid=ad*)",
        "attributes": ["uid", "sn", "accountEnabled"],
    }
    job = {"source": settings, "mappings": mappings, "enabled_attribute": "accountEnabled"}
    await rig.run(**job)
    assert set(rig.rows()) == {"ad1"}
    flags = "dn: uid=ad1,{}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: {}\n\n"
    controlled.change("ldapmodify", flags.format(SUFFIX, 514))
    report = await rig.run(**job)
    assert (report.kind, report.counts["disabled"], rig.rows()["ad1"]["Enabled"]) == ("incremental", 1, 0)
    controlled.change("ldapmodify", flags.format(SUFFIX, 512))
    await rig.run(**job)
    assert rig.rows()["ad1"]["Enabled"] == 1

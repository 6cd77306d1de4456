"""The target's every answer is judged: busy, silent, broken, unwilling; and no write is made twice."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from connector_host import clock
from connector_host.endpoint.outcomes import Outcomes
from connector_host.errors import ConfigurationError
from connector_host.provisioning.cycles import Options
from connector_host.provisioning.engine import Engine
from connector_host.provisioning.lanes import Lane
from connector_host.provisioning.settings import TargetSettings
from connector_host.provisioning.targets import Target
from connector_host.signing.keys import make_key
from tests.endpoint.service import serve
from tests.provisioning.jobs import MAPPINGS
from tests.provisioning.moody import Moody
from tests.provisioning.rig import Rig, person, until


def busy(status, **headers):
    return status, {"detail": "later"}, headers


@pytest.mark.parametrize("status", [429, 502, 503])
async def test_a_busy_target_is_asked_again_after_the_time_that_it_names(moody, status):
    moody.moods = [busy(status, **{"Retry-After": "0"})] * 2
    report = await moody.run()
    assert report.counts["created"] == 1
    assert len(set(moody.keys())) == 1


@pytest.mark.parametrize("mood", ["silent", "cut"])
async def test_a_write_of_which_nobody_knows_is_looked_for_before_it_is_made_again(moody, mood):
    moody.moods = [mood]
    report = await moody.run()
    assert report.ending == "finished"
    assert [user["userName"] for user in moody.users.values()] == ["u0@x.org"]


async def test_every_write_has_a_key_of_its_own_that_a_repetition_keeps(moody):
    moody.moods = [busy(503, **{"Retry-After": "0"})]
    await moody.run(people=3, concurrency=1)
    keys = moody.keys()
    assert len(keys) == 4
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


async def test_stopping_does_not_wait_for_the_time_that_a_busy_target_asks_for(moody):
    moody.moods = [busy(429, **{"Retry-After": "3600"})]
    engine = moody.engine()
    cycle = asyncio.create_task(engine.run_once("staff", Options(patient=False)))
    await until(moody.keys)
    engine.stop.set()
    stopped = await asyncio.wait_for(cycle, 10)
    assert (stopped.ending, moody.state.counts("staff")["failures"]) == ("stopped", 0)
    assert (await moody.run()).counts["created"] == 1


async def test_stopping_does_not_wait_for_a_busy_target_when_users_are_deleted_either(moody):
    await moody.run(people=2)
    moody.moods = [busy(503, **{"Retry-After": "3600"})]
    engine = moody.engine(people=1)
    cycle = asyncio.create_task(engine.run_once("staff", Options(patient=False)))
    await until(moody.deletes)
    engine.stop.set()
    stopped = await asyncio.wait_for(cycle, 10)
    assert (stopped.ending, moody.state.counts("staff")["staged"]) == ("stopped", 1)
    assert (await moody.run()).counts["deleted"] == 1


async def test_a_user_whose_deletion_the_target_chokes_on_fails_alone(moody):
    await moody.run(people=3)
    moody.moods = [busy(504)] * 3
    report = await moody.run(people=1, concurrency=1)
    assert (report.ending, report.counts["failed"], report.counts["deleted"]) == ("finished", 1, 1)
    assert moody.failure()["provisioningAction"] == "delete"
    assert (await moody.run(people=1)).counts["deleted"] == 1


async def test_a_time_to_wait_that_is_no_number_is_passed_over(moody):
    moody.moods = [busy(429, **{"Retry-After": "²"})]
    assert (await moody.run()).counts["created"] == 1


async def test_a_user_that_the_target_chokes_on_fails_alone(moody):
    moody.moods = [busy(503, **{"Retry-After": "0"})] * 3
    report = await moody.run(people=3, concurrency=1)
    assert (report.ending, report.counts["failed"], report.counts["created"]) == ("finished", 1, 2)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            (400, {"scimType": "invalidValue", "detail": "title is too long"}),
            "UnprocessableEntity",
            "title is too long",
        ),
        ((400, {"scimType": "uniqueness"}), "EntryConflict", "uniqueness"),
        ((400, {"scimType": "mutability", "detail": "userName"}), "NotPermitted", "mutability: userName"),
        ((400, {"scimType": "invalidPath"}), "SchemaAttributeNotFound", "invalidPath"),
        ((400, {"scimType": "noTarget"}), "SchemaAttributeNotFound", "noTarget"),
        ((400, {"scimType": ["uniqueness"]}), "UnprocessableEntity", "400"),
        ((400, {}), "UnprocessableEntity", "400"),
        ((403, {}), "InsufficientRights", "403"),
        ((409, {"scimType": "uniqueness"}), "EntryConflict", "uniqueness"),
        ((500, {"detail": "oops"}), "InternalServerError", "oops"),
        ((501, {}), "NotImplemented", "501"),
        ((418, {}), "InternalError", "418"),
    ],
)
async def test_each_refusal_has_its_code_in_the_log(moody, answer, code, words):
    moody.moods = [(*answer, {})]
    assert (await moody.run()).counts["failed"] == 1
    entry = moody.failure()
    assert entry["errorCode"] == code
    assert words in entry["reason"]


TOO_LONG = (400, {"scimType": "invalidValue", "detail": "'Ann' is too long"})


@pytest.mark.parametrize(
    "how",
    [
        {"job": {"redact_log": True}},
        {"mappings": [*MAPPINGS[:1], MAPPINGS[1] | {"redact": True}]},
        {
            "mappings": [
                *MAPPINGS[:1],
                {"target": "title", "type": "expression", "expression": "Redact([title])"},
            ]
        },
    ],
)
async def test_the_words_of_a_target_stay_out_of_a_redacted_log(moody, how):
    moody.moods = [(*TOO_LONG, {})]
    await moody.run(**how)
    assert "Ann" not in json.dumps(moody.failure())
    assert moody.failure()["reason"] == "400: invalidValue: the target's own words are kept out of the log"


async def test_a_scim_type_that_is_none_stays_out_of_a_redacted_log_too(moody):
    moody.moods = [(400, {"scimType": "Ann is too long"}, {})]
    await moody.run(job={"redact_log": True})
    assert "Ann" not in json.dumps(moody.failure())


async def test_two_users_of_one_batch_with_one_matching_value_are_not_both_created(moody):
    """The target would take both: at the same time, neither can be found when the other is looked for."""
    same = [{"target": "userName", "source": "title", "match": 1}, *MAPPINGS[1:2]]
    report = await moody.run(people=3, mappings=same, concurrency=3)
    assert (report.counts["created"], report.counts["failed"], len(moody.users)) == (1, 2, 1)
    assert moody.failure()["errorCode"] == "DuplicateSourceEntries"


async def test_two_users_of_one_batch_are_not_given_one_unique_value(moody):
    unique = 'SelectUniqueValue([title], Append([title], "1"), Append([title], "2"))'
    chosen = {"target": "nickName", "type": "expression", "expression": unique, "apply": "creation"}
    await moody.run(people=3, mappings=[MAPPINGS[0], chosen], concurrency=3)
    assert sorted(user["nickName"] for user in moody.users.values()) == ["T", "T1", "T2"]


async def test_two_users_of_the_target_with_one_matching_value_are_a_fault_of_the_target(moody):
    moody.write({"userName": "u0@x.org"})
    moody.answers["double"] = True
    assert (await moody.run()).counts["failed"] == 1
    assert moody.failure()["errorCode"] == "DuplicateTargetEntries"


async def test_several_values_of_a_complex_attribute_arrive_as_objects(moody):
    split = {"target": "emails", "type": "expression", "expression": 'Split("a@x.org,b@x.org", ",")'}
    await moody.run(mappings=[*MAPPINGS, split])
    assert moody.users["1"]["emails"] == [{"value": "a@x.org"}, {"value": "b@x.org"}]


async def test_what_answers_no_scim_quarantines(moody):
    report = await moody.run(url="/../web")
    assert report.ending == "quarantined"
    assert "ServiceIncompatible" in report.detail


async def test_an_answer_that_never_comes_is_a_timeout(tmp_path):
    async def say_nothing(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    service = Moody(tmp_path)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/scim"
    report = await service.run(timeout_s=0.2, attempts=1)
    server.close()
    service.state.close()
    assert report.ending == "unavailable"
    assert "no answer within 0.2 s" in report.detail


async def test_requests_keep_to_their_limit_a_second(moody):
    begun = asyncio.get_running_loop().time()
    await moody.run(people=10, requests_per_s=50)
    assert asyncio.get_running_loop().time() - begun >= 20 / 50


@pytest.mark.parametrize(("status", "ending"), [(500, "unavailable"), (400, "quarantined"), (501, "quarantined")])
async def test_an_application_that_is_broken_for_now_is_no_reason_for_quarantine(moody, status, ending):
    moody.answers["find"] = status
    report = await moody.run()
    assert (report.ending, "broken" in report.detail) == (ending, True)


async def test_a_request_is_signed_when_its_turn_has_come(moody, tmp_path, monkeypatch):
    make_key(tmp_path / "engine.key")
    settings = moody.engine(signing_key=str(tmp_path / "engine.key")).settings.jobs["staff"].target
    lane, begun = Lane(1), clock.now()
    async with Target(settings, lane=lane) as target:
        async with lane.turn():
            waiting = asyncio.create_task(target.find("userName", "x"))
            await asyncio.sleep(0)
            monkeypatch.setattr(clock, "now", lambda: begun + timedelta(minutes=5))
        await waiting
    assert f"created={int(begun.timestamp()) + 300}" in moody.signatures[-1]


async def test_jobs_of_one_target_share_the_least_of_their_limits(moody):
    moody.hold_s = 0.01
    staff = moody.engine(people=20, concurrency=8).settings
    other = moody.engine(people=None, concurrency=3).settings.jobs["staff"]
    engine = Engine(staff.model_copy(update={"jobs": {**staff.jobs, "other": other}}), moody.state)
    await asyncio.gather(*(engine.run_once(name, Options(patient=False)) for name in engine.settings.jobs))
    assert moody.most_under_way == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"url": "http://scim.example.org"}, "in the clear"),
        ({"url": "ftp://x"}, "is no URL: write https"),
        ({"url": "https://u:p@x.org/scim"}, "login"),
        ({"token": None}, "token"),
        ({"token_file": "x"}, "not by both"),
    ],
)
def test_a_target_that_could_not_be_used_is_refused_when_it_is_saved(changes, reason):
    with pytest.raises(ValidationError, match=reason):
        TargetSettings.model_validate({"url": "https://x.org/scim", "token": "t" * 20} | changes)


def test_a_token_that_is_no_secret_is_refused():
    with pytest.raises(ConfigurationError, match="12 characters"):
        Target(TargetSettings.model_validate({"url": "https://x.org/scim", "token": "short"}))


async def test_every_request_is_part_of_one_trace_and_has_a_span_of_its_own(moody):
    await moody.run(people=2)
    assert len({trace.split("-")[1] for trace in moody.traces}) == 1
    assert len(set(moody.traces)) == len(moody.traces) > 2


async def test_a_target_that_demands_signatures_gets_them(tmp_path):
    make_key(tmp_path / "engine.key")
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    url = "https://localhost/ecma2host_HR/scim"
    demand = {"keys": (tmp_path / "engine.key.pub",), "urls": (url,), "required": "all"}
    try:
        async with serve(tmp_path, outcomes=outcomes, signing=demand) as service:
            # The port is known only now.
            service.served.signing = replace(service.served.signing, urls=(service.origin + service.base,))
            rig = Rig(tmp_path, service)
            rig.people(person(1), person(2))
            await rig.run()
            assert not rig.rows()
            rig.document["target"]["signing_key"] = str(tmp_path / "engine.key")
            await rig.run()
            assert len(rig.rows()) == 2
            rig.people(person(1, given="Changed"), person(2))
            await rig.run()
            assert rig.rows()["u00001"]["FirstName"] == "Changed"
            rig.state.close()
    finally:
        await outcomes.close()

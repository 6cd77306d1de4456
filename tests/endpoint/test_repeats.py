"""A write with an idempotency key is carried out once, however often it arrives and whatever happens in between."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing, contextmanager

import pytest
import time_machine

from connector_host import clock
from connector_host.endpoint.outcomes import KEPT_S, Answer, Names, Outcomes, Unrecordable
from tests.endpoint.service import serve
from tests.provisioning.rig import until

KEY = {"Idempotency-Key": "a-key-1"}
BARBARA = {"userName": "bjensen", "name": {"givenName": "Barbara"}}


@asynccontextmanager
async def recorded(folder):
    outcomes = Outcomes(folder / "state" / "outcomes.sqlite3")
    try:
        async with serve(folder, outcomes=outcomes) as service:
            yield service
    finally:
        await outcomes.close()


@pytest.fixture
async def scim(tmp_path):
    async with recorded(tmp_path) as service:
        yield service


def key_of(text, connector="HR"):
    return hashlib.sha256(f"{connector}\n{text}".encode()).digest()


async def test_a_repeated_create_gets_the_first_answer(scim):
    first = await scim.post(BARBARA, headers=KEY)
    again = await scim.post(BARBARA, headers=KEY)
    assert (first.status, again.status) == (201, 201)
    assert again.text == first.text
    assert [again.headers[name] for name in ("Location", "ETag", "Content-Type")] == [
        first.headers[name] for name in ("Location", "ETag", "Content-Type")
    ]
    assert len(scim.rows()) == 1


async def test_a_repeated_delete_is_not_a_404(scim):
    await scim.post(BARBARA)
    assert (await scim.delete("bjensen", headers=KEY)).status == 204
    assert (await scim.delete("bjensen", headers=KEY)).status == 204
    assert (await scim.delete("bjensen")).status == 404


async def test_the_same_write_many_times_at_once_is_carried_out_once(scim):
    answers = await asyncio.gather(*(scim.post(BARBARA, headers=KEY) for _ in range(10)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(scim.rows()) == 1


async def test_keys_of_different_writes_do_not_meet(scim):
    users = [{"userName": f"user{number}", "name": {"givenName": "U"}} for number in range(30)]
    answers = await asyncio.gather(
        *(scim.post(user, headers={"Idempotency-Key": f"key-{number}"}) for number, user in enumerate(users))
    )
    assert {answer.status for answer in answers} == {201}
    assert len(scim.rows()) == 30


async def test_a_key_that_comes_with_another_request_is_refused(scim):
    await scim.post(BARBARA, headers=KEY)
    other = await scim.post(BARBARA | {"userName": "other"}, headers=KEY)
    assert other.status == 422
    assert "another request" in other.body["detail"]
    assert len(scim.rows()) == 1


async def test_a_write_that_was_refused_may_be_sent_again(scim):
    await scim.post(BARBARA)
    assert (await scim.post(BARBARA, headers=KEY)).status == 409
    scim.run("DELETE FROM Employees")
    assert (await scim.post(BARBARA, headers=KEY)).status == 201


async def test_a_write_that_met_a_table_that_is_not_as_configured_may_be_sent_again(scim):
    scim.run("ALTER TABLE Employees RENAME TO Elsewhere")
    refused = await scim.post(BARBARA, headers=KEY)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "60")
    assert "nothing was done; see its log" in refused.body["detail"]
    scim.run("ALTER TABLE Elsewhere RENAME TO Employees")
    assert (await scim.post(BARBARA, headers=KEY)).status == 201


async def test_the_outcome_outlives_the_process(tmp_path):
    async with recorded(tmp_path) as scim:
        first = await scim.post(BARBARA, headers=KEY)
        served_at = scim.origin
    async with recorded(tmp_path) as scim:
        again = await scim.post(BARBARA, headers=KEY)
        assert again.status == 201
        assert again.body == first.body
        assert again.headers["Location"].startswith(served_at)
        assert len(scim.rows()) == 1


async def test_a_write_that_a_dying_process_left_open_is_unknown_and_not_carried_out_again(tmp_path):
    file = tmp_path / "state" / "outcomes.sqlite3"
    body = b'{"userName": "bjensen", "name": {"givenName": "Barbara"}}'
    digest = hashlib.sha256(b"POST /ecma2host_HR/scim/Users\n" + body).digest()
    program = (
        "import asyncio, os, pathlib, sys\n"
        "from connector_host.endpoint.outcomes import Names, Outcomes\n"
        "async def main():\n"
        "    outcomes = Outcomes(pathlib.Path(sys.argv[1]))\n"
        "    await outcomes.begin(Names(bytes.fromhex(sys.argv[2])), bytes.fromhex(sys.argv[3]))\n"
        "    os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    command = (sys.executable, "-c", program, str(file), key_of("a-key-1").hex(), digest.hex())
    assert (await asyncio.to_thread(subprocess.run, command, check=False)).returncode == 9
    async with recorded(tmp_path) as scim:
        answer = await scim.call("POST", "/Users", data=body, headers=KEY)
        assert answer.status == 504
        assert "begun before" in answer.body["detail"]
        assert "may or may not" in answer.body["detail"]
        assert "under a new key" in answer.body["detail"]
        assert not scim.rows()


async def test_reads_take_no_key(scim):
    assert (await scim.get("/Users", headers=KEY)).status == 200
    assert (await scim.post(BARBARA, headers=KEY)).status == 201


@pytest.mark.parametrize("key", ["", "x" * 129, "a key", "käse", '"'])
async def test_a_key_that_is_none_is_refused(scim, key):
    assert (await scim.post(BARBARA, headers={"Idempotency-Key": key})).status == 400
    assert not scim.rows()


async def test_a_caller_without_the_token_learns_nothing_from_a_key(scim):
    await scim.post(BARBARA, headers=KEY)
    assert (await scim.post(BARBARA, headers=KEY, token="wrong")).status == 401


async def record_of(service):
    return (await service.get("/healthz", base="", token="")).body["idempotency_record"]


async def test_health_names_the_record_that_keys_are_kept_in(tmp_path, tmp_path_factory):
    async with recorded(tmp_path) as scim:
        first = await record_of(scim)
    async with recorded(tmp_path) as scim:
        assert await record_of(scim) == first
    async with recorded(tmp_path_factory.mktemp("other")) as other:
        assert await record_of(other) not in {first, None}
    async with serve(tmp_path_factory.mktemp("plain")) as plain:
        assert await record_of(plain) is None


async def test_a_write_for_the_host_of_another_record_is_refused_undone_and_uses_up_no_key(scim):
    own = await record_of(scim)
    other = await scim.post(BARBARA, headers=KEY | {"Idempotency-Record": "another"})
    assert (other.status, other.headers["Idempotency-Record"]) == (412, own)
    assert not scim.rows()
    assert (await scim.post(BARBARA, headers=KEY | {"Idempotency-Record": own})).status == 201


async def test_a_host_without_a_record_carries_out_no_write_that_counts_on_one(tmp_path):
    async with serve(tmp_path) as plain:
        refused = await plain.post(BARBARA, headers={"Idempotency-Record": "one"})
        assert (refused.status, refused.headers["Idempotency-Record"]) == (412, "")
        assert not plain.rows()


async def test_a_refusal_says_that_the_record_was_asked_and_one_at_the_door_does_not(scim):
    meant = KEY | {"Idempotency-Record": await record_of(scim)}
    refused = await scim.call("PUT", "/Users/nobody", json=BARBARA, headers=meant)
    assert (refused.status, refused.headers["Idempotency-Record"]) == (404, meant["Idempotency-Record"])
    assert "Idempotency-Record" not in (await scim.call("PUT", "/Users/nobody", json=BARBARA, headers=KEY)).headers
    at_the_door = await scim.post(BARBARA, headers=meant | {"Authorization": "Bearer another"})
    assert at_the_door.status == 401
    assert "Idempotency-Record" not in at_the_door.headers


async def test_a_record_that_is_meant_does_not_bind_reads(scim):
    assert (await scim.get("/Users", headers={"Idempotency-Record": "another"})).status == 200


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
async def test_the_file_is_for_its_owner_only(tmp_path):
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    await outcomes.close()
    assert stat.S_IMODE((tmp_path / "outcomes.sqlite3").stat().st_mode) == 0o600


async def test_outcomes_expire(tmp_path):
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    with time_machine.travel(clock.now(), tick=False) as traveller:
        assert await outcomes.begin(Names(b"key"), b"request") is None
        await outcomes.finish(Names(b"key"), Answer(204, [], b""))
        outcomes.leave(Names(b"key"))
        traveller.shift(KEPT_S - 1)
        assert (await outcomes.begin(Names(b"key"), b"request")).answer.status == 204
        outcomes.leave(Names(b"key"))
        traveller.shift(2)
        assert await outcomes.begin(Names(b"key"), b"request") is None
    await outcomes.close()


async def begin_after_a_while(outcomes, number):
    """Begin in the turn of the loop in which others do, but so late that their record may be under way."""
    if number:
        time.sleep(0.05)  # noqa: ASYNC251 - no other turn is to come
    return await outcomes.begin(Names(b"%d" % number), b"request")


async def test_what_begins_in_one_turn_of_the_loop_goes_to_the_disk_together(tmp_path):
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    statements = []
    outcomes._connection.set_trace_callback(statements.append)
    await asyncio.gather(*(begin_after_a_while(outcomes, number) for number in range(3)))
    await outcomes.close()
    assert statements.count("COMMIT") == 1


async def test_a_record_that_is_closed_takes_what_was_begun_and_refuses_the_rest(tmp_path):
    outcomes = Outcomes(tmp_path / "outcomes.sqlite3")
    first = asyncio.create_task(begin_after_a_while(outcomes, 0))
    closing_it = asyncio.create_task(outcomes.close())
    second = asyncio.create_task(begin_after_a_while(outcomes, 1))
    async with asyncio.timeout(20):
        assert await asyncio.gather(first, closing_it) == [None, None]
        with pytest.raises(Unrecordable):
            await second


async def test_an_answer_that_cannot_be_read_any_more_is_unknown_and_costs_no_other_write(tmp_path):
    file = tmp_path / "state" / "outcomes.sqlite3"
    outcomes = Outcomes(file)
    async with serve(tmp_path, outcomes=outcomes, limits={"request_s": 2.0}) as scim:
        assert (await scim.post(BARBARA, headers=KEY)).status == 201
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE outcome SET answer = x'ff'")
        assert (await scim.post(BARBARA, headers=KEY)).status == 504
        assert (await scim.delete("bjensen", headers={"Idempotency-Key": "another"})).status == 204
    await outcomes.close()


async def test_a_write_that_is_committed_is_answered_as_such_however_long_its_record_takes(tmp_path):
    file = tmp_path / "state" / "outcomes.sqlite3"
    outcomes = Outcomes(file)
    async with serve(tmp_path, outcomes=outcomes, limits={"request_s": 0.8}) as scim:
        with held(scim.database) as database:
            asked = asyncio.create_task(scim.post(BARBARA, headers=KEY))
            await until(lambda: began(file))
            with held(file):
                database.rollback()
                assert (await asked).status == 201
        assert (await scim.post(BARBARA, headers=KEY)).status == 201
        assert len(scim.rows()) == 1
    await outcomes.close()


async def test_what_a_write_comes_to_after_its_time_is_what_a_repetition_is_told(tmp_path):
    outcomes = Outcomes(tmp_path / "state" / "outcomes.sqlite3")
    async with serve(tmp_path, outcomes=outcomes, limits={"request_s": 0.5}) as scim:
        await scim.get("/Users")
        with held(scim.database):
            assert (await scim.post(BARBARA, headers=KEY)).status == 504
            assert (await scim.post(BARBARA, headers=KEY)).status == 504  # not known yet
        again = await settled(lambda: scim.post(BARBARA, headers=KEY))
        assert (again.status, again.body["userName"]) == (201, "bjensen")
        assert again.headers["ETag"] == (await scim.get("/Users/bjensen")).headers["ETag"]
        assert len(scim.rows()) == 1
    await outcomes.close()


async def test_a_write_that_is_refused_after_its_time_may_be_sent_again(tmp_path):
    outcomes = Outcomes(tmp_path / "state" / "outcomes.sqlite3")
    async with serve(tmp_path, outcomes=outcomes, limits={"request_s": 0.5}) as scim:
        await scim.get("/Users")
        with held(scim.database) as other:
            assert (await scim.post(BARBARA, headers=KEY)).status == 504
            other.execute("INSERT INTO Employees (Login, FirstName) VALUES ('bjensen', 'Another')")
            other.commit()
        assert (await settled(lambda: scim.post(BARBARA, headers=KEY))).status == 409
        scim.run("DELETE FROM Employees")
        assert (await scim.post(BARBARA, headers=KEY)).status == 201
    await outcomes.close()


async def test_a_write_of_which_nothing_was_begun_in_time_may_be_sent_again(tmp_path):
    outcomes = Outcomes(tmp_path / "state" / "outcomes.sqlite3")
    async with serve(tmp_path, outcomes=outcomes, delete={"action": "none"}, limits={"request_s": 0.5}) as scim:
        await scim.post(BARBARA)
        with held(scim.database, "EXCLUSIVE"):
            assert (await scim.delete("bjensen", headers=KEY)).status == 503
        assert (await settled(lambda: scim.delete("bjensen", headers=KEY))).status == 204
    await outcomes.close()


async def test_a_write_whose_time_passes_before_it_is_recorded_was_not_begun_and_may_be_sent_again(tmp_path):
    file = tmp_path / "state" / "outcomes.sqlite3"
    outcomes = Outcomes(file)
    async with serve(tmp_path, outcomes=outcomes, limits={"request_s": 0.5}) as scim:
        await scim.get("/Users")
        with held(file):
            refused = await scim.post(BARBARA, headers=KEY)
            assert (refused.status, "record" in refused.body["detail"]) == (503, True)
        assert (await scim.post(BARBARA, headers=KEY)).status == 201
        assert len(scim.rows()) == 1
    await outcomes.close()


async def test_a_stop_gives_the_key_back_of_a_write_that_was_not_recorded_in_time(tmp_path):
    file = tmp_path / "state" / "outcomes.sqlite3"
    outcomes = Outcomes(file)
    with held(file):
        async with serve(tmp_path, outcomes=outcomes, limits={"request_s": 0.5}) as scim:
            assert (await scim.post(BARBARA, headers=KEY)).status == 503
    await outcomes.close()
    async with recorded(tmp_path) as scim:
        assert (await scim.post(BARBARA, headers=KEY)).status == 201


async def test_a_stop_waits_until_what_came_late_is_recorded(tmp_path):
    file = tmp_path / "state" / "outcomes.sqlite3"
    outcomes = Outcomes(file)
    async with serve(tmp_path, outcomes=outcomes, limits={"request_s": 0.5}) as scim:
        await scim.get("/Users")
        with held(scim.database):
            assert (await scim.post(BARBARA, headers=KEY)).status == 504
    await outcomes.close()
    async with recorded(tmp_path) as scim:
        assert (await scim.post(BARBARA, headers=KEY)).status == 201
        assert len(scim.rows()) == 1


async def settled(ask):
    """Ask until the outcome is known, and return what is told then."""
    async with asyncio.timeout(10):
        while (answer := await ask()).status == 504:
            pass
    return answer


class Watched(Outcomes):
    """Says when an outcome is about to be recorded."""

    def __init__(self, file):
        super().__init__(file)
        self.finishing = asyncio.Event()

    async def finish(self, names, answer):
        self.finishing.set()
        await super().finish(names, answer)


async def test_a_committed_write_is_answered_as_such_where_all_its_time_passes_while_the_loop_is_held_up(tmp_path):
    file = tmp_path / "state" / "outcomes.sqlite3"
    outcomes = Watched(file)
    async with serve(tmp_path, outcomes=outcomes, limits={"request_s": 1.0}) as scim:
        with held(scim.database) as database:
            asked = asyncio.create_task(scim.post(BARBARA, headers=KEY))
            await until(lambda: began(file))
            with held(file):
                database.rollback()
                await outcomes.finishing.wait()
                time.sleep(2.2)  # noqa: ASYNC251 - as a machine that is paused
                assert (await asked).status == 201
    await outcomes.close()


@contextmanager
def held(file, how="IMMEDIATE"):
    """Keep everybody else from writing this database."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"BEGIN {how}")
        yield connection


def began(file):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT 1 FROM outcome").fetchone()

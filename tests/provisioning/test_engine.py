"""The engine runs jobs by the clock, one engine a job, and tells people what is new."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from connector_host import clock
from connector_host.cli.provision.asking import _status
from connector_host.errors import ConfigurationError
from connector_host.provisioning.cycles import Options
from connector_host.provisioning.engine import Engine
from connector_host.provisioning.errors import JobHeld, SourceFailed
from connector_host.provisioning.reports import Ending, Kind, Report
from connector_host.provisioning.restarting import USUAL, RestartScope, restart
from connector_host.provisioning.schedule import due_at, next_run, schedule_of
from connector_host.provisioning.settings import Provisioning
from connector_host.provisioning.state.leading import lead, leading
from connector_host.provisioning.state.logbook import Question, lines
from connector_host.provisioning.state.records import JobState
from connector_host.provisioning.state.store import State
from tests.provisioning.jobs import job
from tests.provisioning.mail import mail_server, webhook
from tests.provisioning.rig import ENTERPRISE, MAPPINGS, Rig, person, until
from tests.servers import PASSWORD

EACH_SECOND = "* * * * * *"


@contextlib.asynccontextmanager
async def serving(engine, names=("staff",)):
    task = asyncio.create_task(engine.serve(names))
    try:
        yield
    finally:
        engine.stop.set()
        await task


async def test_a_job_runs_at_once_and_again_after_its_interval(rig):
    rig.people(person(1))
    async with serving(rig.engine(cron=EACH_SECOND)):
        await until(lambda: rig.job().last_report)
        rig.people(person(1), person(2))
        await until(lambda: "u00002" in rig.rows())


async def test_a_job_that_goes_wrong_does_not_end_the_others(rig, monkeypatch):
    rig.people(person(1))
    engine = rig.engine()
    engine = replace(
        engine, settings=Provisioning.model_validate({"jobs": {"bad": rig.document, "staff": rig.document}})
    )
    led = Engine._led

    async def broken(self, name, *rest):
        if name == "bad":
            raise RecursionError
        return await led(self, name, *rest)

    monkeypatch.setattr(Engine, "_led", broken)
    task = asyncio.create_task(engine.serve(["bad", "staff"]))
    await until(lambda: "u00001" in rig.rows())
    await until(lambda: (rig.state.job("bad").next_run or 0) > clock.now().timestamp() + 30)
    engine.stop.set()
    await task


async def test_a_stopped_job_waits_until_it_is_started(rig):
    rig.people(person(1))
    rig.state.job("staff")
    rig.state.set_job("staff", stopped=True)
    with pytest.raises(ConfigurationError, match="stopped"):
        await rig.run()
    async with serving(rig.engine()):
        await asyncio.sleep(0.2)  # nothing must happen, which no event could tell
        assert rig.rows() == {}
        rig.state.set_job("staff", stopped=False)
        await until(lambda: "u00001" in rig.rows())


async def test_a_job_that_was_in_quarantine_for_too_long_is_switched_off_until_it_is_restarted(rig):
    rig.people(person(1))
    rig.state.job("staff")
    rig.state.set_job("staff", quarantined_at=1.0)
    await rig.run(target=rig.document["target"] | {"token": "x" * 32})
    assert (rig.job().stopped, rig.job().switched_off) == (False, True)
    with pytest.raises(ConfigurationError, match="switched off, for it was in quarantine for more than 28 days"):
        await rig.run()
    restart(rig.state, "staff", USUAL)
    assert (await rig.run()).counts["created"] == 1


async def test_restarting_a_stopped_job_does_not_start_it(rig):
    rig.people(person(1))
    rig.state.job("staff")
    rig.state.set_job("staff", stopped=True)
    restart(rig.state, "staff", [RestartScope.FULL])
    with pytest.raises(ConfigurationError, match="is stopped"):
        await rig.run()


async def test_stopping_by_the_state_ends_a_cycle_under_way(rig):
    rig.people(*(person(n) for n in range(2_000)))
    engine = rig.engine(target=rig.document["target"] | {"requests_per_s": 100})
    cycle = asyncio.create_task(engine.run_once("staff", Options()))
    await until(lambda: len(rig.rows()) > 5)
    rig.state.set_job("staff", stopped=True)
    report = await asyncio.wait_for(cycle, 5)
    assert report.ending == "stopped"
    assert len(rig.rows()) < 500
    assert rig.job().stopped


async def test_a_schedule_that_comes_sooner_is_followed_by_an_engine_that_starts_with_it(rig):
    rig.people(person(1))
    await rig.run(cron="0 0 1 1 *")
    rig.people(person(1), person(2))
    rig.state.set_job("staff", begun_at=clock.now().timestamp() - 60)
    async with serving(rig.engine(interval_min=1)):
        await until(lambda: "u00002" in rig.rows())


async def test_an_engine_takes_over_another_schedule_and_mapping_and_a_job_that_is_new(rig):
    rig.people(person(1))
    engine = rig.engine(cron="0 0 1 1 *")
    async with serving(engine, None):
        await until(lambda: rig.job().last_report)
        other = rig.folder / "others.csv"
        other.write_text(rig.file.read_text().replace("u00001", "u00009").replace("u1@", "u9@"))
        mappings = [*MAPPINGS[:-1], {"target": f"{ENTERPRISE}:department", "type": "constant", "constant": "Law"}]
        staff = rig.document | {"cron": EACH_SECOND, "mappings": mappings}
        guests = rig.document | {"source": rig.document["source"] | {"path": str(other)}}
        engine.take_over(Provisioning.model_validate({"jobs": {"staff": staff, "guests": guests}}))
        await until(lambda: "u00009" in rig.rows())
        await until(lambda: rig.rows()["u00001"]["Department"] == "Law")


async def test_a_job_that_is_removed_ends_with_the_users_in_hand(rig):
    rig.people(*(person(n) for n in range(2_000)))
    engine = rig.engine(target=rig.document["target"] | {"requests_per_s": 100})
    async with serving(engine, None):
        await until(lambda: len(rig.rows()) > 5)
        engine.take_over(Provisioning.model_validate({"jobs": {"guests": rig.document | {"interval_min": 1_000}}}))
        await until(lambda: rig.job().last_report)
    assert json.loads(rig.job().last_report)["ending"] == "stopped"


async def test_an_engine_that_cannot_read_its_source_lives_on(rig):
    async with serving(rig.engine()):
        await until(lambda: rig.job().next_run is not None)
        rig.people(person(1))
        rig.state.set_job("staff", next_run=None)
        await until(lambda: "u00001" in rig.rows())


@pytest.mark.parametrize("by_the_clock", [True, False])
async def test_a_cycle_that_cannot_begin_is_reported_with_its_reason(rig, by_the_clock):
    rig.people(person(1))
    await rig.run()
    rig.file.unlink()
    rig.state.set_job("staff", next_run=None)
    if by_the_clock:
        async with serving(rig.engine()):
            await until(lambda: rig.job().next_run is not None)
    else:
        with pytest.raises(SourceFailed, match="cannot be read"):
            await rig.run()
    last = json.loads(rig.job().last_report)
    assert (last["ending"], last["kind"], last["cycle"]) == ("unavailable", "full", 2)
    assert "people.csv cannot be read (No such file or directory)" in last["detail"]
    assert _status(rig.state, "staff", rig.settings().jobs["staff"])["condition"] == "unavailable"
    rig.people(person(1))
    await rig.run()
    assert _status(rig.state, "staff", rig.settings().jobs["staff"])["condition"] == "well"


async def test_one_engine_leads_a_job_on_sqlite(rig):
    rig.people(person(1))
    other = State(str(rig.state.engine.url))
    with lead(other, "staff"), pytest.raises(JobHeld):
        await rig.run()
    assert (await rig.run()).ending == "finished"
    other.close()


async def test_on_postgresql_a_lead_ends_with_its_connection(postgresql_url):
    one, other = State(postgresql_url), State(postgresql_url)
    one.migrate()
    other.migrate()
    with lead(one, "staff") as held:
        assert held.is_held()
        keepalive = sa.select(sa.func.current_setting("tcp_keepalives_idle"))
        assert held._connection.scalar(keepalive) == "10"  # two hours by default, for which nobody else could lead
        with pytest.raises(JobHeld), lead(other, "staff"):
            pass
        with other.engine.begin() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        assert not held.is_held()
        with lead(other, "staff") as taken:
            assert taken.is_held()
    one.close()
    other.close()


async def test_a_lead_that_is_called_off_while_it_is_taken_is_let_go(rig):
    """The thread that asks for the lock goes on: what it gets must not stay with nobody."""
    with lead(rig.state, "staff"):  # so that the other one waits for SQLite, in its thread
        taking = asyncio.create_task(_take(rig.state))
        await asyncio.sleep(0.05)
        taking.cancel()
    with pytest.raises((asyncio.CancelledError, JobHeld)):
        await taking
    with lead(rig.state, "staff") as held:
        assert held.is_held()


async def _take(state):
    async with leading(state, "staff"):
        await asyncio.sleep(3_600)


async def test_an_engine_outlives_a_restart_of_the_database_of_its_state(rig, own_postgresql):
    server = own_postgresql
    url = sa.URL.create(
        "postgresql+psycopg", server.user, PASSWORD, server.host, server.port, database=server.database()
    )
    both = Rig(rig.folder, rig.service, url.render_as_string(hide_password=False))
    both.people(person(1))
    async with serving(both.engine(cron=EACH_SECOND)):
        await until(lambda: both.job().last_report)
        await asyncio.to_thread(server.kill)
        both.people(person(1), person(2))
        await asyncio.sleep(1.5)  # long enough for the engine to meet the dead database
        await asyncio.to_thread(server.start)
        await until(lambda: "u00002" in rig.rows(), 20)
    both.state.close()


async def test_a_whole_job_runs_on_postgresql_state(rig, postgresql_url):
    both = Rig(rig.folder, rig.service, postgresql_url)
    both.people(person(1), person(2))
    assert (await both.run()).counts["created"] == 2
    both.people(person(1, given="Ada"))
    report = await both.run()
    assert (report.counts["updated"], report.counts["deleted"]) == (1, 1)
    assert len(both.log()) == 4
    both.state.close()


BEGUN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def run_after(ending, *, quarantined_at=None, **changes):
    settings = job(**changes)
    report = Report("staff", 1, Kind.FULL, ending=ending)
    where = JobState("staff", b"", quarantine_attempts=1, quarantined_at=quarantined_at)
    return datetime.fromtimestamp(next_run(settings, where, report, BEGUN), UTC)


def test_the_schedule_is_forty_minutes_an_interval_or_cron(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: BEGUN + timedelta(minutes=5))
    assert run_after(Ending.FINISHED) == BEGUN + timedelta(minutes=40)
    assert run_after(Ending.FINISHED, interval_min=7.5) == BEGUN + timedelta(minutes=7.5)
    assert run_after(Ending.FINISHED, cron="0 */2 * * *") == BEGUN + timedelta(hours=2)
    assert run_after(Ending.UNAVAILABLE) == BEGUN + timedelta(minutes=6)
    assert run_after(Ending.UNAVAILABLE, quarantined_at=1.0) == BEGUN + timedelta(hours=6, minutes=5)
    assert run_after(Ending.QUARANTINED) == BEGUN + timedelta(hours=6, minutes=5)


def due_after(where, **changes):
    return datetime.fromtimestamp(due_at(job(**changes), where), UTC)


def test_another_schedule_counts_from_the_last_cycle_and_never_delays_or_ends_a_quarantine():
    planned = BEGUN + timedelta(days=1)
    where = JobState(
        "staff", b"", begun_at=BEGUN.timestamp(), next_run=planned.timestamp(), schedule=schedule_of(job(cron="@daily"))
    )
    assert due_after(where, cron="@daily") == planned
    assert due_after(where, interval_min=5) == BEGUN + timedelta(minutes=5)
    assert due_after(where, cron="30 * * * *") == BEGUN + timedelta(minutes=30)
    assert due_after(where, interval_min=10_000) == planned
    assert due_after(replace(where, quarantined_at=1.0), interval_min=5) == planned
    assert due_at(job(), replace(where, next_run=None)) == 0


async def test_a_webhook_is_told_of_quarantine_and_recovery_without_anybodys_values(rig):
    rig.people(person(1))
    async with webhook() as (url, received):
        notify = {"webhook": url}
        await rig.run(notify=notify, target=rig.document["target"] | {"token": "not-the-right-token"})
        await rig.run(notify=notify, target=rig.document["target"] | {"token": "not-the-right-token"})
        await rig.run(notify=notify)
    told = [json.loads(text) for _, text in received]
    assert [one["event"] for one in told] == ["quarantined", "recovered"]
    assert "Given1" not in json.dumps(told)


async def test_a_webhook_is_told_what_is_held_back_and_that_it_is_over_once_it_is_allowed(rig):
    rig.people(*(person(n) for n in range(6)))
    async with webhook() as (url, received):
        job = {"notify": {"webhook": url}, "accidental_deletions": 1}
        await rig.run(**job)
        rig.people(*(person(n) for n in range(4)))
        await rig.run(**job)
        await rig.run(**job)
        rig.people(*(person(n) for n in range(3)))
        await rig.run(**job)
        restart(rig.state, "staff", [RestartScope.FORCE_DELETES])
        assert (await rig.run(**job)).counts["deleted"] == 3
    told = [(one["event"], re.findall(r"\d users", one["text"])) for one in (json.loads(text) for _, text in received)]
    assert told[1:] == [("deletes staged", ["2 users"]), ("deletes staged", ["3 users"]), ("recovered", [])]


async def test_a_webhook_is_told_that_nobody_is_taken_for_gone_and_that_this_is_over(rig):
    rig.people(person(1), person(2))
    async with webhook() as (url, received):
        job = {"notify": {"webhook": url}}
        await rig.run(**job)
        for people in ([person(1), person(2, id="")], [person(1), person(3, id="")], [person(1), person(2)]):
            rig.people(*people)
            await rig.run(**job)
    told = [json.loads(text) for _, text in received]
    assert [one["event"] for one in told] == ["initial cycle finished", "deletes suspended", "recovered"]
    assert "without a readable key" in told[1]["text"]


async def test_a_webhook_is_told_of_a_source_that_is_away_for_a_day_and_back_again(rig, monkeypatch):
    rig.people(person(1))
    async with webhook() as (url, received):
        job = {"notify": {"webhook": url}}
        await rig.run(**job)
        rig.file.unlink()
        began = clock.now()
        for hours in (0, 23, 24, 25):
            monkeypatch.setattr(clock, "now", lambda hours=hours: began + timedelta(hours=hours))
            with pytest.raises(SourceFailed):
                await rig.run(**job)
            assert len(received) == (1 if hours < 24 else 2)
        rig.people(person(1))
        await rig.run(**job)
        await rig.run(**job)
    told = [json.loads(text) for _, text in received]
    assert [one["event"] for one in told] == ["initial cycle finished", "unavailable", "recovered"]
    assert "people.csv cannot be read" in told[1]["text"]
    assert "Given1" not in json.dumps(told)


async def test_the_log_of_a_job_that_was_removed_is_pruned_by_age_with_the_others(rig, monkeypatch):
    rig.people(person(1))
    await Engine(Provisioning.model_validate({"jobs": {"former": rig.document}}), rig.state).run_once(
        "former", Options()
    )
    assert len(list(lines(rig.state, Question("former")))) == 1
    now = clock.now() + timedelta(days=31)
    monkeypatch.setattr(clock, "now", lambda: now)
    rig.people(person(1), person(2))
    await rig.run()
    assert list(lines(rig.state, Question("former"))) == []
    assert len(rig.log()) == 1


async def test_mail_is_sent_where_an_address_is_given(rig):
    rig.people(person(1))
    async with mail_server() as (smtp, received):
        await rig.run(notify={"email": "it@example.org", "smtp": smtp})
    assert "Subject: Provisioning job staff: initial cycle finished" in received
    assert [name for name in ("Date: ", "Message-ID: <") if not any(line.startswith(name) for line in received)] == []
    assert "To: it@example.org" in received


async def test_a_notice_that_cannot_be_sent_does_not_hurt_the_cycle(rig):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    rig.people(person(1))
    notify = {"email": "it@example.org", "smtp": f"smtp://127.0.0.1:{port}", "webhook": f"http://127.0.0.1:{port}/"}
    assert (await rig.run(notify=notify)).ending == "finished"


async def test_a_password_of_the_mail_server_that_cannot_be_sent_does_not_hurt_the_cycle(rig):
    async def smtp(reader, writer):
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            writer.write(b"221 bye\r\n" if line == b"QUIT\r\n" else b"250-test\r\n250 AUTH PLAIN\r\n")
        writer.close()

    server = await asyncio.start_server(smtp, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    password = rig.folder / "password"
    password.write_text("Schlüssel", encoding="utf-8")
    rig.people(person(1))
    mail = {"smtp": f"smtp://me@127.0.0.1:{port}", "smtp_password_file": str(password)}
    assert (await rig.run(notify={"email": "it@example.org", **mail})).ending == "finished"
    server.close()
    await server.wait_closed()


async def test_a_lead_is_let_go_only_after_whoever_is_asking_for_it(rig):
    asking, answer, gone = threading.Event(), threading.Event(), threading.Event()

    def held_up(*_):
        asking.set()
        answer.wait(10)

    def release():
        block.close()
        gone.set()

    block = contextlib.ExitStack()
    held = block.enter_context(lead(rig.state, "staff"))
    sa.event.listen(held._connection, "before_cursor_execute", held_up)
    looking = asyncio.create_task(asyncio.to_thread(held.is_held))
    await asyncio.to_thread(asking.wait, 10)
    leaving = asyncio.create_task(asyncio.to_thread(release))
    assert not await asyncio.to_thread(gone.wait, 0.2)
    answer.set()
    assert await looking
    await leaving
    assert not held.is_held()

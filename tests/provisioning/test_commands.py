"""The commands, as real processes against a real SCIM service."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner

from connector_host.cli.provision import steering
from connector_host.cli.speaking import speaking
from connector_host.provisioning.sources.contract import BATCH
from connector_host.provisioning.state.leading import lead
from tests.endpoint.service import TOKEN
from tests.provisioning import jobs_in_files
from tests.provisioning.jobs_in_files import PROGRAM, command, run_beside, running
from tests.provisioning.mail import webhook
from tests.provisioning.rig import person, until
from tests.provisioning.terminal import Terminal


@pytest.fixture
def config(rig):
    token = rig.folder / "token"
    token.write_text(TOKEN + "\n")
    trust = rig.document["target"]["trust"]
    return jobs_in_files.write(rig.folder, rig.document["target"]["url"], token, trust)


async def test_the_first_steps_of_an_administrator(rig, config):
    rig.people(*(person(n) for n in range(3)))
    checked = await run_beside(config, "check")
    assert checked.returncode == 0, checked.stdout
    assert "answers the probe" in checked.stdout
    planned = await run_beside(config, "dry-run", "staff", "--report", rig.folder / "plan.ndjson")
    assert "3 created" in planned.stdout
    assert len((rig.folder / "plan.ndjson").read_text().splitlines()) == 3
    assert stat.S_IMODE((rig.folder / "plan.ndjson").stat().st_mode) == 0o600  # it names people
    assert rig.rows() == {}
    done = await run_beside(config, "run", "--once")
    assert (done.returncode, "3 created" in done.stdout) == (0, True)
    assert rig.rows()["u00001"]["LastName"] == "FAMILY1"
    shown = json.loads((await run_beside(config, "status", "--json")).stdout)[0]
    assert (shown["condition"], shown["links"]) == ("well", 3)
    exported = await run_beside(config, "log", "staff", "--output", rig.folder / "log.csv")
    assert exported.returncode == 0, exported.stderr
    assert stat.S_IMODE((rig.folder / "log.csv").stat().st_mode) == 0o600
    with (rig.folder / "log.csv").open(newline="") as file:
        assert {row["sourceIdentity"] for row in csv.DictReader(file)} == {"0", "1", "2"}
    lost = await run_beside(config, "log", "staff", "--format", "csv", "--output", rig.folder / "nodir" / "log.csv")
    assert lost.returncode == 1
    assert lost.stderr.endswith("log.csv cannot be written (No such file or directory).\n")
    for unclear in (("--output", rig.folder / "log.txt"), ("--format", "table", "--output", rig.folder / "log.csv")):
        refused = await run_beside(config, "log", "staff", *unclear)
        assert (refused.returncode, "give --format csv or --format ndjson" in refused.stderr) == (2, True)
    assert not (rig.folder / "log.txt").exists()


async def test_a_dry_run_that_comes_to_no_end_says_so_by_its_exit_code(rig, config):
    rig.people(person(1))
    assert (await run_beside(config, "dry-run", "staff")).returncode == 0
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        config.write_text(re.sub(r"(https://[^:/]+):\d+", rf"\g<1>:{port}", config.read_text()))
        done = await run_beside(config, "dry-run", "staff", "--json")
    assert done.returncode == 1, done.stdout
    assert json.loads(done.stdout)["ending"] != "finished"


async def test_deletes_are_not_allowed_while_a_cycle_could_stage_them_anew(rig, config):
    with lead(rig.state, "staff"):
        refused = await run_beside(config, "allow-deletes", "staff")
    assert (refused.returncode, "allowed" in refused.stdout) == (1, False)
    assert "staff" in refused.stderr


async def test_users_who_failed_show_in_exit_code_status_and_log(rig, config):
    rig.people(person(1, department="x" * 21), person(2))
    done = await run_beside(config, "run", "--once")
    assert done.returncode == 2
    assert "1 failed" in done.stdout
    shown = (await run_beside(config, "status")).stdout
    assert ("1 UnprocessableEntity" in shown, all(map(str.strip, shown.splitlines()))) == (True, True)
    assert "UnprocessableEntity" in (await run_beside(config, "log", "staff", "--status", "failure")).stdout


async def test_one_user_on_demand_shows_five_steps(rig, config):
    rig.people(person(1))
    done = await run_beside(config, "user", "staff", "1")
    assert done.returncode == 0, done.stderr
    for step in ("test connection", "import", "scope", "match", "action"):
        assert step in done.stdout


async def test_held_back_deletes_are_allowed_by_a_command(rig, config):
    rig.people(*(person(n) for n in range(150)))
    await run_beside(config, "run", "--once")
    rig.people(person(0))
    held = await run_beside(config, "run", "--once")
    assert (held.returncode, "QuarantineTooManyDeletes" in held.stdout) == (1, True)
    assert "149 staged" in (await run_beside(config, "allow-deletes", "staff")).stdout
    assert "149 deleted" in (await run_beside(config, "run", "--once")).stdout
    assert set(rig.rows()) == {"u00000"}


async def test_stop_start_restart_and_links(rig, config):
    rig.people(person(1))
    await run_beside(config, "run", "--once")
    await run_beside(config, "stop", "staff")
    refused = await run_beside(config, "run", "--once")
    assert (refused.returncode, "stopped" in refused.stderr) == (1, True)
    assert "it is stopped, and stays so" in (await run_beside(config, "restart", "staff", "--scope", "Full")).stdout
    [told] = json.loads((await run_beside(config, "status", "--json")).stdout)
    assert (told["condition"], told["next cycle"]) == ("stopped", "none until: connector-host provision start staff")
    await run_beside(config, "start", "staff")
    assert "1 matched" in (await run_beside(config, "run", "--once")).stdout
    await run_beside(config, "links", "staff", "--forget", "1")
    assert json.loads((await run_beside(config, "links", "staff", "--json")).stdout) == []


@pytest.mark.parametrize("command", ["restart", "start"])
async def test_a_job_that_was_switched_off_says_so_until_it_is_told_to_go_on(rig, config, command):
    rig.people(person(1))
    rig.state.job("staff")
    rig.state.set_job("staff", switched_off=True, quarantined_at=1.0, next_run=1.0)
    refused = await run_beside(config, "run", "--once")
    assert (refused.returncode, "switched off" in refused.stderr) == (1, True)
    [told] = json.loads((await run_beside(config, "status", "--json")).stdout)
    assert (told["condition"], told["next cycle"].endswith("restart staff")) == ("switched off", True)
    assert (await run_beside(config, command, "staff")).returncode == 0
    assert "1 created" in (await run_beside(config, "run", "--once")).stdout


async def test_a_restart_that_ends_a_quarantine_tells_whoever_was_told_of_it(rig, config):
    rig.people(person(1))
    good = (rig.folder / "token").read_text()
    async with webhook() as (url, received):
        config.write_text(config.read_text().replace("[jobs.staff]", f'[jobs.staff]\nnotify = {{ webhook = "{url}" }}'))
        (rig.folder / "token").write_text("not-the-right-token\n")
        await run_beside(config, "run", "--once")
        (rig.folder / "token").write_text(good)
        await run_beside(config, "restart", "staff", "--scope", "Escrows")
        for _ in range(2):
            assert (await run_beside(config, "restart", "staff", "--scope", "QuarantineState")).returncode == 0
    assert [json.loads(text)["event"] for _, text in received] == ["quarantined", "recovered"]


async def test_a_job_that_cannot_begin_does_not_keep_the_others_from_running(rig, config):
    rig.people(person(1))
    text = config.read_text()
    bad = text[text.index("[jobs.staff]") :].replace("jobs.staff", "jobs.absent").replace("people.csv", "absent.csv")
    config.write_text(text.replace("[jobs.staff]", bad + "\n[jobs.staff]", 1))
    done = await run_beside(config, "run", "--once")
    assert (done.returncode, "1 created" in done.stdout) == (1, True)
    assert "absent.csv cannot be read" in done.stderr


async def test_a_job_that_could_not_work_is_explained(rig, config):
    rig.people(person(1))
    config.write_text(config.read_text().replace("ToUpper([family])", "ToUpper([nachname], 7, 8)"))
    checked = await run_beside(config, "check")
    assert checked.returncode == 1
    assert "column 1: ToUpper takes" in checked.stdout
    config.write_text(config.read_text().replace('url = "https:', 'url = "http:').replace("localhost", "example.org"))
    assert "in the clear" in (await run_beside(config, "check")).stderr


async def test_a_signal_finishes_the_users_in_hand_and_the_service_goes_on_there(rig, config):
    rig.people(*(person(n) for n in range(1_500)))
    with running(config, "run") as engine:
        await until(lambda: len(rig.rows()) > 20)
        engine.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(engine.wait, 20) == 0
    count = len(rig.rows())
    assert 20 < count < 1_500
    assert rig.state.counts("staff")["links"] == count
    assert "finished" in (await run_beside(config, "run", "--once")).stdout
    assert len(rig.rows()) == 1_500


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
async def test_a_changed_file_is_taken_over_at_sighup_and_a_bad_one_changes_nothing(rig, config):
    rig.people(person(1))
    good = config.read_text()
    engine = await asyncio.create_subprocess_exec(
        *command(config, "run"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        await told(engine, "provisioning.cycle")
        config.write_text(good.replace("ToUpper([family])", "ToUpper([family]"))
        engine.send_signal(signal.SIGHUP)
        refused = await told(engine, "configuration.refused")
        assert "jobs.staff: mapping to name.familyName" in refused
        config.write_text(good.replace("ToUpper([family])", "ToLower([family])"))
        engine.send_signal(signal.SIGHUP)
        await told(engine, "configuration.applied")
        rig.state.set_job("staff", next_run=None)
        await told(engine, "provisioning.cycle")
        assert rig.rows()["u00001"]["LastName"] == "family1"
    finally:
        engine.terminate()
        await engine.wait()


async def test_reload_says_whether_the_running_engine_has_taken_the_file_over(rig, config):
    rig.people(person(1))
    good = config.read_text()
    engine = await asyncio.create_subprocess_exec(
        *command(config, "run"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        await told(engine, "provisioning.cycle")
        config.write_text(good.replace("ToUpper([family])", "ToUpper([family]"))
        refused = await run_beside(config, "reload")
        assert (refused.returncode, "jobs.staff: mapping to name.familyName" in refused.stderr) == (1, True)
        (other := config.with_name("other.toml")).write_text(good)  # as an engine on another machine may have it
        refused = await run_beside(other, "reload")
        assert (refused.returncode, "has not taken" in refused.stderr, "family" in refused.stderr) == (1, True, True)
        config.write_text(good.replace("ToUpper([family])", "ToLower([family])"))
        done = await run_beside(config, "reload")
        assert (done.returncode, "jobs: 1" in done.stdout) == (0, True), done.stderr
        assert "ToUpper([family])" not in await told(engine, "configuration.applied")
        rig.state.set_job("staff", next_run=None)
        await told(engine, "provisioning.cycle")
        assert rig.rows()["u00001"]["LastName"] == "family1"
    finally:
        engine.terminate()
        await engine.wait()


async def test_without_a_running_engine_reload_says_so(rig, config, monkeypatch):
    monkeypatch.setattr(steering, "PATIENCE_S", 0.2)
    done = await asyncio.to_thread(CliRunner().invoke, speaking(steering.reload), ["--config", str(config)])
    assert (done.exit_code, "No engine has answered" in done.stderr) == (1, True)


async def told(engine, event):
    """The next line of the log that has this event."""
    while line := (await engine.stdout.readline()).decode():
        if event in line:
            return line
    raise AssertionError(event)


async def test_killed_again_and_again_nothing_is_lost_or_doubled(rig, config):
    rig.people(*(person(n) for n in range(600)))
    for enough in (50, 200, 330, 450):
        with running(config, "run", "--once"):
            await until(lambda wanted=enough: len(rig.rows()) > wanted, 30)
    last = await run_beside(config, "run", "--once")
    assert "finished" in last.stdout, last.stderr
    assert {row["FirstName"] for row in rig.rows().values()} == {f"Given{n}" for n in range(600)}
    assert rig.state.counts("staff") == {"links": 600, "failures": 0, "staged": 0}
    assert rig.log(action="update") == []
    told = [line["sourceIdentity"] for line in rig.log(action="create", status="success")]
    assert sorted(told, key=int) == [str(n) for n in range(600)]


async def test_a_terminal_shows_progress_and_a_pipe_does_not(rig, config):
    rig.people(*(person(n) for n in range(300)))
    piped = await run_beside(config, "run", "--once")
    assert piped.stderr == ""
    await run_beside(config, "restart", "staff")
    code, shown = await asyncio.to_thread(run_on_terminal, config, "run", "--once")
    assert code == 0
    assert "users/s" in shown
    assert "300/300" in shown


async def test_the_first_cycle_shows_time_left_where_the_source_can_count(rig, config):
    rig.people(*(person(n) for n in range(750)))
    code, shown = await asyncio.to_thread(run_on_terminal, config, "run", "--once")
    assert code == 0
    assert [count for count in re.findall(r"(\d+)/750", shown) if int(count) % BATCH]  # not batch by batch only
    assert re.search(r"users/s\S* \S*0:00:\d\d", shown)


async def test_a_dry_run_shows_its_progress_on_a_terminal(rig, config):
    rig.people(*(person(n) for n in range(300)))
    code, shown = await asyncio.to_thread(run_on_terminal, config, "dry-run", "staff")
    assert (code, "300/300" in shown, rig.rows()) == (0, True, {})


async def test_where_nobody_knows_how_many_users_come_the_bar_says_so_and_promises_no_time(rig, config):
    people = rig.folder / "people.sqlite"
    with contextlib.closing(sqlite3.connect(people)) as connection, connection:
        connection.execute(
            "CREATE TABLE people AS SELECT 1 AS version, '1' AS id, 'u1' AS login, 'Given' AS given, 'true' AS enabled"
        )
    text = re.sub(
        r"source = \{.*\}",
        f'source = {{ type = "sql", database = "sqlite:///{people}", query = "SELECT * FROM people", key = "id", '
        'mark = "version" }',
        config.read_text(),
    )
    config.write_text(text[: text.index('[[jobs.staff.mappings]]\ntarget = "name.familyName"')])
    code, shown = await asyncio.to_thread(run_on_terminal, config, "run", "--once")
    assert (code, "0/1" in shown) == (0, True)
    code, shown = await asyncio.to_thread(run_on_terminal, config, "run", "--once")
    assert (code, "0/?" in shown, "not known before" in shown) == (0, True, True)
    assert not re.search(r"users/s\S* \S*0:00:\d\d", shown)


def run_on_terminal(config, *arguments):
    """Run a command whose errors go to a terminal; return its exit code and what was shown there."""
    seen, terminal = os.openpty()
    command = jobs_in_files.command(config, *arguments)
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal, env=environment) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):
            while part := os.read(seen, 65_536):
                shown += part
        os.close(seen)
        return process.wait(20), shown.decode(errors="replace")


def expression(*arguments, given=None):
    command = [PROGRAM, "provision", "expression", "test", *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def test_an_expression_is_tried_on_a_sample_user(tmp_path):
    sample = tmp_path / "sample.json"
    sample.write_text('{"name": {"givenName": "Zoë"}, "mails": ["a", "b"]}')
    done = expression("NormalizeDiacritics([name.givenName])", "--user", str(sample))
    assert (done.returncode, done.stdout) == (0, "Zoe\n")
    wrong = expression('Append([a], "b"', "--set", "a=1")
    assert (wrong.returncode, wrong.stderr.splitlines()[-1].startswith("column 16")) == (1, True)


def test_expressions_are_tried_line_by_line(tmp_path):
    done = expression("--set", "mail=abc", given='Left([mail], 2)\n\nNope()\nIgnoreFlowIfNullOrEmpty("")\n')
    assert done.stdout.splitlines()[0] == "ab"
    assert "there is no function Nope" in done.stdout
    assert done.stdout.splitlines()[-1] == "(left out of the flow)"


async def test_the_sample_user_may_come_from_the_source_of_a_job(rig, config):
    rig.people(person(1), person(2))

    async def tried(*arguments):
        return await run_beside(config, "expression", "test", *arguments)

    done = await tried("Append([mail], [id])", "--job", "staff", "--key", "2", "--set", "id=x")
    assert (done.returncode, done.stdout) == (0, "u2@example.orgx\n")
    assert (await tried("[login]", "--job", "staff")).stdout == "u00001\n"
    assert "did you mean mail" in (await tried("ToUpper([Mail])", "--job", "staff")).stderr
    assert "no user with the key 9" in (await tried("[login]", "--job", "staff", "--key", "9")).stderr
    assert "no job other" in (await tried("[login]", "--job", "other")).stderr
    assert "needs --job" in (await tried("[login]", "--key", "9")).stderr


async def test_on_a_terminal_expressions_are_tried_one_after_the_other(rig, config):
    rig.people(person(1))

    def talk():
        with Terminal(jobs_in_files.command(config, "expression", "test", "--job", "staff")) as terminal:
            terminal.wait_for("Ctrl-D ends")
            for line, shown in (
                ("?", '[mail] = "u1@example.org"'),
                ("Nope()", "no function"),
                ("Left([mail], 2)", "u1"),
            ):
                terminal.wait_for("> ")
                terminal.type(line)
                terminal.wait_for(line)
                terminal.wait_for(shown)
            terminal.wait_for("> ")
            terminal.type("\x04")
            return terminal.finish()

    assert await asyncio.to_thread(talk) == 0

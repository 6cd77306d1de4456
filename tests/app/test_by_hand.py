"""What a person exports by hand is in the audit trail, too, while the host holds its own chain."""

import asyncio
import json
import os
import sqlite3

import pytest

from connector_host.app import by_hand
from connector_host.app.by_hand import carry_out
from connector_host.connectors.contract import Add
from connector_host.connectors.registry import open_connector
from connector_host.observability.audit import BY_HAND, AuditInUse, AuditTrail
from connector_host.ownership import person
from connector_host.settings import load
from tests.app.test_oversight import PERSON

CREATE = ("export", "--create", '{"ContosoLogin": "grace", "FirstName": "Grace", "LastName": "Hopper"}')


def shown(folder, *words):
    return json.loads(folder.run("audit", "show", "--json", *words).stdout)


def chain(folder):
    return folder.path / "state" / "audit" / BY_HAND


def users(folder):
    with sqlite3.connect(folder.path / "contoso.sqlite") as database:
        return {login for (login,) in database.execute("SELECT ContosoLogin FROM Employees")}


def test_exports_by_hand_are_recorded_beside_those_of_the_running_host(configured):
    with configured.serve() as host:
        assert host.ask("POST", "/Users", PERSON)[0] == 201
        assert configured.run(*CREATE).returncode == 0
        assert configured.run("export", "--dry-run", "--delete", "grace").returncode == 0
        assert configured.run("export", "--delete", "nobody").returncode == 1
        assert host.ask("DELETE", "/Users/grace")[0] == 204
    found = shown(configured)
    assert [(one["operation"], one["anchor"], one["outcome"]) for one in found] == [
        ("add", "ada", "committed"),
        ("add", "grace", "committed"),
        ("delete", "nobody", "NotFound"),
        ("delete", "grace", "committed"),
    ]
    assert [one["source"] for one in found] == ["127.0.0.1", *[f"by hand: {person()}"] * 2, "127.0.0.1"]
    assert found[1]["attributes"] == ["ContosoLogin", "FirstName", "LastName"]
    assert found[1]["connector"] == "Employees"
    assert found[1]["duration_ms"] > 0
    assert "Hopper" not in json.dumps(found)
    verified = json.loads(configured.run("audit", "verify", "--json").stdout)
    assert [one["level"] for findings in verified.values() for one in findings] == ["ok", "ok"]


def test_either_chain_that_is_broken_or_cut_off_is_found(configured):
    assert configured.run(*CREATE).returncode == 0
    [file] = chain(configured).glob("*.jsonl")
    whole = file.read_text()
    seal = json.loads(whole.splitlines()[-1])["hash"]
    assert configured.run("audit", "verify", "--seal", seal).returncode == 0
    assert configured.run("audit", "verify", "--seal", seal, "--seal", "0" * 64).returncode == 1
    file.write_text(whole.splitlines(keepends=True)[0])
    assert configured.run("audit", "verify").returncode == 0
    assert configured.run("audit", "verify", "--seal", seal).returncode == 1
    file.write_text(whole.replace('"operation":"add"', '"operation":"delete"'))
    done = configured.run("audit", "verify")
    assert (done.returncode, "was altered" in done.stdout) == (1, True)


@pytest.mark.parametrize("there", [True, False], ids=["emptied", "removed"])
def test_a_chain_of_which_nothing_is_left_has_no_seal(configured, there):
    assert configured.run(*CREATE).returncode == 0
    [file] = chain(configured).glob("*.jsonl")
    seal = json.loads(file.read_text().splitlines()[-1])["hash"]
    file.write_text("") if there else file.unlink()
    done = configured.run("audit", "verify", "--seal", seal)
    assert (done.returncode, "No record has the seal" in done.stdout) == (1, True)


def test_where_there_is_no_trail_nothing_is_written(configured):
    configured.write("connector-host.toml", configured.read("connector-host.toml") + "\n[audit]\nenabled = false\n")
    assert configured.run(*CREATE).returncode == 0
    assert "grace" in users(configured)
    assert not chain(configured).exists()


def test_what_cannot_be_recorded_is_not_done(configured):
    chain(configured).parent.mkdir(parents=True)
    chain(configured).write_text("")
    done = configured.run(*CREATE)
    assert (done.returncode, "cannot be written" in done.stderr) == (1, True)
    assert "grace" not in users(configured)


def opened(configured):
    configuration = load(configured.path / "connector-host.toml")
    [(name, settings)] = configuration.connectors.items()
    return open_connector(name, settings, configuration.host.state), configuration.audit


EXPORT = Add({"ContosoLogin": "grace", "FirstName": "Grace", "LastName": "Hopper"})


@pytest.mark.parametrize(("written", "words", "there"), [(0, "Nothing was done", False), (1, "was carried out", True)])
async def test_a_full_disk_is_told_before_or_after(configured, monkeypatch, written, words, there):
    connector, audit = opened(configured)
    left = iter([None] * written)
    fsync = os.fsync

    def filling(descriptor):
        next(left, ...) is None or _disk_full()
        fsync(descriptor)

    monkeypatch.setattr("connector_host.observability.audit.os.fsync", filling)
    with pytest.raises(Exception, match=words):
        await carry_out(connector, EXPORT, audit)
    await connector.close()
    assert ("grace" in users(configured)) is there


def _disk_full():
    raise OSError(28, "No space left on device")


async def test_another_command_is_waited_for_but_not_for_ever(configured, monkeypatch):
    connector, audit = opened(configured)
    other = AuditTrail(chain(configured), rotate_bytes=1_000_000, keep_files=0)
    waiting = asyncio.create_task(carry_out(connector, EXPORT, audit))
    await asyncio.sleep(0)
    assert not waiting.done()
    with monkeypatch.context() as patch:
        patch.setattr(by_hand, "PATIENCE_S", 0)
        with pytest.raises(AuditInUse, match="nothing was done"):
            await carry_out(connector, EXPORT, audit)
    await other.close()
    assert (await asyncio.wait_for(waiting, 60)).written
    await connector.close()

"""An import whose process is killed, as by kill -9, loses nothing: the next run finds what was not delivered."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys

import pytest

RUN = """
import os, signal, sys
from pathlib import Path
from connector_host.connectors.registry import open_importer
from connector_host.runs import imports
from connector_host.runs.imports import Request
from connector_host.runs.state import ImportState
from connector_host.settings import SqlSettings

folder, where = Path(sys.argv[1]), sys.argv[2]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if where == "in the middle":
    deliver = imports._different
    batches = []
    def second(*given):
        batches.append(1)
        return die() if len(batches) == 2 else deliver(*given)
    imports._different = second
elif where == "before the delivery":
    os.fsync = die
elif where == "after the delivery":
    ImportState.succeed = die
settings = SqlSettings(database=f"sqlite:///{folder}/hr.db", table="users", anchor="login")
profile = "watermark" if len(sys.argv) > 3 else "snapshot"
with ImportState(folder / "state") as state, open_importer("HR", settings) as importer:
    by = {"watermark": "changed", "overlap": 0} if profile == "watermark" else {}
    imports.run(importer, state, Request(profile, folder / "out", **by))
"""


@pytest.fixture
def folder(tmp_path):
    with sqlite3.connect(tmp_path / "hr.db") as database:
        database.execute("CREATE TABLE users (login varchar(20) NOT NULL UNIQUE, name varchar(20), changed integer)")
        database.executemany("INSERT INTO users VALUES (?, 'x', ?)", ((f"user{n}", n) for n in range(2_500)))
    database.close()
    return tmp_path


def run(folder, *words):
    """Run an import in a process of its own; returns its end, and what was delivered."""
    (folder / "out").unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-c", RUN, folder, *words], check=False, capture_output=True, text=True)
    lines = (folder / "out").read_text().splitlines() if (folder / "out").exists() else []
    return done, [json.loads(line)["anchor"] for line in lines]


def change(folder, login):
    with sqlite3.connect(folder / "hr.db") as database:
        database.execute("UPDATE users SET name = 'y', changed = changed + 10000 WHERE login = ?", (login,))
    database.close()


@pytest.mark.parametrize(
    ("where", "profile"),
    [
        ("in the middle", ()),
        ("before the delivery", ()),
        ("after the delivery", ()),
        ("after the delivery", ("watermark",)),
    ],
)
def test_what_a_killed_run_did_not_deliver_for_certain_the_next_one_delivers(folder, where, profile):
    killed, delivered = run(folder, where, *profile)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(delivered) == (2_500 if where == "after the delivery" else 0), "whole or not at all"
    again, delivered = run(folder, "nowhere", *profile)
    assert again.returncode == 0, again.stderr
    assert len(set(delivered)) == len(delivered) == 2_500


def test_a_change_that_a_killed_run_met_is_delivered_once(folder):
    run(folder, "nowhere", "watermark")
    change(folder, "user7")
    assert run(folder, "before the delivery", "watermark")[0].returncode == -signal.SIGKILL
    assert run(folder, "nowhere", "watermark")[1] == ["user7"]
    assert run(folder, "nowhere", "watermark")[1] == []


def test_the_history_tells_that_a_run_was_cut_off(folder):
    run(folder, "in the middle")
    run(folder, "nowhere")
    with sqlite3.connect(folder / "state") as state:
        ends = [ended is not None for (ended,) in state.execute("SELECT ended FROM runs ORDER BY number")]
    state.close()
    assert ends == [False, True]

"""`connector-host import`, as a person types it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from click.testing import CliRunner

from connector_host.cli import main
from connector_host.runs.state import ImportState


@pytest.fixture
def config(tmp_path):
    with sqlite3.connect(tmp_path / "hr.db") as database:
        database.execute("CREATE TABLE users (login varchar(20) NOT NULL UNIQUE, name varchar(20))")
        database.executemany("INSERT INTO users VALUES (?, ?)", [(f"user{number}", "x") for number in range(30)])
    database.close()
    file = tmp_path / "connector-host.toml"
    file.write_text(
        f"""
        [host]
        certificate = "certificate.pem"
        key = "key.pem"
        [connectors.HR]
        database = "sqlite:///{tmp_path}/hr.db"
        table = "users"
        anchor = "login"
        """
    )
    return file


def typed(config, *words):
    return CliRunner().invoke(main, ["import", "--config", str(config), *words])


def test_a_full_import_goes_to_standard_output(config):
    done = typed(config, "HR")
    assert done.exit_code == 0
    assert [json.loads(line)["anchor"] for line in done.stdout.splitlines()] == [f"user{n}" for n in range(30)]
    assert "30 read, 30 adds" in done.stderr


def errors(config):
    return [run["error"] for run in json.loads(typed(config, "--history", "--json").stdout)]


def test_the_history_tells_a_run_that_is_under_way_from_those_that_were_cut_off(config, tmp_path):
    with ImportState(tmp_path / "imports-HR.sqlite") as cut:
        cut.begin("changes")
    with ImportState(tmp_path / "imports-HR.sqlite") as other:
        other.begin("watermark")
        assert errors(config) == ["under way", "cut off"]
    assert errors(config) == ["cut off", "cut off"]


def test_the_history_tells_of_a_run_that_could_not_begin(config, tmp_path):
    (tmp_path / "hr.db").rename(tmp_path / "away.db")
    assert typed(config, "--profile", "snapshot").exit_code == 1
    assert typed(config, "--profile", "watermark", "--watermark", "nothing").exit_code == 1
    (tmp_path / "away.db").rename(tmp_path / "hr.db")
    assert typed(config, "--profile", "watermark", "--watermark", "nothing").exit_code == 1
    last, *others = errors(config)
    assert "nothing can be no watermark" in last
    assert len(others) == 2
    assert all("hr.db" in one or "database" in one for one in others)


def test_runs_are_remembered_with_their_counts(config, tmp_path):
    assert typed(config, "--profile", "snapshot", "--output", str(tmp_path / "out")).exit_code == 0
    assert typed(config, "--profile", "snapshot", "--output", str(tmp_path / "out")).exit_code == 0
    history = json.loads(typed(config, "--history", "--json").stdout)
    assert [(run["run"], run["read"], run["adds"], run["error"]) for run in history] == [
        (2, 30, 0, None),
        (1, 30, 30, None),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--watermark", "login"], "leave --watermark out, or choose --profile watermark."),
        (
            ["--profile", "snapshot", "--overlap", "60"],
            "leave --overlap out, or choose --profile watermark or changes.",
        ),
        (["--accept-deletions"], "leave --accept-deletions out, or choose --profile snapshot or changes."),
        (["--profile", "changes", "--overlap", "-1"], "overlap: it reaches back, so it is 0 or more, such as 300."),
        (["--profile", "changes", "--overlap", "nan"], "overlap: it reaches back, so it is 0 or more, such as 300."),
    ],
)
def test_what_a_profile_has_no_use_for_is_refused(config, tmp_path, words, said):
    (tmp_path / "out").write_text("old")
    done = typed(config, "HR", "--output", str(tmp_path / "out"), *words)
    assert done.exit_code == 1
    assert said in done.stderr
    assert (tmp_path / "out").read_text() == "old"
    assert typed(config, "HR", "--history").stdout == "No run yet.\n"


def test_a_pipe_or_a_device_is_written_to_and_stays_what_it_is(config, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        assert typed(config, "HR", "--output", str(pipe)).exit_code == 0
        assert len(read.result(timeout=30).splitlines()) == 30
    assert pipe.is_fifo()


def test_a_file_behind_a_link_is_replaced_and_the_link_stays(config, tmp_path):
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    assert typed(config, "HR", "--output", str(tmp_path / "link")).exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "there").read_bytes().splitlines()) == 30


@pytest.mark.parametrize(
    ("output", "why"), [("missing/out", "No such file or directory"), ("/dev/full", "No space left on device")]
)
def test_an_output_that_cannot_be_written_is_said_and_remembered_as_why(config, tmp_path, output, why):
    done = typed(config, "--profile", "snapshot", "--output", str(tmp_path / output))
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: output: {tmp_path / output}: cannot be written ({why}).")
    (run,) = json.loads(typed(config, "--history", "--json").stdout)
    assert why in run["error"]
    assert "30 read, 30 adds" in typed(config, "--profile", "snapshot", "--output", str(tmp_path / "out")).stderr


def test_a_second_import_at_once_is_refused_in_words(config, tmp_path):
    assert typed(config, "HR").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "imports-HR.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = typed(config, "HR", "--output", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert "imports-HR.sqlite: what imports remember cannot be kept there (database is locked)." in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_emptied_table_stops_the_run_and_says_what_to_do(config, tmp_path):
    typed(config, "--profile", "snapshot", "--output", str(tmp_path / "out"))
    with sqlite3.connect(tmp_path / "hr.db") as database:
        database.execute("DELETE FROM users")
    database.close()
    done = typed(config, "--profile", "snapshot", "--output", str(tmp_path / "second"))
    assert done.exit_code == 1
    assert "30 of 30 users are gone" in done.stderr
    assert "--accept-deletions" in done.stderr
    assert not (tmp_path / "second").exists()


def export(config, *words):
    return CliRunner().invoke(main, ["export", "--config", str(config), "HR", *words])


def test_a_dry_run_shows_the_statements_and_changes_nothing(config):
    done = export(config, "--dry-run", "--create", '{"login": "anna", "name": "Anna"}')
    assert done.exit_code == 0
    assert "INSERT INTO" in done.stdout
    assert "Everything was undone" in done.stdout
    assert export(config, "--dry-run", "--delete", "anna").exit_code == 1


def test_an_export_that_is_meant_is_carried_out(config):
    done = export(config, "--create", '{"login": "anna", "name": "Anna"}')
    assert json.loads(done.stdout)["id"] == "anna"
    assert json.loads(export(config, "--update", "anna", "--values", '{"name": null}').stdout)["values"]["name"] is None
    assert export(config, "--delete", "anna").exit_code == 0
    failed = export(config, "--dry-run", "--json", "--delete", "anna")
    assert json.loads(failed.stdout)["error"] == "There is no user with this id."


@pytest.mark.parametrize(
    "words", [(), ("--create", "{}", "--delete", "x"), ("--update", "x"), ("--create", "no json"), ("--create", "[1]")]
)
def test_what_is_typed_wrongly_is_said_and_nothing_runs(config, words):
    assert export(config, *words).exit_code == 2


def test_an_output_that_is_a_pipe_is_written_to_and_stays_one(config, tmp_path):
    """As root, a file that took the place of /dev/null would break every program of the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    done = typed(config, "HR", "--output", str(pipe))
    reader.join(20)
    assert done.exit_code == 0, done.output
    assert len(heard[0].splitlines()) == 30
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_output_that_is_a_link_stays_one(config, tmp_path):
    (tmp_path / "real.ndjson").write_text("old")
    (tmp_path / "link.ndjson").symlink_to("real.ndjson")
    assert typed(config, "HR", "--output", str(tmp_path / "link.ndjson")).exit_code == 0
    assert (tmp_path / "link.ndjson").is_symlink()
    assert len((tmp_path / "real.ndjson").read_text().splitlines()) == 30

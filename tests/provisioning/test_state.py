"""The state: tables as the migrations make them, a log that can be asked, exported and pruned."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from connector_host.errors import ConfigurationError
from connector_host.provisioning.state import intents, logbook
from connector_host.provisioning.state.logbook import Question
from connector_host.provisioning.state.records import (
    Action,
    Changes,
    Failure,
    Intent,
    Link,
    LogEntry,
    Modified,
    Staged,
    Status,
)
from connector_host.provisioning.state.store import State
from connector_host.provisioning.state.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    state = State(url)
    state.migrate()
    yield state
    state.close()


def test_the_migrations_make_exactly_the_tables_that_the_code_knows(state):
    state.migrate()
    with state.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_state_is_for_its_owner_alone(tmp_path):
    State(f"sqlite:///{tmp_path / 'private.sqlite'}").close()
    assert (tmp_path / "private.sqlite").stat().st_mode & 0o077 == 0


def test_what_a_batch_leaves_behind_comes_back(state):
    link = Link("k", "t", {"userName": "ab"}, enabled=True, seen=1, compared=1)
    failure = Failure("f", 2, 5.0, "EntryConflict", "why", 409)
    staged = Staged("s", Action.DELETE, "gone", 1)
    state.write("j", Changes(links=[link], failures=[failure], staged=[staged]))
    state.write("j", Changes(links=[link], failures=[failure], staged=[staged]))
    assert state.links("j", ["k", "x"]) == {"k": link}
    assert state.link_of_target("j", "t") == link
    assert state.links("other", ["k"]) == {}
    assert state.failures("j", ["f"]) == {"f": failure}
    assert (state.due("j", 4.0, ""), state.due("j", 5.0, "")) == ([], [failure])
    assert state.staged("j") == [staged]
    assert state.counts("j") == {"links": 1, "failures": 1, "staged": 1}
    state.write("j", Changes(unlinked=["k"], healed=["f"], unstaged=["s"]))
    assert state.counts("j") == {"links": 0, "failures": 0, "staged": 0}


def test_an_intent_is_kept_until_its_answer_is(state):
    first = Intent("k", Action.CREATE, None, (Modified("title", None, "T"),), 1, "schedule", 5.0)
    then = replace(first, action=Action.UPDATE, target_id="t")
    intents.keep(state, "j", [first, replace(first, source_key="other")])
    intents.keep(state, "j", [then], [entry(1)])
    assert intents.of_users(state, "j", ["k", "x"]) == {"k": then}
    assert [line["sourceIdentity"] for line in logbook.lines(state, Question("j"))] == ["k1"]
    state.write("j", Changes(answered=["k"]))
    assert intents.keys(state, "j") == {"other"}
    intents.give_up(state, "j", lambda intent: entry(2, source_key=intent.source_key))
    assert [line["sourceIdentity"] for line in logbook.lines(state, Question("j"))] == ["k1", "other"]
    assert intents.keys(state, "j") == set()


def test_who_was_not_seen_is_told_by_key_in_stretches(state):
    links = [Link(f"{n:04}", f"t{n}", {}, enabled=True, seen=1, compared=1) for n in range(1_000)]
    state.write("j", Changes(links=links))
    state.mark_seen("j", 2, [link.source_key for link in links[::2]])
    found, after = [], ""
    while stretch := state.unseen("j", 2, after):
        found += stretch
        after = stretch[-1].source_key
    assert [link.source_key for link in found] == [link.source_key for link in links[1::2]]


def entry(number, **changes):
    return LogEntry(
        **{
            "at": float(number),
            "job": "j",
            "cycle": 1,
            "change_id": str(number),
            "action": Action.UPDATE,
            "status": Status.SUCCESS,
            "source_key": f"k{number}",
            "target_id": f"t{number}",
            "initiated_by": "schedule",
            "duration_ms": 1.5,
            "modified": (Modified("title", "old", "=cmd()"),),
        }
        | changes
    )


@pytest.mark.parametrize(
    ("question", "keys"),
    [
        ({}, ["k1", "k2", "k3"]),
        ({"since": 2.0}, ["k2", "k3"]),
        ({"until": 2.0}, ["k1"]),
        ({"status": "failure"}, ["k2"]),
        ({"action": "delete"}, ["k3"]),
        ({"user": "k1"}, ["k1"]),
        ({"user": "t3"}, ["k3"]),
        ({"code": "EntryConflict"}, ["k2"]),
        ({"cycle": 9}, []),
        ({"newest_first": True, "limit": 1}, ["k3"]),
    ],
)
def test_the_log_answers_questions(state, question, keys):
    failed = entry(2, status=Status.FAILURE, code="EntryConflict")
    state.write("j", Changes(log=[entry(1), failed, entry(3, action=Action.DELETE)]))
    assert [line["sourceIdentity"] for line in logbook.lines(state, Question("j", **question))] == keys


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_an_export_is_run_by_a_spreadsheet(state, first):
    state.write("j", Changes(log=[entry(1, source_key=f"{first}=1+1")]))
    out = io.StringIO(newline="")
    logbook.write_csv(logbook.lines(state, Question("j")), out)
    row = next(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert row["sourceIdentity"] == f"'{first}=1+1"


def test_the_log_leaves_as_csv_that_no_spreadsheet_runs_and_as_ndjson(state):
    state.write("j", Changes(log=[entry(1, source_key="=1+1")]))
    out = io.StringIO()
    assert logbook.write_csv(logbook.lines(state, Question("j")), out) == 1
    row = next(csv.DictReader(io.StringIO(out.getvalue())))
    assert row["sourceIdentity"] == "'=1+1"
    assert json.loads(row["modifiedProperties"]) == [{"displayName": "title", "oldValue": "old", "newValue": "=cmd()"}]
    out = io.StringIO()
    logbook.write_ndjson(logbook.lines(state, Question("j")), out)
    assert json.loads(out.getvalue())["sourceIdentity"] == "=1+1"


def test_lines_that_are_too_old_go(state):
    state.job("j")
    state.write("j", Changes(log=[entry(1), entry(2)]))
    assert logbook.prune(state, 2.0) == 1
    assert len(list(logbook.lines(state, Question("j")))) == 1


@pytest.mark.parametrize("url", ["mysql+pymysql://x/y", "nothing://", "sqlite:////nowhere/at/all/state.sqlite"])
def test_a_state_that_cannot_be_kept_is_a_clear_error(url):
    with pytest.raises(ConfigurationError, match=r"provisioning\.state"):
        State(url).migrate()


def test_a_file_that_is_no_database_is_called_so(tmp_path):
    (file := tmp_path / "people.csv").write_text("id,login\n" * 200)
    with pytest.raises(ConfigurationError, match=r"provisioning\.state: the file is no SQLite database"):
        State(f"sqlite:///{file}").migrate()
    assert file.read_text().startswith("id,login\n")


def test_a_database_that_is_not_there_is_told_with_the_mend(postgresql_url):
    somewhere = sa.make_url(postgresql_url)
    for url, words in ((somewhere.set(database="nowhere"), "is not there"), (somewhere.set(port=1), "host and port")):
        with pytest.raises(ConfigurationError, match=words) as failure:
            State(url.render_as_string(hide_password=False)).migrate()
        assert str(somewhere.password) not in str(failure.value)


def test_a_state_of_a_newer_version_is_a_clear_error(state):
    with state.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer version"):
        state.migrate()

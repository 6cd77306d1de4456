"""A log line says what happened, in which request, and never what anybody's values are."""

import asyncio
import io
import json
import logging
import socket
import sys
import threading
import warnings

import pytest
import structlog
from pydantic import SecretStr

from connector_host.errors import HostError
from connector_host.observability import logs


@pytest.fixture
def written():
    """Return a function that gives the lines so far, read as JSON."""
    stream = io.StringIO()
    logs.configure("json", "info", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_how_bad_and_what(written):
    structlog.get_logger().info("host.started", connector="HR", port=8585)
    [line] = written()
    assert list(line) == ["timestamp", "level", "event", "connector", "port"]
    assert (line["level"], line["event"], line["connector"], line["port"]) == ("info", "host.started", "HR", 8585)


def test_less_important_events_are_left_out(written):
    structlog.get_logger().debug("request.answered")
    assert written() == []


@pytest.mark.parametrize("value", ["s3cret", SecretStr("s3cret"), b"s3cret", ["s3cret"], {"a": "s3cret"}])
@pytest.mark.parametrize("field", ["password", "token", "authorization", "email", "a_field_nobody_thought_of"])
def test_text_of_a_field_that_is_not_named_is_withheld(written, field, value):
    structlog.get_logger().warning("request.failed", **{field: value}, count=3, ready=True)
    [line] = written()
    assert (line[field], line["count"], line["ready"]) == (logs.WITHHELD, 3, True)


def test_an_exception_keeps_its_frames_and_loses_its_words(written):
    def insert():
        raise ValueError("Key (login)=(bsimon) already exists")

    def export():
        try:
            insert()
        except ValueError as failure:
            raise HostError("The database refused.") from failure

    try:
        export()
    except HostError:
        structlog.get_logger().exception("request.failed")
    [line] = written()
    assert "bsimon" not in json.dumps(line)
    assert f"ValueError: {logs.WITHHELD}" in line["exception"]
    assert "HostError: The database refused." in line["exception"]
    assert "in insert" in line["exception"]


def test_an_administrator_may_ask_for_the_words():
    stream = io.StringIO()
    logs.configure("json", values=True, stream=stream)
    structlog.get_logger().error("database.error", detail="Key (login)=(bsimon)", exc_info=ValueError("why"))
    line = json.loads(stream.getvalue())
    assert line["detail"] == "Key (login)=(bsimon)"
    assert "ValueError: why" in line["exception"]


async def test_the_request_id_is_on_every_line_of_the_request_and_on_no_other(written):
    async def answer(request_id):
        with logs.request_scope(request_id):
            await asyncio.sleep(0)
            await asyncio.to_thread(structlog.get_logger().info, "request.answered")
            assert logs.current_request_id() == request_id

    await asyncio.gather(answer("one"), answer("two"))
    structlog.get_logger().info("host.stopping")
    assert {line.get("request_id") for line in written()} == {"one", "two", None}
    assert logs.current_request_id() is None


def test_what_a_library_logs_becomes_an_event_without_its_arguments(written):
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "bsimon")
    logging.getLogger("chatty").info("never mind")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("bsimon is careless", UserWarning, stacklevel=1)
    first, second = written()
    assert (first["event"], first["logger"], first["message"]) == (
        "library.message",
        "aiohttp.server",
        "Error handling request from %s",
    )
    assert second["message"].endswith("UserWarning")


def test_a_person_reads_lines_and_a_pipe_gets_json():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal, pipe = Terminal(), io.StringIO()
    logs.configure(stream=terminal)
    structlog.get_logger().info("host.started", connector="HR")
    logs.configure(stream=pipe)
    structlog.get_logger().info("host.started", connector="HR")
    assert "host.started" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert json.loads(pipe.getvalue())["connector"] == "HR"


async def test_what_is_logged_in_one_turn_is_written_at_its_end_and_from_a_thread_at_once(capsys):
    logs.configure("json")
    structlog.get_logger().info("host.started")
    structlog.get_logger().info("host.stopping")
    assert capsys.readouterr().err == ""
    await asyncio.sleep(0)
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "host.started",
        "host.stopping",
    ]
    structlog.get_logger().info("host.started")
    thread = threading.Thread(target=structlog.get_logger().info, args=("host.stopped",))
    thread.start()
    thread.join()
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "host.started",
        "host.stopped",
    ]


def test_a_line_outside_of_an_event_loop_is_written_at_once(capsys):
    logs.configure("json")
    structlog.get_logger().info("host.started")
    assert "host.started" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux")
async def test_what_several_workers_write_is_cut_between_lines_and_each_says_whose_it_is(monkeypatch):
    # A socket that keeps messages apart shows what each single write was.
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there, there.makefile("w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure("json", "info", worker=3)
        for number in range(100):
            structlog.get_logger().info("request.answered", route="ä" * 50, number=number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        numbers = []
        while len(numbers) < 100:
            written = here.recv(65_536)
            assert len(written) <= 4_096
            assert written.endswith(b"\n")
            lines = [json.loads(line) for line in written.splitlines()]
            assert {line["worker"] for line in lines} == {3}
            numbers += [line["number"] for line in lines]
    assert numbers == list(range(100))

"""systemd hears when the host is ready, that it lives, and that it stops; nobody else is bothered."""

import asyncio
import os
import socket

import pytest

from connector_host.units import notifying


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """Listen as systemd does, and return the socket."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@connector-host-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listener


def test_it_is_told(manager):
    assert notifying.notify(notifying.READY, "STATUS=serving") is True
    assert manager.recv(1000) == b"READY=1\nSTATUS=serving"


def test_a_manager_that_does_not_read_holds_nobody_up(manager, monkeypatch):
    monkeypatch.setattr(notifying, "SEND_S", 0.01)
    while notifying.notify(notifying.WATCHDOG):
        pass
    manager.recv(1000)
    assert notifying.notify(notifying.WATCHDOG) is True


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_without_a_manager_nothing_happens(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert notifying.notify(notifying.READY) is False


@pytest.mark.parametrize(
    ("text", "process", "expected"),
    [
        ("30000000", "", 30.0),
        ("30000000", "self", 30.0),
        ("30000000", "1", None),
        ("", "", None),
        ("0", "", None),
        ("x", "", None),
    ],
)
def test_the_watchdog_watches_this_process_only(monkeypatch, text, process, expected):
    monkeypatch.setenv("WATCHDOG_USEC", text)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if process == "self" else process)
    assert notifying.watchdog_s() == expected


async def test_the_heart_beats_while_it_is_watched(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    manager.settimeout(0)
    async with notifying.watched():
        beats = [await asyncio.wait_for(asyncio.get_running_loop().sock_recv(manager, 100), 5) for _ in range(3)]
    assert beats == [b"WATCHDOG=1"] * 3

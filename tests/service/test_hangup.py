"""Where there is no signal to ask with, as on Windows, a file asks the host to read its configuration again."""

import asyncio
import signal

import pytest

from connector_host.service import hangup
from connector_host.service.hangup import on_hangup
from connector_host.service.processes import NotRunning, hang_up, remember_process, take_request
from connector_host.service.reloads import Reloaded, mark_of, wait_for_report


@pytest.fixture
def _no_signal(monkeypatch):
    monkeypatch.delattr(signal, "SIGHUP", raising=False)
    monkeypatch.setattr(hangup, "_LOOK_S", 0.01)


@pytest.mark.usefixtures("_no_signal")
async def test_the_host_reloads_once_for_each_request(tmp_path):
    times = asyncio.Queue()

    async def reload():
        times.put_nowait("reloaded")
        return Reloaded(1)

    remember_process(tmp_path)
    hang_up(tmp_path)  # meant for an earlier process
    listening = asyncio.create_task(on_hangup(reload, tmp_path))
    await asyncio.sleep(0.05)
    assert times.empty()
    for _ in range(2):
        hang_up(tmp_path)
        await asyncio.wait_for(times.get(), 10)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert (times.empty(), take_request(tmp_path)) == (True, False)


@pytest.mark.usefixtures("_no_signal")
async def test_what_came_of_it_is_left_for_whoever_asked(tmp_path):
    told = Reloaded(2, {"HR": "goes on as it was: no such table"}, ("host.port",))

    async def reload():
        return told

    remember_process(tmp_path)
    listening = asyncio.create_task(on_hangup(reload, tmp_path))
    await asyncio.sleep(0.05)
    for _ in range(2):
        before = mark_of(tmp_path)
        hang_up(tmp_path)
        assert await asyncio.to_thread(wait_for_report, tmp_path, before, 30) == told
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert wait_for_report(tmp_path, mark_of(tmp_path), 0) is None


@pytest.mark.usefixtures("_no_signal")
def test_a_host_that_never_ran_cannot_be_asked(tmp_path):
    with pytest.raises(NotRunning, match="No host has run"):
        hang_up(tmp_path)


@pytest.mark.usefixtures("_no_signal")
async def test_a_reload_that_fails_unforeseen_does_not_end_the_listening(tmp_path):
    times = asyncio.Queue()

    async def reload():
        times.put_nowait("tried")
        raise RuntimeError

    remember_process(tmp_path)
    listening = asyncio.create_task(on_hangup(reload, tmp_path))
    await asyncio.sleep(0.05)
    for _ in range(2):
        hang_up(tmp_path)
        await asyncio.wait_for(times.get(), 10)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert "reload.failed" in wait_for_report(tmp_path, None, 0).failure

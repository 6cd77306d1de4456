"""The host says when it is ready, ends the requests in hand when it is told to stop, and names what it cannot have."""

import asyncio
import contextlib
import os
import signal
import socket

import aiohttp
import pytest
from aiohttp import web

from connector_host import clock
from connector_host.service.lifecycle import CannotListen, Listener, serve
from connector_host.tls.contexts import client_context, server_context
from connector_host.tls.issuing import issue_files


class Life:
    """One served application, and what was told about it."""

    def __init__(self, folder, *, stop_s=5.0, port=0, address="127.0.0.1"):
        self.files = issue_files(folder, "localhost", clock.now())
        self.entered, self.release, self.port = asyncio.Event(), asyncio.Event(), asyncio.Future()
        self.closed, self.cut = [], None
        application = web.Application()
        application.router.add_get("/slow", self._slow)
        application.router.add_get("/quick", self._quick)
        tls = server_context(self.files.certificate, self.files.key)
        self.listener = Listener(application, address, port, tls, stop_s)

    async def _slow(self, _request):
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cut = asyncio.get_running_loop().time()
            raise
        return web.Response(text="done")

    async def _quick(self, _request):
        return web.Response(text="done")

    async def live(self):
        try:
            await serve(self.listener, ready=self.port.set_result)
        finally:
            self.closed.append(self.release.is_set())

    async def get(self, path="slow"):
        url = f"https://localhost:{await self.port}/{path}"
        trust = client_context(self.files.authority)
        async with aiohttp.ClientSession() as session, session.get(url, ssl=trust) as answer:
            return await answer.text()

    async def refused(self):
        """Return once new connections are not taken any more."""
        with contextlib.suppress(aiohttp.ClientConnectionError):
            while await self.get("quick"):
                pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_request_in_hand_is_answered_before_the_end(tmp_path, number):
    life = Life(tmp_path)
    async with asyncio.TaskGroup() as group:
        served = group.create_task(life.live())
        answer = group.create_task(life.get())
        await life.entered.wait()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(life.refused(), 5)
        assert not served.done()
        life.release.set()
    assert answer.result() == "done"
    assert life.closed == [True]


async def test_a_request_that_does_not_end_is_given_up_in_time(tmp_path):
    life = Life(tmp_path, stop_s=2.0)
    served = asyncio.create_task(life.live())
    answer = asyncio.create_task(life.get())
    await life.entered.wait()
    told = asyncio.get_running_loop().time()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(served, 60)
    # Not after twice that time, as aiohttp would by itself: the service manager kills at stop_s + statement_s + 10 s.
    assert 2.0 <= life.cut - told < 4.0
    with pytest.raises(aiohttp.ClientError):
        await answer
    assert life.closed == [False]


async def test_a_connection_that_comes_about_during_the_stop_does_not_hold_it_up(tmp_path):
    life = Life(tmp_path, stop_s=600.0)

    async def greet(_application):
        await writer.start_tls(client_context(life.files.authority), server_hostname="localhost")
        writer.write(b"GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"done")

    life.listener.application.on_shutdown.append(greet)
    served = asyncio.create_task(life.live())
    reader, writer = await asyncio.open_connection("127.0.0.1", await life.port)
    await life.get("quick")  # by now the other connection was taken, too
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(served, 20)
    writer.close()


async def test_a_port_in_use_is_told_with_the_mend(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        life = Life(tmp_path, port=port)
        with pytest.raises(CannotListen, match=rf"Port {port} .*set another `port`"):
            await life.live()
        assert life.closed == [False]


async def test_an_address_of_another_machine_is_told(tmp_path):
    with pytest.raises(CannotListen, match="is no address of this machine"):
        await Life(tmp_path, address="192.0.2.1").live()

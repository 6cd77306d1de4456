"""Live links over real WebSockets, whose other end is in the hands of the test."""

from __future__ import annotations

import asyncio
import gc
import os
import struct

import aiohttp
import pytest
from aiohttp import web

from agent import events
from agent.link.frames import PAYLOAD_BYTES, Kind, pack, unpack
from agent.link.links import Heartbeat, Link
from agent.link.messages import VERSIONS, Hello
from agent.link.packing import encode
from agent.link.session import WINDOW_BYTES, Session
from agent.link.streams import Stream

HELLO = pack(Kind.HELLO, 0, encode(Hello(VERSIONS, WINDOW_BYTES, "mallory", "0")))
PING = pack(Kind.PING, 0, b"01234567")


class Peer:
    """A link that serves streams, the task that runs it, and a bare WebSocket at its other end."""

    def __init__(self, socket, link, running):
        self.socket, self.link, self.running = socket, link, running
        self.answers = asyncio.Event().wait
        """What is done for each stream: nothing that ends, unless the test says."""

    async def hears(self, *kinds):
        """Return the kind of the first frame that is one of these."""
        async with asyncio.timeout(10):
            while True:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.BINARY
                for frame in unpack(message.data):
                    if frame.kind in kinds:
                        return frame.kind

    async def answers_ping(self, took_s):
        """Let a round trip seem to have taken so long."""
        assert await self.hears(Kind.PING) == Kind.PING
        began = struct.pack("!d", asyncio.get_running_loop().time() - took_s)
        await self.socket.send_bytes(pack(Kind.PONG, 0, began))


@pytest.fixture
async def peer():
    begun = asyncio.get_running_loop().create_future()
    made = []

    async def answer(*_):
        await made[0].answers()

    async def serve(request):
        socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(request)
        session = Session(Hello(VERSIONS, WINDOW_BYTES, "one", "1"), opens=False)
        link = Link(socket, session, Heartbeat(every_s=60.0, dead_s=60.0), answer)
        running = asyncio.create_task(link.run())
        begun.set_result((link, running))
        await asyncio.wait({running})
        return socket

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as client:
            socket = await client.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            link, running = await begun
            await socket.send_bytes(HELLO)
            await link.greeted.wait()
            made.append(Peer(socket, link, running))
            yield made[0]
            socket._response.close()
            link.cut("the test is over")
            await asyncio.wait({running})
    finally:
        await runner.cleanup()


async def block(peer):
    """Take nothing, until nothing more leaves at the other end."""
    peer.socket._response.connection.transport.pause_reading()
    while peer.link.session.waiting_bytes < 10 * PAYLOAD_BYTES:
        peer.link.note(os.urandom(PAYLOAD_BYTES))
        await asyncio.sleep(0)


async def test_a_link_is_cut_although_nothing_leaves_it(peer):
    await block(peer)
    peer.link.cut("the agent was revoked")
    async with asyncio.timeout(10):
        assert await peer.running == "the agent was revoked"


async def test_a_link_that_is_cut_once_all_is_said_breaks_no_protocol(peer):
    peer.link.drain("a restart")
    assert await peer.hears(Kind.GOAWAY) == Kind.GOAWAY
    peer.link.cut("the agent was revoked")
    message = await peer.socket.receive()
    assert message.type is aiohttp.WSMsgType.CLOSE
    assert await peer.running == "the agent was revoked"


@pytest.mark.parametrize("by", ["this end", "the other end"])
async def test_a_drained_link_ends_as_who_wanted_it_says(peer, by):
    if by == "this end":
        peer.link.drain("a restart")
        await peer.socket.send_bytes(pack(Kind.GOAWAY, 0, b"as you wish"))
    else:
        await peer.socket.send_bytes(pack(Kind.GOAWAY, 0, b"a restart"))
    assert await peer.running == "a restart"


@pytest.mark.parametrize(
    ("served", "reason"), [(False, "a restart"), (True, "the link was cut while it drained: a restart")]
)
async def test_a_link_that_is_given_up_while_it_drains_says_whether_that_cost_a_request(peer, served, reason):
    if served:
        await peer.socket.send_bytes(pack(Kind.REQUEST, 1, b"head") + PING)
        await peer.hears(Kind.PONG)
    peer.link.drain("a restart")
    peer.running.cancel()
    await asyncio.wait({peer.running})
    assert peer.link.end_reason == reason


async def test_a_stream_that_is_cancelled_in_the_message_that_opens_it_leaves_nothing_behind(peer):
    await peer.socket.send_bytes(
        b"".join(pack(Kind.REQUEST, stream, b"head") + pack(Kind.CANCEL, stream) for stream in range(1, 101)) + PING
    )
    await peer.hears(Kind.PONG)
    await asyncio.sleep(0)
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Stream)]


async def test_a_link_whose_end_is_cut_short_lets_everybody_hear_of_it(peer):
    begun, told = asyncio.Event(), asyncio.Event()

    async def slow_to_end():
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            told.set()
            await asyncio.Event().wait()

    peer.answers = slow_to_end
    await peer.socket.send_bytes(pack(Kind.REQUEST, 1, b"head"))
    await begun.wait()
    peer.running.cancel()
    await told.wait()
    assert not peer.running.done()
    peer.running.cancel()
    await asyncio.wait({peer.running}, timeout=10)
    assert peer.running.cancelled()
    assert not peer.link.usable


async def test_one_slow_round_trip_at_the_start_makes_no_far_line(peer):
    peer.link.deflate_beyond_s = 0.5
    await peer.answers_ping(took_s=1.0)
    assert await peer.hears(Kind.PING)
    assert peer.link.session.deflates
    await peer.socket.send_bytes(pack(Kind.PONG, 0, struct.pack("!d", asyncio.get_running_loop().time())))
    await peer.answers_ping(took_s=1.0)
    assert not peer.link.session.deflates


async def test_only_a_few_round_trips_are_measured_at_the_start(peer):
    for _ in range(5):
        await peer.answers_ping(took_s=1.0)
    await peer.socket.send_bytes(PING)
    assert await peer.hears(Kind.PING, Kind.PONG) == Kind.PONG


async def test_who_answers_without_a_task_and_fails_ends_that_stream_alone(peer, log):
    def serve(*_):
        raise ValueError("s3cret")

    peer.link._serve = serve
    await peer.socket.send_bytes(pack(Kind.REQUEST, 1, b"head", end=True))
    assert await peer.hears(Kind.CANCEL) == Kind.CANCEL
    await peer.socket.send_bytes(PING)
    assert await peer.hears(Kind.PONG) == Kind.PONG
    await log.wait_for(events.STREAM_CRASHED)


@pytest.mark.parametrize("ends", ["cancelled", "released", "cut", "done by a task"])
async def test_a_stream_is_over_once_however_it_ends(peer, ends):
    over, streams = [], []

    def serve(stream, _):
        streams.append(stream)
        stream.on_over = lambda: over.append(stream)
        stream.listener = stream.release
        return asyncio.sleep(0) if ends == "done by a task" else None

    peer.link._serve = serve
    await peer.socket.send_bytes(pack(Kind.REQUEST, 1, b"head", end=True) + PING)
    await peer.hears(Kind.PONG)
    if ends == "cancelled":
        await peer.socket.send_bytes(pack(Kind.CANCEL, 1) + PING)
        await peer.hears(Kind.PONG)
    elif ends == "released":
        streams[0].release()
        streams[0].release()
    peer.link.cut("enough")
    await peer.running
    assert over == streams
    assert len(over) == 1


async def test_nothing_begins_on_a_link_that_ends(peer):
    begun, ending, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    streams, seen = [], []

    async def slow_to_end():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await go_on.wait()

    async def late():
        seen.append("begun")

    def serve(stream, head):
        if head == b"slow":
            return slow_to_end()
        streams.append(stream)
        stream.on_over = lambda: seen.append("over")
        stream.listener = stream.release
        return None

    peer.link._serve = serve
    await peer.socket.send_bytes(pack(Kind.REQUEST, 1, b"head", end=True) + pack(Kind.REQUEST, 2, b"slow", end=True))
    await begun.wait()
    peer.link.cut("enough")
    await ending.wait()
    # The host answers only now, and not in a way that is passed on at once.
    streams[0].work(late())
    go_on.set()
    await peer.running
    assert seen == ["over"]

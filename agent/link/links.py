"""A live link: one WebSocket, its session, and the streams on it.

Four tasks for each link (read, write, heartbeat, and one that waits for the cut) and none for each frame: frames that
come up while a send is under way leave together in the next one. Knows nothing of HTTP beyond the WebSocket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType

from agent import events, logs
from agent.errors import LinkLost, ProtocolViolation, StreamCancelled, StreamFailed
from agent.link.messages import Health
from agent.link.notices import (
    Answered,
    Cancelled,
    Credited,
    Draining,
    Failed,
    Greeted,
    Noted,
    Opened,
    Ponged,
    Received,
    RenewalAsked,
    Renewed,
    Told,
)
from agent.link.sockets import farewell
from agent.link.streams import Stream
from agent.workers import Workers
from connector_host.clock import epoch_s, monotonic_s

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.link.messages import Hello
    from agent.link.notices import Notice
    from agent.link.session import Session
    from agent.link.sockets import Socket
    from agent.workers import Worker

MESSAGE_BYTES: Final = 262_144
"""The largest WebSocket message that is read: what a batch of frames may grow to, and one frame more. It is collected
whole before anything of it is looked at, and so from visitors, too, who have proven nothing yet."""

_HIGH_WATER_BYTES: Final = 524_288
_CLOSE_S: Final = 2.0
_MEASURED: Final = 5
"""Round trips that are measured at the start, one after the other: of a single one, two busy ends make a far line."""

_TOKEN: Final = struct.Struct("!d")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How a dead link is found: a ping every so often, and an end when nothing at all came back for too long."""

    every_s: float = 5.0
    dead_s: float = 15.0


def listened(seen_s: float, due_s: float) -> float:
    """Return when the other end was last heard, for who wakes now and should have at `due_s`, all by the loop's clock.

    While this process itself was held up nobody listened, and that is no silence of the other end's.
    """
    now_s = asyncio.get_running_loop().time()
    return min(now_s, seen_s + max(0.0, now_s - due_s))


class Link:
    """One live link; runs until it ends."""

    node: Final = ""
    """Of an agent's link: it is held here, and leads over no other node."""

    def __init__(
        self,
        socket: Socket,
        session: Session,
        heartbeat: Heartbeat,
        serve: Callable[[Stream, bytes], Coroutine[object, object, None] | None] | None = None,
    ) -> None:
        """Prepare; `serve` answers the streams that the other end opens.

        What it returns is done by a task, with which the stream is over. Where it returns None, it has answered
        already, or listens to the stream, and releases it.
        """
        self.session = session
        self.health = Health(reachable=True, record="")
        """How the other end says its host is."""
        self.on_renewal: Callable[[bytes], None] = _ignore
        """Called at the relay with a certificate request, and at the agent with the certificate."""
        self.on_note: Callable[[bytes], None] = _ignore
        """Called with what the program at the other end says beside its streams."""
        self.on_change: Callable[[], None] = _nothing
        """Called when `health` has changed."""
        self.round_trip_s: float | None = None
        self.deflate_beyond_s = math.inf
        """An agent deflates answers on a line whose shortest round trip so far is no shorter than this."""
        self._shortest_s = math.inf
        self._measured = 0
        self.greeted = asyncio.Event()
        self.drains = asyncio.Event()
        """Set when either end wants no new streams here."""
        self.end_reason = ""
        """Why the link takes no new streams, once `drains` is set: what who wanted that first said, or how it ended."""
        self._socket = socket
        self._heartbeat = heartbeat
        self._serve = serve
        self._streams: dict[int, Stream] = {}
        self._serving: dict[int, Worker] = {}
        self._workers = Workers()
        self._on: dict[type[Notice], Callable[[Any], None]] = {
            Received: self._on_received,
            Answered: self._on_answered,
            Credited: self._on_credited,
            Failed: self._on_failed,
            Opened: self._on_opened,
            Cancelled: self._on_cancelled,
        }
        """What is done about a notice of a stream; of one beside all streams, `_notice_beside`."""
        self._idle: asyncio.Future[None] | None = None
        """What the writing task waits for while nothing is to be sent."""
        self._room = asyncio.Event()
        self._room.set()
        self._seen_s = 0.0
        self._begun_s = monotonic_s()
        self._over = False
        self._cut = asyncio.Event()
        self._cut_reason = ""

    @property
    def peer(self) -> Hello:
        """Return what the other end said about itself; only once `greeted` is set."""
        if self.session.peer is None:
            raise LinkLost("the other end has not said hello")
        return self.session.peer

    @property
    def usable(self) -> bool:
        """Return whether streams may be opened now."""
        return self.session.is_usable and not self._over

    @property
    def since_s(self) -> int:
        """Return when it came about, in seconds since 1970, by the machine's clock as it goes now."""
        return round(epoch_s() - (monotonic_s() - self._begun_s))

    @property
    def in_flight(self) -> int:
        """Return how many streams are open."""
        return self.session.open_streams

    def takes(self, size_bytes: int) -> bool:
        """Return whether so much of the body of a fresh stream would leave at once."""
        return self._room.is_set() and size_bytes <= self.peer.window

    def open(self, head: bytes, body: bytes = b"", *, end: bool) -> Stream:
        """Open a stream, with the whole of its body where one is given, which the link `takes`; only while `usable`."""
        number = self.session.open(head, body, end=end)
        stream = self._streams[number] = Stream(self, number)
        self.flush()
        return stream

    def is_unsent(self, stream: Stream) -> bool:
        """Return whether the stream's request never left this machine."""
        return self.session.is_unsent(stream.number)

    def drain(self, reason: str) -> None:
        """Want no new streams; the link ends by itself once those that are open have ended."""
        self.session.drain(reason)
        self._note_drain(reason)
        self.flush()

    def tell(self, health: Health) -> None:
        """Say how this agent's host is."""
        self.session.tell(health)
        self.flush()

    def note(self, payload: bytes) -> None:
        """Say something to the program at the other end, beside all streams; at most PAYLOAD_BYTES."""
        self.session.note(payload)
        self.flush()

    def cut(self, reason: str) -> None:
        """End the link now, whatever is on it, and whether the other end takes anything or not."""
        self._cut_reason = reason
        self._cut.set()

    def flush(self) -> None:
        """Have everything that waits in the session sent soon."""
        idle, self._idle = self._idle, None
        if idle is not None and not idle.done():
            idle.set_result(None)
        if self.session.waiting_bytes > _HIGH_WATER_BYTES:
            self._room.clear()

    @property
    def has_room(self) -> bool:
        """Return whether the socket keeps up."""
        return self._room.is_set()

    async def room(self) -> None:
        """Return once the socket keeps up again."""
        await self._room.wait()

    def forget(self, stream: Stream) -> None:
        """Give the stream up and keep no memory of it."""
        if self.session.cancel(stream.number):
            self.flush()
        self._streams.pop(stream.number, None)
        over, stream.on_over = stream.on_over, None
        if over is not None:
            over()

    def work(self, stream: Stream, work: Coroutine[object, object, None]) -> None:
        """Have this done by a task, with which the stream is over; the other end may cancel it.

        Once the link has ended, nothing begins.
        """
        if self._over:
            work.close()
            self.forget(stream)
            return
        served = partial(self._served, stream, work)
        self._serving[stream.number] = self._workers.begin(self._to_its_end(work), served)

    async def run(self) -> str:
        """Carry frames until the link ends, and return why it ended."""
        self._seen_s = asyncio.get_running_loop().time()
        how = "the link was cut"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write())
                tasks.create_task(self._beat())
                tasks.create_task(self._end_when_cut())
                await self._read()
        except* LinkLost as group:
            how = str(group.exceptions[0])
        finally:
            self._over = True
            self._note_end(how)
            try:
                await self._workers.stop()
            finally:
                self._settle(self.end_reason)
                await self._take_leave()
        return self.end_reason

    def _note_drain(self, reason: str) -> None:
        self.end_reason = self.end_reason or reason
        self.drains.set()

    def _note_end(self, how: str) -> None:
        """Say how the link ended where that cost something; where nothing was on it any more, why that was wanted."""
        if not self.end_reason or self._cut_reason:
            self.end_reason = how
        elif self._streams:
            self.end_reason = f"{how} while it drained: {self.end_reason}"

    async def _take_leave(self) -> None:
        for step in (self._say_why, self._socket.close):
            try:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_CLOSE_S):
                        await step()
            except asyncio.CancelledError:
                # aiohttp waits here on what the blocked send that has just been given up waited on, and so hears of
                # that one's cancellation: nobody has cancelled this link.
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise

    async def _say_why(self) -> None:
        """Tell the other end why it is cut off, or why its hello would not do."""
        if self._cut_reason:
            self.session.drain(self._cut_reason)
        is_told = self._cut_reason or (self.session.peer is None and self.session.draining)
        if is_told and (message := self.session.take()):
            await self._socket.send_bytes(message)

    def _settle(self, reason: str) -> None:
        self.drains.set()
        self._room.set()
        for stream in list(self._streams.values()):
            # Before anything else is taken from the session: the farewell is.
            stream.break_off(LinkLost(reason, unsent=self.is_unsent(stream)))
        for stream in list(self._streams.values()):
            self.forget(stream)

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                raise LinkLost(farewell(message))
            self._seen_s = loop.time()
            try:
                events = self.session.receive(message.data)
            except ProtocolViolation as violation:
                raise LinkLost(f"the other end broke the protocol: {violation}") from violation
            for event in events:
                self._on.get(type(event), self._notice_beside)(event)
            # The session itself may have something to say: a PONG, a GOAWAY; or the last stream has just ended.
            if self.session.waiting_bytes or self.session.drained:
                self.flush()

    def _on_received(self, event: Received) -> None:
        if (stream := self._streams.get(event.stream)) is not None:
            stream.receive(event.data, end=event.end)

    def _on_answered(self, event: Answered) -> None:
        if (stream := self._streams.get(event.stream)) is not None:
            stream.hear(event.head, event.body, end=event.end)

    def _on_credited(self, event: Credited) -> None:
        if (stream := self._streams.get(event.stream)) is not None:
            stream.go_on()

    def _on_failed(self, event: Failed) -> None:
        if (stream := self._streams.get(event.stream)) is not None:
            stream.break_off(StreamFailed(event.payload))

    def _on_opened(self, event: Opened) -> None:
        stream = self._streams[event.stream] = Stream(self, event.stream, event.end, event.body)
        try:
            work = None if self._serve is None else self._serve(stream, event.head)
        except Exception as failure:  # noqa: BLE001 - as below
            _tell_crash(failure)
            self.forget(stream)
            return
        if work is not None:
            self.work(stream, work)

    def _on_cancelled(self, event: Cancelled) -> None:
        if (serving := self._serving.get(event.stream)) is not None:
            serving.cancel()
        elif (stream := self._streams.get(event.stream)) is not None:
            stream.break_off(StreamCancelled("the other end gave this stream up"))

    def _notice_beside(self, event: Notice) -> None:
        """Take in what is said beside all streams."""
        match event:
            case Greeted():
                self.greeted.set()
                # At once, so that the round trip is known before the first heartbeat.
                self._ping()
            case Told(health):
                self.health = health
                self.on_change()
            case RenewalAsked(payload) | Renewed(payload):
                self.on_renewal(payload)
            case Noted(payload):
                self.on_note(payload)
            case Draining(reason):
                self._note_drain(reason or "the other end wanted no more")
            case Ponged(token):
                self._measure(asyncio.get_running_loop().time() - float(_TOKEN.unpack(token)[0]))

    def _measure(self, round_trip_s: float) -> None:
        """Take in a round trip; the first few follow each other at once."""
        self.round_trip_s = round_trip_s
        # The shortest: a busy end makes a near line look far for a while, and never a far one near.
        self._shortest_s = min(self._shortest_s, round_trip_s)
        self.session.deflates = self.deflate_beyond_s <= self._shortest_s < math.inf
        self._measured += 1
        if self._measured < _MEASURED:
            self._ping()

    async def _to_its_end(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except (LinkLost, StreamCancelled):
            pass  # Nobody is left to hear about it.
        except Exception as failure:  # noqa: BLE001 - one request that trips over a mistake of ours must not end the others
            _tell_crash(failure)

    def _served(self, stream: Stream, work: Coroutine[object, object, None]) -> None:
        work.close()  # Where it never began.
        del self._serving[stream.number]
        self.forget(stream)

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _write(self) -> None:
        while True:
            message = self.session.take()
            if message:
                try:
                    await self._socket.send_bytes(message)
                except OSError as failure:
                    raise LinkLost(f"the link broke while sending: {failure}") from failure
            # Where nothing is left to be sent, too: what filled the way may have been taken back.
            self._room.set()
            if message:
                continue
            if self.session.drained:
                raise LinkLost("drained")
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    async def _end_when_cut(self) -> None:
        await self._cut.wait()
        raise LinkLost(self._cut_reason)

    async def _beat(self) -> None:
        """Ping every so often, and end the link when the other end's time is up: then, and not with the next ping."""
        loop, beat = asyncio.get_running_loop(), self._heartbeat
        ping_s = loop.time() + beat.every_s
        while True:
            due_s = min(ping_s, self._seen_s + beat.dead_s)
            await asyncio.sleep(due_s - loop.time())
            self._seen_s = listened(self._seen_s, due_s)
            if loop.time() >= self._seen_s + beat.dead_s:
                raise LinkLost(f"nothing came from the other end for {beat.dead_s:g} s")
            if loop.time() >= ping_s:
                self._ping()
                ping_s = loop.time() + beat.every_s

    def _ping(self) -> None:
        self.session.ping(_TOKEN.pack(asyncio.get_running_loop().time()))
        self.flush()


def _tell_crash(failure: Exception) -> None:
    logs.event(events.STREAM_CRASHED, level=logging.ERROR, error=f"{type(failure).__name__}: {failure}")


def _nothing() -> None:
    """Change nothing."""


def _ignore(_: bytes) -> None:
    """Change nothing."""

"""The parent of the workers: starts them, gives them connections and orders, and replaces one that ends or hangs."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from connector_host import clock
from connector_host.observability import events
from connector_host.workers import handles
from connector_host.workers.channel import Channel, ChannelLost, Refused, open_channel
from connector_host.workers.errors import WorkerEnded, WorkerNotStarted
from connector_host.workers.sharing import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from connector_host.workers.sharing import Shared

SILENT_S: Final = 60.0
"""A worker that serves and says nothing for so long hangs: it is killed and replaced."""
_BEATS: Final = 12
"""How often it says in this time that its event loop runs."""
_PAUSE_MAX_S: Final = 30.0
_SHORT_LIFE_S: Final = 10.0
_OVERTIME_S: Final = 5.0
"""What a worker that ends is given to be gone."""
BEGIN_S: Final = 60.0
"""A worker that does not serve after so long never will: it is killed."""
_KILLED: Final = -9
_OF_THE_PARENT: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
"""What systemd tells the parent, which alone speaks to it."""


@dataclass(eq=False, slots=True)
class Worker:
    """One process."""

    number: int
    process: subprocess.Popen[bytes]
    channel: Channel
    given: socket.socket
    """Connections go to it over this."""
    desk: Desk
    began_s: float = field(default_factory=clock.monotonic_s)
    serves: tuple[str, ...] = ()
    """The connectors that it serves; empty until it does."""


@dataclass(slots=True)
class Supervisor:
    """Owns the workers."""

    count: int
    command: Sequence[str]
    """Starts a worker; the handles of its two sockets are added."""
    order: Callable[[int], dict[str, object]]
    """Returns what the worker of a number must know to begin."""
    shared: Shared
    ended: Callable[[int], None] = lambda _: None
    """Told the process that ended unforeseen."""
    silent_s: float = SILENT_S
    overtime_s: float = _OVERTIME_S
    begin_s: float = BEGIN_S
    _workers: dict[int, Worker] = field(default_factory=dict, init=False)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    _turn: itertools.count[int] = field(default_factory=itertools.count, init=False)

    async def start(self) -> tuple[str, ...]:
        """Start all, the first before the others, and return the connectors served.

        Raises WorkerEnded or WorkerNotStarted.
        """
        first = await self._bring_up(0)
        await asyncio.gather(*(self._bring_up(number) for number in range(1, self.count)))
        self._keepers = [asyncio.create_task(self._keep(number)) for number in range(self.count)]
        self._keepers.append(asyncio.create_task(self._kill_silent()))
        return first.serves

    @property
    def _beat_s(self) -> float:
        return self.silent_s / _BEATS

    @property
    def processes(self) -> frozenset[int]:
        """Those that serve."""
        return frozenset(worker.process.pid for worker in self._workers.values() if worker.serves)

    def give(self, connection: socket.socket) -> bool:
        """Give a connection to the next worker that takes it; return whether one did."""
        for _ in range(self.count):
            worker = self._workers.get(next(self._turn) % self.count)
            if worker is None or not worker.serves:
                continue
            try:
                handles.give(worker.given, connection.fileno())
            except OSError:  # it is gone, or has as many waiting as it can hold
                continue
            return True
        return False

    def tell_all(self, verb: str, body: object) -> None:
        """Give news to every worker."""
        for worker in self._workers.values():
            worker.channel.tell(verb, body)

    async def ask_all(
        self,
        verb: str,
        body: object = None,
        *,
        patience_s: float,
        starting: bool = False,
        besides: Container[int] = (),
    ) -> dict[int, Any]:
        """Return the answer of each process that serves, or with `starting` will: Refused where it could not do it.

        One that does not answer in time counts as one that could not.
        """
        reached = [worker for worker in self._workers.values() if worker.serves or starting]
        asked = [worker for worker in reached if worker.process.pid not in besides]
        answers = await asyncio.gather(
            *(_asked(worker, verb, body, patience_s) for worker in asked), return_exceptions=True
        )
        found: dict[int, Any] = {}
        for worker, answer in zip(asked, answers, strict=True):
            if isinstance(answer, ChannelLost):
                continue
            if isinstance(answer, BaseException) and not isinstance(answer, Refused):
                raise answer
            found[worker.process.pid] = answer
        return found

    async def stop(self, stop_s: float) -> None:
        """Have every worker finish what it has in hand, for so long at the most, and wait until all are gone."""
        for task in self._keepers:
            task.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self.tell_all("stop", None)
        await asyncio.gather(*(self._stopped(worker, stop_s) for worker in tuple(self._workers.values())))

    async def _stopped(self, worker: Worker, stop_s: float) -> None:
        served = bool(worker.serves)  # one that does not yet has nothing in hand
        status = await self._bury(worker, stop_s + self.overtime_s if served else 0.0)
        if served and status == _KILLED:  # what it had in hand is unknown
            structlog.get_logger().error(events.WORKER_ENDED, worker=worker.number, exit_status=status)

    # ── one worker ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _bring_up(self, number: int) -> Worker:
        """Start a process and return it once it serves; raises WorkerEnded or WorkerNotStarted."""
        try:
            worker = self._workers[number] = await self._spawn(number)
        except OSError as failure:
            reason = failure.strerror or type(failure).__name__
            raise WorkerNotStarted(f"No process could be started for worker {number} ({reason}).") from failure
        try:
            async with asyncio.timeout(self.begin_s):
                serves = await worker.channel.ask("serve", self.order(number) | {"beat_s": self._beat_s})
        except TimeoutError as failure:
            structlog.get_logger().error(events.WORKER_NOT_STARTED, worker=number, reason="does not serve in time")
            raise WorkerEnded(await self._bury(worker, 0.0)) from failure
        except (ChannelLost, Refused) as failure:
            raise WorkerEnded(await self._bury(worker, self.overtime_s)) from failure
        worker.serves = tuple(serves)
        return worker

    async def _spawn(self, number: int) -> Worker:
        with ExitStack() as undoing:
            talk, talk_there = socket.socketpair()
            undoing.callback(talk.close)
            with talk_there:
                given, given_there = handles.pair()
                undoing.callback(given.close)
                with given_there:
                    process = self._begin((talk_there.fileno(), given_there.fileno()))
            undoing.callback(process.wait)
            undoing.callback(process.kill)
            desk = Desk(self.shared)
            worker = Worker(number, process, await open_channel(talk, desk.answer), given, desk)
            undoing.pop_all()
        return worker

    def _begin(self, its_own: tuple[int, ...]) -> subprocess.Popen[bytes]:
        with handles.signals_held_back():
            return subprocess.Popen(  # noqa: S603 - the command is our own
                [*self.command, *map(str, its_own)],
                pass_fds=its_own,
                env={name: value for name, value in os.environ.items() if name not in _OF_THE_PARENT},
            )

    async def _keep(self, number: int) -> None:
        """Replace the worker of a number whenever it ends; one that keeps on ending is given ever more time."""
        pause_s = 0.0
        while True:
            worker = self._workers[number]
            if worker.serves:
                await worker.channel.lost.wait()
                self._note_end(worker, await self._bury(worker, self.overtime_s))
                short = clock.monotonic_s() - worker.began_s < _SHORT_LIFE_S
                pause_s = 1.0 if short else 0.0
            await asyncio.sleep(pause_s)
            try:
                worker = await self._bring_up(number)
            except WorkerEnded as failure:
                self._note_end(self._workers[number], failure.status)
                pause_s = _longer(pause_s)
            except WorkerNotStarted as failure:
                structlog.get_logger().error(events.WORKER_NOT_STARTED, worker=number, reason=str(failure))
                pause_s = _longer(pause_s)
            except Exception:  # noqa: BLE001 - whatever it is, it may pass
                structlog.get_logger().exception(events.WORKER_NOT_STARTED, worker=number)
                pause_s = _longer(pause_s)
            else:
                structlog.get_logger().info(events.WORKER_REPLACED, worker=number)

    def _note_end(self, worker: Worker, status: int) -> None:
        structlog.get_logger().error(events.WORKER_ENDED, worker=worker.number, exit_status=status)
        self.ended(worker.process.pid)

    async def _bury(self, worker: Worker, patience_s: float) -> int:
        """Wait until a process has ended, kill it where that takes too long, and return its exit status."""
        worker.serves = ()
        try:
            async with asyncio.timeout(patience_s):
                await worker.channel.lost.wait()
                status = await _ended(worker.process)
        except TimeoutError:
            worker.process.kill()
            status = await _ended(worker.process)
        finally:
            worker.desk.close()
            worker.channel.close()
            worker.given.close()
        return status

    async def _kill_silent(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            for worker in self._workers.values():
                if worker.serves and clock.monotonic_s() - worker.channel.heard_s > self.silent_s:
                    with suppress(ProcessLookupError):
                        worker.process.kill()


async def _asked(worker: Worker, verb: str, body: object, patience_s: float) -> Any:  # noqa: ANN401 - as it answers
    try:
        async with asyncio.timeout(patience_s):
            return await worker.channel.ask(verb, body)
    except TimeoutError as failure:
        raise Refused(f"no answer within {patience_s:g} s") from failure


def _longer(pause_s: float) -> float:
    return min(_PAUSE_MAX_S, max(1.0, pause_s * 2))


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """Return the exit status once the process is gone, without a thread: whoever waits may be cancelled."""
    pause_s = 0.001
    while (status := process.poll()) is None:
        await asyncio.sleep(pause_s)
        pause_s = min(0.05, pause_s * 2)
    return status

"""The audit trail: one line for each export, on disk before its answer is sent, each sealed with the one before.

    record ──▶ queue ──▶ thread: lines in one write, one fsync ──▶ the exports' answers go out

    audit-000001.jsonl   {"seq":1,…,"prev":"0…0","hash":"a…"} {"seq":2,…,"prev":"a…","hash":"b…"} …
    audit-000002.jsonl   the chain goes on; files are only ever appended to

Knows no connector: whoever exports says what happened.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import queue
import re
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

import msgspec
import structlog

from connector_host import clock
from connector_host.errors import HostError
from connector_host.observability import events
from connector_host.own_threads import in_own_thread
from connector_host.ownership import make_file
from connector_host.turns import EachTurn

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_NAME: Final = re.compile(r"audit-([0-9]{6,})\.jsonl")
LOCK: Final = "audit.lock"
FIRST: Final = "audit-000001.jsonl"
BY_HAND: Final = "by-hand"
"""The folder, in that of the host's trail, of the chain for what people type: the running host holds its own."""
START: Final = "0" * 64
"""What the first record names as the one before it."""


class AuditUnavailable(HostError):
    """The trail cannot be written, so nothing may be done that would have to stand in it."""


class AuditInUse(HostError):
    """Another process writes to this trail: two would break each other's chain."""


class AuditDamaged(HostError):
    """The end of the trail cannot be read, so that nothing can be chained to it."""


class Trail(Protocol):
    """Where records go, wherever the files are: here, or at the process that started this one."""

    is_broken: bool
    """Whether the last record could not be written."""

    async def record(self, **fields: object) -> None:
        """Return once the record is on disk; raises AuditUnavailable."""

    async def demand(self) -> None:
        """Raise AuditUnavailable where the trail cannot be written now."""


@dataclass(frozen=True, slots=True)
class Link:
    """The end of the chain: what the next record is sealed with."""

    sequence: int
    seal: str


@dataclass(slots=True)
class _Entry:
    record: Mapping[str, Any]
    written: asyncio.Future[None] | None = None
    """Told in its own event loop; None where nobody waits."""


class AuditTrail:
    """Owns the folder and the thread that writes to it."""

    def __init__(self, folder: Path, *, rotate_bytes: int, keep_files: int) -> None:
        """Open the folder and go on where it ends.

        An unfinished record at the end is cut away, and log and trail say so: a crash leaves one that was never
        acknowledged, but somebody's cut of one that was looks the same. Raises OSError where the folder cannot be
        written, AuditInUse while another process does, AuditDamaged.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._held = _hold(folder)
        self._folder, self._rotate_bytes, self._keep_files = folder, rotate_bytes, keep_files
        self.is_broken = False
        """Whether the last record could not be written."""
        self._half: tuple[Path, int] | None = None
        """In which file, and where, half a record begins that could not be cut away."""
        self._waiting: deque[_Entry] = deque()
        self._news: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """Told once for all records of one turn of an event loop: one fsync pays for them. False is the last."""
        self._telling = EachTurn(self._tell_thread)
        try:
            self._link, dropped = _resume(folder)
            self._file: FileIO | None = self._open()
        except BaseException:
            self._held.close()
            raise
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._thread.start()
        if dropped:
            structlog.get_logger().warning(events.AUDIT_RECOVERED, path=str(folder), dropped_bytes=dropped)
            self._waiting.append(_Entry({"event": "recovered", "dropped_bytes": dropped}))
            self._tell_thread()

    async def record(self, **fields: object) -> None:
        """Return once the record is on disk; raises AuditUnavailable where it cannot be."""
        # Once it is in the queue it is written, even where whoever waits for that is cancelled: a client that hangs up
        # does not take its export's record with it.
        await self._put(fields)

    async def record_all(self, records: Iterable[Mapping[str, Any]]) -> list[BaseException | None]:
        """Return once each record is on disk, or why it is not."""
        return await asyncio.gather(*map(self._put, records), return_exceptions=True)

    def _put(self, record: Mapping[str, Any]) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Entry(record, written))
        self._telling.want(loop)
        return written

    def _tell_thread(self) -> None:
        self._news.put(True)  # noqa: FBT003 - the only thing that it says

    async def demand(self) -> None:
        """Return at once where the last record could be written; else try again, and raise AuditUnavailable."""
        if self.is_broken:
            await self.record(event="resumed")

    async def close(self) -> None:
        """Write what waits, and close the file."""
        self._news.put(False)  # noqa: FBT003 - the only thing that it says
        await in_own_thread(self._thread.join)
        if self._file is not None:
            self._file.close()
        self._held.close()

    # ── the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        going_on = True
        while going_on:
            going_on = self._news.get()
            entries = self._take()
            if not entries:
                continue
            try:
                self._write(entries)
            except Exception as failure:  # noqa: BLE001 - without this thread every later export would wait for ever
                self._fail(entries, failure)
            else:
                self.is_broken = False
                _tell(entries, None)

    def _take(self) -> list[_Entry]:
        """Return all records that have come: one fsync pays for them together."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def _write(self, entries: list[_Entry]) -> None:
        if self._file is not None and self._was_taken_away():
            structlog.get_logger().error(events.AUDIT_FAILED, reason="its file was taken away", records=0)
            self._file.close()
            self._file = None
            entries = [_Entry({"event": "missing", "before": self._link.sequence + 1}), *entries]
        file = self._append(entries)
        if file.tell() >= self._rotate_bytes:
            try:
                self._rotate()
            except (OSError, AuditDamaged) as failure:  # the records are on disk, so nobody is told otherwise
                structlog.get_logger().warning(events.AUDIT_FAILED, reason=_words_of(failure), records=0)

    def _was_taken_away(self) -> bool:
        """Return whether the file has lost its name: what is written to it then is on no disk that anybody reads."""
        if self._file is None:
            return False
        open_file = os.fstat(self._file.fileno())
        try:
            named = self._path.stat()
        except OSError:
            return True
        return (named.st_dev, named.st_ino) != (open_file.st_dev, open_file.st_ino)

    def _append(self, entries: list[_Entry]) -> FileIO:
        """Return the file once the records are on disk in it; raises OSError with none of them left there."""
        file = self._file or self._open()
        self._file = file
        link, lines = self._link, []
        for entry in entries:
            try:
                line, link = seal(entry.record, link)
            except UnicodeEncodeError:
                line, link = seal(storable(dict(entry.record)), link)
            lines.append(line)
        start = file.tell()
        try:
            rest = memoryview(b"".join(lines))
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            self._undo(file, start)
            raise
        self._link = link
        return file

    def _undo(self, file: FileIO, start: int) -> None:
        """Leave no half of a record behind; where the disk refuses that, too, it goes before anything is appended."""
        self._file, self._half = None, (self._path, start)
        try:
            os.ftruncate(file.fileno(), start)
            self._half = None
        except OSError:
            structlog.get_logger().warning(events.AUDIT_FAILED, reason="a half-written record is left behind")
        with suppress(OSError):
            file.close()

    def _rotate(self) -> None:
        """Begin the next file; the oldest go where a number of files to keep is set."""
        if self._file is not None:
            self._file.close()
        self._file = None
        number = _number(files_of(self._folder)[-1]) + 1
        make_file(self._folder / f"audit-{number:06}.jsonl")
        self._file = self._open()
        if self._keep_files:
            # The new one is empty, so that the chain goes on from the one before it at least.
            kept = max(self._keep_files, 2)
            self._let_go(files_of(self._folder)[:-kept], files_of(self._folder)[-kept:])

    def _let_go(self, old: list[Path], kept: list[Path]) -> None:
        """Remove old files once the trail itself says so: else nobody could tell that from somebody's doing."""
        if not old:
            return
        with kept[0].open("rb") as file:
            first = _link_of(kept[0], file.readline())
        self._append([_Entry({"event": "rotated", "before": first.sequence})])
        for path in old:
            path.unlink()

    def _open(self) -> FileIO:
        files = files_of(self._folder)
        self._path = files[-1] if files else self._folder / FIRST
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # Without a buffer: what a full disk did not take would be written when the file is closed.
        file = FileIO(descriptor, "ab")
        try:
            size = file.seek(0, os.SEEK_END)
            # Where that file was taken away meanwhile, another one is the last, and whole.
            if self._half is not None and self._half[0] == self._path and size > self._half[1]:
                os.ftruncate(descriptor, self._half[1])
                file.seek(0, os.SEEK_END)
        except OSError:
            file.close()
            raise
        self._half = None
        return file

    def _fail(self, entries: list[_Entry], failure: Exception) -> None:
        self.is_broken = True
        reason = _words_of(failure)
        structlog.get_logger().error(events.AUDIT_FAILED, reason=reason, records=len(entries))
        _tell(entries, f"The audit trail cannot be written ({reason}).")


def _words_of(failure: Exception) -> str:
    """Return why the trail cannot be written; words of anything but the system may quote what stands in a record."""
    return failure.strerror or "" if isinstance(failure, OSError) else type(failure).__name__


def _tell(entries: list[_Entry], reason: str | None) -> None:
    """Tell everybody at once that the records are on disk, or why not: waking an event loop costs more than that."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for entry in entries:
        if entry.written is not None:
            by_loop.setdefault(entry.written.get_loop(), []).append(entry.written)
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the loop ended meanwhile: nobody is there to be told
            loop.call_soon_threadsafe(settle, dict.fromkeys(waiting, reason))


def settle(outcomes: Mapping[asyncio.Future[None], str | None]) -> None:
    """Tell each who waits for a record that it was written, or why not; one that was given up meanwhile is left."""
    for written, reason in outcomes.items():
        if written.done():
            continue
        if reason is None:
            written.set_result(None)
        else:
            written.set_exception(AuditUnavailable(reason))


# ── the chain ─────────────────────────────────────────────────────────────────────────────────────────────────────


def seal(record: Mapping[str, Any], link: Link) -> tuple[bytes, Link]:
    """Return the record as a line that is sealed with the one before, and the new end of the chain."""
    moment = clock.now().isoformat(timespec="milliseconds")
    content = {"seq": link.sequence + 1, "time": moment, **record, "prev": link.seal}
    encoded = msgspec.json.encode(content, enc_hook=str)
    digest = hashlib.sha256(encoded).hexdigest()  # what `seal_of` finds when the line is read
    return b'%b,"hash":"%b"}\n' % (encoded[:-1], digest.encode()), Link(link.sequence + 1, digest)


def storable(value: Any) -> Any:  # noqa: ANN401 - whatever a record holds
    """Return the value with half characters escaped, which no UTF-8 can hold: a record must never be left out."""
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {storable(key): storable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [storable(inner) for inner in value]
        case _:
            return value


def seal_of(content: Mapping[str, Any]) -> str:
    """Return SHA-256 over everything in a record but its own seal, in the order in which it stands."""
    kept = {name: value for name, value in content.items() if name != "hash"}
    return hashlib.sha256(msgspec.json.encode(kept, enc_hook=str)).hexdigest()


def files_of(folder: Path) -> list[Path]:
    """Return the files of the trail in their order; what else somebody keeps there, such as a copy, is not part."""
    return sorted((path for path in folder.glob("audit-*.jsonl") if _NAME.fullmatch(path.name)), key=_number)


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _resume(folder: Path) -> tuple[Link, int]:
    """Return where the chain ends, and how many bytes of an unfinished record were cut away.

    A trail that is damaged is evidence: nothing is cut away before its end is known to be good.
    """
    link, dropped = Link(0, START), 0
    sizes: dict[Path, int] = {}
    for path in reversed(files_of(folder)):
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            sizes[path], dropped = len(whole), len(content) - len(whole)
        if whole:
            link = _link_of(path, whole[whole.rfind(b"\n", 0, -1) + 1 :])
            break
    for path, size in sizes.items():
        os.truncate(path, size)
    return link, dropped


def _link_of(path: Path, line: bytes) -> Link:
    try:
        last = msgspec.json.decode(line)
        return Link(int(last["seq"]), str(last["hash"]))
    except (ValueError, KeyError, TypeError) as failure:
        raise AuditDamaged(
            f"the last line of {path} is no record, so the chain cannot go on. Keep the folder as evidence: rename it, "
            "and a new trail begins."
        ) from failure


def _hold(folder: Path) -> BinaryIO:
    """Return an open file that only one process can hold; the system lets go of it when that ends, however it does."""
    held = os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    try:
        if sys.platform == "win32":
            msvcrt.locking(held.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as failure:
        held.close()
        raise AuditInUse(f"another process writes to {folder}: is the host running already?") from failure
    return held

"""What logs of a line with each request cost little by: how a line becomes JSON, and how it gets to standard error.

Knows nothing of what is in a line.
"""

from __future__ import annotations

import asyncio
import atexit
import io
import json
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from connector_host.turns import EachTurn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def to_json(line: Mapping[str, object]) -> str:
    """Return the line as one JSON object; what JSON does not know is told by its str()."""
    try:
        return _ENCODER.encode(line).decode()
    except UnicodeEncodeError:
        # The name of a file, say, that is no UTF-8: its odd bytes are kept as letters that have no encoding.
        return json.dumps(line, default=str)


_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)


class StandardError(io.TextIOBase):
    """Whatever standard error is when a line is written; it may be exchanged while the process lives.

    What is logged in one turn of an event loop is written at its end, at once: to write is to let go of the
    interpreter, and under load to wait until it is free again, which a line of its own would cost each request.
    """

    def __init__(self) -> None:
        self.is_shared = False
        """Whether other processes write to it, too: then no more at once than the system keeps in one piece."""
        self._lines: deque[str] = deque()
        self._writing = EachTurn(self._write_out)

    def write(self, text: str) -> int:
        """Have the text written with the end of this turn of the loop, if there is one, or with the next flush."""
        self._lines.append(text)
        loop = _running_loop()
        if loop is not None:
            self._writing.want(loop)
        return len(text)

    def flush(self) -> None:
        """Write at once where no event loop runs; in one, the end of the turn is near enough."""
        if _running_loop() is None:
            self._write_out()

    def _write_out(self) -> None:
        lines = []
        with suppress(IndexError):  # another thread may take some of them, and writes those
            while self._lines:
                lines.append(self._lines.popleft())
        # Where nobody reads any more, or the disk is full, there is nobody to be told of it, and the service goes on.
        with suppress(OSError, ValueError):
            for part in _pieces(lines) if self.is_shared else ["".join(lines)]:
                sys.stderr.write(part)
                sys.stderr.flush()

    def isatty(self) -> bool:
        """Return whether a person reads it."""
        return sys.stderr.isatty()

    def fileno(self) -> int:
        """Return its descriptor; raises OSError where it has none."""
        return sys.stderr.fileno()


def _pieces(lines: list[str]) -> Iterator[str]:
    """Yield the lines in parts that one write to a pipe keeps together (PIPE_BUF, pipe(7)); a longer one goes alone."""
    part, size = "", 0
    for line in lines:
        length = len(line.encode(errors="replace"))
        if size and size + length > _WHOLE_BYTES:
            yield part
            part, size = "", 0
        part, size = part + line, size + length
    if part:
        yield part


_WHOLE_BYTES: Final = 4_096


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


STANDARD_ERROR: Final = StandardError()
atexit.register(STANDARD_ERROR.flush)

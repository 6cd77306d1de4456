"""Handles and signals between a parent and its workers: what is asked of the system, on Linux only."""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends over which handles are given, each in a message of its own; neither end blocks."""
    ends = socket.socketpair(type=socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)  # noqa: FBT003 - the library's own order
    return ends


def give(end: socket.socket, handle: int) -> None:
    """Give a handle; raises OSError where the other end is gone, or has as many waiting as it can hold."""
    if sys.platform != "win32":
        socket.send_fds(end, [b"c"], [handle])


def take(end: socket.socket) -> int | None:
    """Take a handle, None where the other end is gone; raises BlockingIOError where none waits."""
    handles: list[int] = []
    if sys.platform != "win32":
        _, handles, _, _ = socket.recv_fds(end, 1, 1)
    return handles[0] if handles else None


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Let a process that is started in the block begin deaf to signals: one to all must not end it half-begun."""
    if sys.platform != "win32":
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        yield


def ignore_signals() -> None:
    """Ignore what was held back: the parent alone heeds signals, and says when a worker stops."""
    if sys.platform != "win32":
        held_back = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        for number in held_back:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held_back)

"""Being asked to stop other than by a signal: Windows tells a service by a call, in a thread of its own."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stopping:
    """Passes the request on to every listener; one that comes later hears it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_asked = False
        self._listeners: list[Callable[[], object]] = []

    def ask(self) -> None:
        """Ask the program of this process to stop in order."""
        with self._lock:
            self._is_asked = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    @contextmanager
    def heard_by(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call the listener when somebody asks while the block runs; it must be safe to call from any thread."""
        with self._lock:
            is_asked = self._is_asked
            self._listeners.append(listener)
        if is_asked:
            listener()
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)


REQUESTS: Final = Stopping()
"""Of this process."""

"""A TLS context that stays in step with its files: what is exchanged counts from the next connection on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agent import events, logs
from agent.errors import ConfigurationError
from connector_host.tls.files import stamp_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path


class FollowedContext:
    """Keeps a context in step with its files; files that cannot be used leave the ones before them in force."""

    def __init__(self, load: Callable[[], ssl.SSLContext], *files: Path | None) -> None:
        """Load it; raises ConfigurationError as `load` does."""
        self._load = load
        self._files = [file for file in files if file is not None]
        self._seen = self._stamp()
        self._context = load()

    def context(self) -> ssl.SSLContext:
        """Return what the next connection uses."""
        if (stamp := self._stamp()) != self._seen:
            self._seen = stamp
            try:
                self._context = self._load()
            except ConfigurationError as failure:
                mend = "What was there before stays in force; exchange all files that belong together."
                logs.event(events.CERTIFICATE_WARNING, level=logging.WARNING, fact=str(failure), mend=mend)
        return self._context

    def _stamp(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(stamp_of, self._files))

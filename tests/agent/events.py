"""The log as something to await: a test waits for an event instead of sleeping."""

from __future__ import annotations

import asyncio
import logging


class EventLog(logging.Handler):
    """Collects the events of agent and relay as they are logged."""

    def __init__(self):
        super().__init__()
        self.seen: list[tuple[str, dict[str, object]]] = []
        self._news = asyncio.Event()

    def emit(self, record):
        self.seen.append((record.getMessage(), getattr(record, "fields", {})))
        self._news.set()

    async def wait_for(self, name, *, count=1, limit_s=10.0, **fields):
        """Return the fields of the count-th event of this name that has these fields, once it is there."""
        async with asyncio.timeout(limit_s):
            while True:
                found = [seen for event, seen in self.seen if event == name and fields.items() <= seen.items()]
                if len(found) >= count:
                    return found[count - 1]
                self._news.clear()
                await self._news.wait()

"""Blocking readers as streams: they run in a thread, one batch ahead of who reads, and never further."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from connector_host.provisioning.sources.contract import BATCH, Batch, SourceUser

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return what blocking work returns, without blocking anybody else."""
    return await asyncio.to_thread(work)


async def batches(
    open_users: Callable[[], Iterator[SourceUser]], mark: Callable[[], str | None] = lambda: None
) -> AsyncGenerator[Batch, None]:
    """Yield the users of a blocking iterator in batches, the next one being read while the last is worked on.

    `mark` is asked once, after the last user.
    """
    users = open_users()
    upcoming = asyncio.ensure_future(in_thread(lambda: tuple(islice(users, BATCH))))
    try:
        # Shielded: the thread of a call that is called off reads on, and must be waited for below.
        while chunk := await asyncio.shield(upcoming):
            upcoming = asyncio.ensure_future(in_thread(lambda: tuple(islice(users, BATCH))))
            yield Batch(chunk)
        yield Batch((), mark())
    finally:
        if not upcoming.done():
            await asyncio.wait({upcoming})
        if not upcoming.cancelled() and upcoming.exception() is None and (close := getattr(users, "close", None)):
            await in_thread(close)

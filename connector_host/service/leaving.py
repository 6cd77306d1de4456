"""The end of a process of whose threads some may wait for a database that does not answer: it does not wait for them.

Knows nothing of databases: whoever is left has been told of, and whatever is to be kept was closed before.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Final, NoReturn

from connector_host.own_threads import any_running

LEAVE_S: Final = 0.5


async def threads_ended() -> bool:
    """Return whether the threads of the event loop have ended, or did within a moment, and those beside it."""
    # Not cancelled where it takes too long: it would then wait for its own thread, which waits for all others.
    ending = asyncio.ensure_future(asyncio.get_running_loop().shutdown_default_executor())
    done, _ = await asyncio.wait({ending}, timeout=LEAVE_S)
    return bool(done) and not any_running()


def leave(status: int) -> NoReturn:
    """End this process at once, whatever its threads do; what was logged is written."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)

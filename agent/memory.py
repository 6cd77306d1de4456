"""What memory is given back, read for nobody, and looked through for nothing.

uvloop holds a buffer of 256 KiB for each TLS connection. glibc gives such blocks pages of their own, until the first is
freed: from then on it takes them from the heap, where they keep what lies above them from being returned. A fixed
threshold, which the administrator's own setting goes before, ends that. Smaller blocks, of which a thousand clients
leave 200 MB between a few that stay, glibc returns only when told to.

aiohttp reads the system's authorities, about 140 certificates, into 2 MB as soon as it is imported, for a client that
names none; and the system's list of media types, for files that nobody serves here. Its frozenlist, of which nothing
here is made for a request, brings the library of C++, another megabyte.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

BLOCK_BYTES: Final = 262_144
_IS_LINUX: Final = sys.platform.startswith("linux")
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_LEAN: Final = {"SSL_CERT_FILE": os.devnull, "FROZENLIST_NO_EXTENSIONS": "1"}
"""The first names the file of authorities that OpenSSL reads whole; those that a folder holds one by one it reads when
asked."""

_YOUNG: Final = 5_000
"""New objects after which those in cycles are looked for. Requests in hand are some thousand objects, which are gone by
themselves a moment later: by Python's own 700 they were looked through with every batch."""

_UNWOUND_S: Final = 0.1
"""Within that a connection that ends is gone."""
_LATER_S: Final = 10.0
"""Where there are but a few, they are looked for after that."""

_OF_THE_ADMINISTRATOR: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_blocks_apart() -> bool:
    """Have large blocks returned to the system when they are freed; returns whether the C library can do that."""
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, BLOCK_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, 2 * BLOCK_BYTES))


@asynccontextmanager
async def given_back(pause_s: float = 10.0) -> AsyncIterator[None]:
    """Have all free pages returned to the system, again and again while the block runs, where the C library can."""
    trim = _of_glibc("malloc_trim")
    if trim is None:
        yield
        return

    async def trim_on() -> None:
        while True:
            await asyncio.sleep(pause_s)
            # 0.2 ms where there is nothing; where there are 200 MB, 30 ms.
            trim(0)

    trimming = asyncio.create_task(trim_on())
    try:
        yield
    finally:
        trimming.cancel()


def _of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function of it; None where the C library is another one, or the administrator has tuned it."""
    if not _IS_LINUX or any(variable in os.environ for variable in _OF_THE_ADMINISTRATOR):
        return None
    import ctypes  # noqa: PLC0415 - only the programs that serve

    return getattr(ctypes.CDLL(None), name, None)


@contextmanager
def lean_imports() -> Iterator[None]:
    """Have nothing read or trusted, for a whole module that this block imports, which nobody asks for here.

    Only for programs whose every connection has a context of its own, and that serve no files.
    """
    import mimetypes  # noqa: PLC0415 - `--help` answers without it

    before = {name: os.environ.get(name) for name in _LEAN}
    os.environ.update(_LEAN)
    files, mimetypes.knownfiles = mimetypes.knownfiles, []
    try:
        yield
    finally:
        mimetypes.knownfiles = files
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def keep_what_stays() -> None:
    """Have what a program consists of looked through no more: it is there until the end.

    A full collection stops everything for 30 ms, nearly all of them for 60,000 objects of modules; under load, that is
    when it comes, since it comes with many new connections.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


class Leftovers:
    """Looks for what connections leave that end in the middle of something, once there are some.

    Such an end leaves a few objects that refer to each other, and hold all that was received and the buffers of TLS:
    some 100 KB, which a stranger can bring about thousands of times before Python, which counts objects and not bytes,
    looks for them by itself.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._count = 0
        self._later: asyncio.TimerHandle | None = None

    def note(self) -> None:
        """Tell that one is ending."""
        self._count += 1
        if self._count == self._most:
            # What is ending still stands on the stack.
            self._look_in(_UNWOUND_S)
        elif self._count == 1:
            self._look_in(_LATER_S)

    def _look_in(self, pause_s: float) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(pause_s, self._look)

    def _look(self) -> None:
        self._count, self._later = 0, None
        gc.collect()

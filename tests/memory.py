"""Where throw-away data lies: in memory where there is room, since what most tests wait for is a disk.

A MariaDB that makes a table waits fifty milliseconds for a disk and five for memory; a commit of SQLite is alike.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = Path("/dev/shm")  # noqa: S108 - folders of random names are made in it
ROOM = 1 << 30
"""A container often has 64 MB there, which one MariaDB would fill."""


def memory() -> Path | None:
    """Return a folder in memory, or None where it is missing, small, full, or runs no programs."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return None
    usable = os.access(MEMORY, os.W_OK) and not found.f_flag & os.ST_NOEXEC
    return MEMORY if usable and found.f_bavail * found.f_frsize >= ROOM else None


class Folder:
    """A folder in `place`, or else on disk. What a run that was killed left in `place`, the next one removes."""

    def __init__(self, prefix: str, place: Path | None) -> None:
        with _swept(place, prefix) if place else contextlib.nullcontext():
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            self._held = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._held, fcntl.LOCK_EX)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._held)


@contextlib.contextmanager
def _swept(place: Path, prefix: str) -> Iterator[None]:
    """Remove the folders that nobody holds, and keep others from doing so until a new one is held."""
    with _held(place, fcntl.LOCK_EX):
        for left in place.glob(f"{prefix}*"):
            with contextlib.suppress(OSError), _held(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)
        yield


@contextlib.contextmanager
def _held(folder: Path, how: int) -> Iterator[None]:
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, how)
        yield
    finally:
        os.close(number)

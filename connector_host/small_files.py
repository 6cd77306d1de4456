"""Files that an administrator names and that are small by nature: keys, certificates, secrets, settings.

What is named may be anything: a device without end, a pipe into which nobody writes. None of these may fill the memory
or hang a start.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = 16 * 1024 * 1024
"""More than any of them has: a bundle of all public authorities has a quarter of a megabyte."""

_TOO_LARGE: Final = f"it has more than {MOST_BYTES // 1024 // 1024} MiB"


def read_small(path: Path) -> bytes:
    """Return the content of a file, or of a pipe that somebody writes into; raises OSError that says why not."""
    with open(path, "rb", opener=_without_waiting) as file:
        if sys.platform != "win32":  # where no file can be told to wait
            os.set_blocking(file.fileno(), True)
        content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise OSError(errno.EFBIG, _TOO_LARGE)
        if not content and stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EPIPE, "it is a pipe into which nobody writes")
        return content


def demand_small(path: Path) -> None:
    """Raise OSError unless a library that reads the file by its name, as often as it likes, comes to an end."""
    demand_regular(path)
    if path.stat().st_size > MOST_BYTES:
        raise OSError(errno.EFBIG, _TOO_LARGE)


def demand_regular(path: Path) -> None:
    """Raise OSError unless this is an ordinary file, of any size; a folder is left to whoever opens it to name."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a device or a pipe, and no file")


def _without_waiting(path: str, flags: int) -> int:
    """Open without waiting for whoever writes into a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

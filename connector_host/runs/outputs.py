"""Outputs: where an import delivers, and files like it. A file appears whole and on the disk, or not at all."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from connector_host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class OutputError(HostError):
    """What was imported could not be written where it was to go; no file has any of it."""


@contextmanager
def delivered(path: Path | None) -> Iterator[IO[bytes]]:
    """Give a stream to write to (see `written`); raises OutputError where it cannot be written."""
    try:
        with written(path) as stream:
            yield stream
    except BrokenPipeError:  # whoever read has had enough, and needs no telling
        raise
    except OSError as failure:
        place = "standard output" if path is None else f"output: {path}"
        raise OutputError(
            f"{place}: cannot be written ({failure.strerror or failure}). What was read counts for nothing: the next "
            "run delivers it again."
        ) from failure


@contextmanager
def written(path: Path | None) -> Iterator[IO[bytes]]:
    """Give a stream to write to; it is delivered when the block ends well, and nothing of it is left otherwise.

    Without a path it is standard output, which cannot be taken back; neither can what went into a pipe or a device,
    which is written to as it is, and never replaced by a file. Raises OSError.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    # Where a link leads, so that the link stays one.
    path = path.resolve()
    part = path.with_name(path.name + ".part")
    try:
        # 0600: the file holds personal data.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

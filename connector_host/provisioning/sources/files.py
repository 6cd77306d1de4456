"""CSV and NDJSON files as a source: read as a stream, so that memory does not grow with the file."""

from __future__ import annotations

import asyncio
import csv
import json
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connector_host.provisioning.errors import SourceFailed
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.resources import flattened
from connector_host.provisioning.settings import CsvSettings, NdjsonSettings
from connector_host.provisioning.sources.contract import SourceUser, spoilt
from connector_host.provisioning.sources.threads import batches, in_thread
from connector_host.small_files import demand_regular

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from connector_host.provisioning.sources.contract import Batch
    from connector_host.provisioning.values import Value

CELL_CHARS_MAX = 1_048_576
"""The longest value of a CSV file."""

DEPTH_MAX = 64
"""How deep the objects and lists of an NDJSON line may be nested."""


@dataclass(frozen=True, slots=True)
class _Index:
    """Which keys a file has, as it was at one moment."""

    stamp: tuple[int, ...]
    keys: frozenset[int]
    """Their hashes: two keys may share one, so that a key may seem to be there, and never seems to be missing."""
    whole: bool
    """Whether every record has a key that can be read."""


class FileSource:
    """One file; it cannot tell what has changed, so every cycle reads all of it."""

    gives_changes = False
    full_every = 0

    def __init__(self, settings: CsvSettings | NdjsonSettings) -> None:
        self._settings = settings
        self._read: os.stat_result | None = None
        self._index: _Index | None = None
        self._indexing = asyncio.Lock()

    async def attributes(self) -> Mapping[str, Kind] | None:
        """Return the columns of a CSV file; the lines of an NDJSON file may each have their own."""
        if isinstance(self._settings, NdjsonSettings):
            return None
        settings = self._settings
        kind = Kind.ANY if settings.many_delimiter else Kind.TEXT
        return dict.fromkeys(filter(None, await in_thread(lambda: _heading(settings))), kind)

    async def kinds(self) -> Mapping[str, Kind]:
        """Return nothing: a file says nothing of its attributes."""
        return {}

    async def count(self) -> int | None:
        """Return how many lines hold something; a value that goes over several lines makes that too many."""
        return await in_thread(lambda: _lines(self._settings))

    def read(self, mark: str | None) -> AsyncGenerator[Batch, None]:
        """Yield every user of the file; a mark means nothing to it."""
        del mark
        return batches(lambda: self._users(noted=True), self._whole)

    async def fetch(self, key: str) -> SourceUser | None:
        """Return one user, by reading the file until it is found."""
        return await in_thread(lambda: next((user for user in self._users() if user.key == key), None))

    async def lacks(self, key: str) -> bool:
        """Return whether no user has this key, and no record is without one; the file is read once for many keys."""
        async with self._indexing:
            index = await in_thread(self._indexed)
        return index.whole and hash(key) not in index.keys

    async def close(self) -> None:
        """Do nothing: a file is open only while it is read."""

    def _indexed(self) -> _Index:
        try:
            stamp = _stamp(self._settings.path.stat())
        except OSError:
            return _Index((), frozenset(), whole=False)
        if self._index is None or self._index.stamp != stamp:
            keys = frozenset(hash(user.key) for user in self._users())
            self._index = _Index(stamp, keys, whole=hash("") not in keys)
        return self._index

    def _users(self, *, noted: bool = False) -> Iterator[SourceUser]:
        settings = self._settings
        try:
            demand_regular(settings.path)
            with settings.path.open(encoding=settings.encoding, newline="") as file:
                before = os.fstat(file.fileno())
                if isinstance(settings, CsvSettings):
                    yield from _csv_users(file, settings)
                else:
                    yield from _json_users(file, settings)
                _same(settings, before, os.fstat(file.fileno()))
                self._read = before if noted else self._read
        except OSError as failure:
            raise SourceFailed(f"{settings.path} cannot be read ({failure.strerror}).") from failure
        except UnicodeDecodeError as failure:
            raise SourceFailed(f"{settings.path} is not {settings.encoding}.") from failure

    def _whole(self) -> None:
        """Raise SourceFailed where the file that was read has changed since; asked once all its users were looked at.

        Another file in its place is no reason: the one that was read had come to its end.
        """
        try:
            now = self._settings.path.stat()
        except OSError:
            return
        if self._read is not None and now.st_ino == self._read.st_ino and now.st_dev == self._read.st_dev:
            _same(self._settings, self._read, now)


def _same(settings: CsvSettings | NdjsonSettings, before: os.stat_result, now: os.stat_result) -> None:
    """Raise SourceFailed where the file was written meanwhile: a half of it looks like a file with fewer users."""
    if (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
        raise SourceFailed(
            f"{settings.path} was changed while it was read, so nobody is taken for gone:"
            " write it under another name, and rename it into place."
        )


def _stamp(one: os.stat_result) -> tuple[int, ...]:
    return one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns


def _lines(settings: CsvSettings | NdjsonSettings) -> int | None:
    try:
        demand_regular(settings.path)
        with settings.path.open("rb") as file:
            count = sum(1 for line in file if line.strip())
    except OSError:
        return None  # reading says what is wrong
    return max(count - isinstance(settings, CsvSettings), 0)


def _heading(settings: CsvSettings) -> list[str]:
    try:
        demand_regular(settings.path)
        with settings.path.open(encoding=settings.encoding, newline="") as file:
            return _distinct(next(csv.reader(file, delimiter=settings.delimiter), []), settings)
    except OSError as failure:
        raise SourceFailed(f"{settings.path} cannot be read ({failure.strerror}).") from failure
    except (UnicodeDecodeError, csv.Error) as failure:
        raise SourceFailed(f"{settings.path} is no CSV file in {settings.encoding}.") from failure


def _distinct(heading: list[str], settings: CsvSettings) -> list[str]:
    """Return the heading; raises SourceFailed where two columns have one name, so that nobody knows which one is meant.

    Columns without a name, as spreadsheets leave them at the end, are not read.
    """
    if twice := [name for name, count in Counter(heading).items() if name and count > 1]:
        raise SourceFailed(f"{settings.path.name} has more than one column {', '.join(twice)}: rename all but one.")
    return heading


def _csv_users(file: Iterator[str], settings: CsvSettings) -> Iterator[SourceUser]:
    csv.field_size_limit(CELL_CHARS_MAX)
    rows = csv.reader(file, delimiter=settings.delimiter, strict=True)
    try:
        heading = _distinct(next(rows, []), settings)
        if settings.key not in heading:
            raise SourceFailed(f"{settings.path.name} has no column {settings.key}.")
        while (row := _next_row(rows)) is not None:
            if any(row):  # spreadsheets leave rows of nothing but empty cells behind
                yield _csv_user(row, heading, rows.line_num, settings)
    except csv.Error as failure:
        raise SourceFailed(f"{settings.path.name}, line {rows.line_num}: {failure}.") from failure


def _next_row(rows: Iterator[list[str]]) -> list[str] | str | None:
    """Return the next row, the reason in its place where it is none, and None at the end.

    Raises csv.Error where a value has no end: nobody knows whether what follows is a row of its own or a part of it.
    """
    try:
        return next(rows, None)
    except csv.Error as failure:
        if "limit" in str(failure):
            raise
        return str(failure)


def _csv_user(row: list[str] | str, heading: list[str], line: int, settings: CsvSettings) -> SourceUser:
    where = f"{settings.path.name}, line {line}"
    if isinstance(row, str):
        return spoilt(f"{where}: {row}.")
    if len(row) != len(heading):
        # Whether one value is missing or its quotes are, the key may stand in another column, or be another row's.
        return spoilt(f"{where}: {len(row)} values, the heading has {len(heading)}.")
    return _keyed(
        {name: _cell(cell, settings) for name, cell in zip(heading, row, strict=True) if name}, where, settings
    )


def _keyed(values: dict[str, Value], where: str, settings: CsvSettings | NdjsonSettings) -> SourceUser:
    key = values.get(settings.key)
    if key in (None, "") or isinstance(key, tuple):
        return spoilt(f"{where}: the key {settings.key} has no value.")
    return SourceUser(str(key), values)


def _cell(cell: str, settings: CsvSettings) -> Value:
    """Return what is in a cell: an empty one is how this format writes null."""
    if settings.many_delimiter and settings.many_delimiter in cell:
        return tuple(text for part in cell.split(settings.many_delimiter) if (text := part.strip())) or None
    return cell or None


def _json_users(file: Iterator[str], settings: NdjsonSettings) -> Iterator[SourceUser]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield _json_user(line, f"{settings.path.name}, line {number}", settings)


def _json_user(line: str, where: str, settings: NdjsonSettings) -> SourceUser:
    document = _json_object(line)
    if isinstance(document, str):
        return spoilt(f"{where}: {document}.")
    user = _keyed(json_values(document), where, settings)
    if "\\u" in line and not _is_text(json.dumps(document, ensure_ascii=False)):
        key = user.key if _is_text(user.key) else ""
        return spoilt(f"{where}: half of a surrogate pair, which is no character.", key)
    return user


def _json_object(line: str) -> dict[str, Any] | str:
    """Return the object on a line, or why there is none."""
    deep = f"nested more than {DEPTH_MAX} deep"
    try:
        document = json.loads(line)
    except RecursionError:
        return deep
    except json.JSONDecodeError as failure:
        return f"no JSON ({failure.msg})"
    except ValueError:
        return "a number with too many digits"
    if line.count("{") + line.count("[") > DEPTH_MAX and _is_deeper(document, DEPTH_MAX):
        return deep
    return document if isinstance(document, dict) else "no JSON object"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_deeper(value: Any, depth: int) -> bool:  # noqa: ANN401 - JSON
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(_is_deeper(part, depth - 1) for part in parts)


def json_values(document: Mapping[str, Any]) -> dict[str, Value]:
    """Return a JSON object as the values of a user: nested objects by their path, lists as several values."""
    return {path: tuple(value) if isinstance(value, list) else value for path, value in flattened(document)}

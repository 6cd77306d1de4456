"""What imports remember between runs: a keyed digest of each row, a watermark, and the history, in one SQLite file.

    runs       number, profile, when, how many of what, what went wrong
    snapshot   anchor, digest of the values, number of the run that saw it last
    marks      watermark of an attribute

Digests are keyed with a secret of the file, so that nobody can find a person's values by trying. All that one run
changes becomes true in one commit, after its output was delivered.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from connector_host import clock
from connector_host.errors import ConfigurationError, HostError
from connector_host.ownership import make_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

VERSION = 1
TABLES = """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY, profile TEXT NOT NULL, started TEXT NOT NULL, ended TEXT,
        read INTEGER NOT NULL DEFAULT 0, adds INTEGER NOT NULL DEFAULT 0, modifies INTEGER NOT NULL DEFAULT 0,
        deletes INTEGER NOT NULL DEFAULT 0, error TEXT
    );
    CREATE TABLE snapshot (anchor TEXT PRIMARY KEY, digest BLOB NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX snapshot_seen ON snapshot (seen);
    CREATE TABLE marks (attribute TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE secret (value BLOB NOT NULL);
"""


@dataclass(slots=True)
class Counts:
    """What one run met and made."""

    read: int = 0
    adds: int = 0
    modifies: int = 0
    deletes: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the history; one without an end was cut off, or is the last one and under way."""

    number: int
    profile: str
    started: str
    ended: str | None
    counts: Counts
    error: str | None


class StateError(HostError):
    """The file can be read or written no more: its disk is full, or another import holds it."""


class ImportState:
    """The file, for one run at a time: a second process waits a moment and is then refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            make_file(path)
            self._file = sqlite3.connect(path, isolation_level=None, timeout=1)
            self._prepare()
        except (OSError, sqlite3.DatabaseError) as failure:
            raise ConfigurationError(f"{path}: cannot be used as the state of imports ({failure}).") from failure
        self._secret: bytes = self._file.execute("SELECT value FROM secret").fetchone()[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _prepare(self) -> None:
        version = self._file.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._file.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
            self._file.execute("INSERT INTO secret VALUES (?)", (secrets.token_bytes(32),))
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"made by another version: format {version}, not {VERSION}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as failure:
            raise StateError(
                f"{self._path}: what imports remember cannot be kept there ({failure}). Look whether its disk has "
                "room, and whether another import is running."
            ) from failure

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        with self._told():
            return self._file.execute(statement, values)

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, profile: str) -> int:
        """Write down that a run begins, then open the transaction of all that it changes; returns its number."""
        number = self._execute("INSERT INTO runs (profile, started) VALUES (?, ?)", (profile, _now())).lastrowid
        self._execute("BEGIN IMMEDIATE")
        return cast("int", number)

    def succeed(self, number: int, counts: Counts) -> None:
        """Make true all that the run changed; called after its output was delivered."""
        self._end(number, counts, None)
        self._execute("COMMIT")

    def fail(self, number: int, counts: Counts, error: str) -> None:
        """Forget all that the run changed, and write down why, where there is room for that."""
        with suppress(StateError):
            if self._file.in_transaction:  # a disk that is full may have ended it
                self._execute("ROLLBACK")
            self._end(number, counts, error)

    def _end(self, number: int, counts: Counts, error: str | None) -> None:
        self._execute(
            "UPDATE runs SET ended = ?, read = ?, adds = ?, modifies = ?, deletes = ?, error = ? WHERE number = ?",
            (_now(), counts.read, counts.adds, counts.modifies, counts.deletes, error, number),
        )

    def note(self, profile: str, error: str) -> None:
        """Write down a run that could not even begin, and why, where there is room for that."""
        with suppress(StateError):
            self._execute(
                "INSERT INTO runs (profile, started, ended, error) VALUES (?, ?, ?, ?)",
                (profile, _now(), _now(), error),
            )

    @property
    def is_in_use(self) -> bool:
        """Whether a run is under way in another process."""
        try:
            self._file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        self._file.execute("ROLLBACK")
        return False

    def history(self, limit: int = 20) -> list[Run]:
        """Return the last runs, the latest first."""
        rows = self._execute(
            "SELECT number, profile, started, ended, read, adds, modifies, deletes, error "
            "FROM runs ORDER BY number DESC LIMIT ?",
            (limit,),
        )
        return [
            Run(number, profile, started, ended, Counts(*counted), error)
            for number, profile, started, ended, *counted, error in rows
        ]

    # ── snapshot ──────────────────────────────────────────────────────────────────────────────────────────────────

    def digest(self, content: bytes) -> bytes:
        """Return 128 bits that stand for the content in this file alone."""
        return hashlib.blake2b(content, digest_size=16, key=self._secret).digest()

    def known(self, anchors: Sequence[str]) -> Mapping[str, bytes]:
        """Return the digests of those anchors that were there before."""
        rows = self._execute(
            "SELECT anchor, digest FROM snapshot WHERE anchor IN (SELECT value FROM json_each(?))",
            (json.dumps(anchors),),
        )
        return dict(rows)

    def keep(self, number: int, digests: Iterable[tuple[str, bytes]]) -> None:
        """Remember rows as this run saw them."""
        with self._told():
            self._file.executemany(
                "INSERT INTO snapshot VALUES (?, ?, ?) "
                "ON CONFLICT (anchor) DO UPDATE SET digest = excluded.digest, seen = excluded.seen",
                ((anchor, digest, number) for anchor, digest in digests),
            )

    def count(self) -> int:
        """Return how many rows are remembered."""
        return int(self._execute("SELECT count(*) FROM snapshot").fetchone()[0])

    def unseen(self, number: int, *, after: str | None = None) -> list[str]:
        """Return the next anchors that this run did not see any more; as many as a batch has rows, from the first."""
        rows = self._execute(
            "SELECT anchor FROM snapshot WHERE seen < ? AND (? IS NULL OR anchor > ?) ORDER BY anchor LIMIT 1000",
            (number, after, after),
        )
        return [anchor for (anchor,) in rows]

    def count_unseen(self, number: int) -> int:
        """Return how many there are of them."""
        return int(self._execute("SELECT count(*) FROM snapshot WHERE seen < ?", (number,)).fetchone()[0])

    def forget_unseen(self, number: int) -> None:
        """Forget the rows that this run did not see."""
        self._execute("DELETE FROM snapshot WHERE seen < ?", (number,))

    def forget(self, anchors: Sequence[str]) -> None:
        """Forget rows that are gone."""
        with self._told():
            self._file.executemany("DELETE FROM snapshot WHERE anchor = ?", ((anchor,) for anchor in anchors))

    # ── marks ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def mark(self, attribute: str) -> str | None:
        """Return the watermark of an attribute; None before its first run."""
        row = self._execute("SELECT value FROM marks WHERE attribute = ?", (attribute,)).fetchone()
        return None if row is None else str(row[0])

    def move_mark(self, attribute: str, value: str) -> None:
        """Move the watermark."""
        self._execute(
            "INSERT INTO marks VALUES (?, ?) ON CONFLICT (attribute) DO UPDATE SET value = excluded.value",
            (attribute, value),
        )


def _now() -> str:
    return clock.now().isoformat(timespec="seconds")

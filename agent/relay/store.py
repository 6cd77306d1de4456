"""What the relay must not forget: tenants, enrolment tokens, agents and revocations, in one SQLite file.

Commands and the running relay open the same file; a revocation is seen at the next look. Tokens are kept as hashes.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE: Final = "relay.sqlite3"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tenant (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS enrolment (
  token BLOB PRIMARY KEY,
  tenant TEXT NOT NULL REFERENCES tenant (name),
  ends_s INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS agent (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  enrolled_s INTEGER NOT NULL,
  ends_s INTEGER NOT NULL,
  revoked_s INTEGER
);
"""


@dataclass(frozen=True, slots=True)
class EnrolledAgent:
    """One agent that was enrolled; times are seconds since 1970."""

    id: str
    tenant: str
    name: str
    enrolled_s: int
    ends_s: int
    """When its newest certificate ends."""
    revoked_s: int | None


class Store:
    """The file; each call is one short transaction."""

    def __init__(self, folder: Path) -> None:
        """Open the store in this folder, made where it is not there; raises ConfigurationError where that fails."""
        self._file = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
            with self._transaction() as connection:
                connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as failure:
            raise ConfigurationError(f"relay.state: {self._file} cannot be used ({failure}).") from failure

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=5.0)) as connection, connection:
            yield connection

    def add_tenant(self, name: str) -> None:
        """Add the tenant where it is not there yet."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO tenant VALUES (?)", (name,))

    def tenants(self) -> list[str]:
        """Return the tenants' names."""
        with self._transaction() as connection:
            return [row[0] for row in connection.execute("SELECT name FROM tenant ORDER BY name")]

    def new_enrolment(self, tenant: str, now_s: int, life_s: int) -> str:
        """Return a new token with which one agent of the tenant may enrol, once, for so many seconds."""
        token = secrets.token_urlsafe(32)
        with self._transaction() as connection:
            connection.execute("DELETE FROM enrolment WHERE ends_s <= ?", (now_s,))
            connection.execute("INSERT INTO enrolment VALUES (?, ?, ?)", (_hash(token), tenant, now_s + life_s))
        return token

    def use_enrolment(self, tenant: str, token: str, now_s: int) -> bool:
        """Return whether this token lets an agent of this tenant enrol; it never does again."""
        with self._transaction() as connection:
            used = connection.execute(
                "DELETE FROM enrolment WHERE token = ? AND tenant = ? AND ends_s > ?", (_hash(token), tenant, now_s)
            )
            return used.rowcount == 1

    def add_agent(self, agent: EnrolledAgent) -> None:
        """Remember an agent that was enrolled."""
        values = (agent.id, agent.tenant, agent.name, agent.enrolled_s, agent.ends_s)
        with self._transaction() as connection:
            connection.execute("INSERT INTO agent VALUES (?, ?, ?, ?, ?, NULL)", values)

    def renew_agent(self, identity: str, ends_s: int) -> None:
        """Remember until when an agent's new certificate is good."""
        with self._transaction() as connection:
            connection.execute("UPDATE agent SET ends_s = ? WHERE id = ?", (ends_s, identity))

    def agents(self) -> list[EnrolledAgent]:
        """Return every agent, revoked ones, too."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT id, tenant, name, enrolled_s, ends_s, revoked_s FROM agent ORDER BY tenant, name, enrolled_s"
            )
            return [EnrolledAgent(*row) for row in rows]

    def revoke(self, identity: str, now_s: int) -> bool:
        """Let this agent in no more; returns False where there is no such agent."""
        with self._transaction() as connection:
            found = connection.execute(
                "UPDATE agent SET revoked_s = coalesce(revoked_s, ?) WHERE id = ?", (now_s, identity)
            )
            return found.rowcount == 1

    def is_welcome(self, tenant: str, identity: str) -> bool:
        """Return whether this agent was enrolled for this tenant and is not revoked."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT 1 FROM agent WHERE id = ? AND tenant = ? AND revoked_s IS NULL", (identity, tenant)
            ).fetchone()
            return row is not None

    def revoked(self) -> frozenset[str]:
        """Return the agents that are let in no more."""
        with self._transaction() as connection:
            return frozenset(row[0] for row in connection.execute("SELECT id FROM agent WHERE revoked_s IS NOT NULL"))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()

"""What the relay must not forget: tenants, enrolment tokens, agents, revocations, and writes with an unknown outcome.

Commands and the running nodes open the same store; a revocation is seen at the next look. Tokens are kept as hashes,
and of the keys that clients chose only digests.
Every call blocks for one short transaction, and raises StoreUnavailable where the store cannot be asked.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.errors import ConfigurationError
from agent.relay.databases import PostgreSQL, SQLite, StoreUnavailable
from agent.relay.noted import MOST, Noted
from agent.relay.tables import prepare
from agent.secrets import read_secret

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from agent.relay.databases import Database
    from agent.settings import RelaySettings

FILE: Final = "relay.sqlite3"

_KNOWN_TENANTS: Final = """
  SELECT tenant.name,
    (SELECT count(*) FROM agent WHERE agent.tenant = tenant.name AND revoked_s IS NULL AND agent.ends_s > ?),
    (SELECT count(*) FROM enrolment WHERE enrolment.tenant = tenant.name AND enrolment.ends_s > ?)
  FROM tenant ORDER BY tenant.name"""
_HOLD: Final = "INSERT INTO authority (fingerprint, single) VALUES (?, 1) ON CONFLICT DO NOTHING"
_INVITE: Final = "INSERT INTO enrolment (token, tenant, ends_s) VALUES (?, ?, ?)"
_OVER: Final = ("DELETE FROM enrolment WHERE ends_s <= ?", "DELETE FROM unknown_outcome WHERE ends_s <= ?")
_FORGOTTEN: Final = "SELECT id, tenant, name, enrolled_s, ends_s, revoked_s FROM agent WHERE ends_s <= ?"
_FORGET: Final = "DELETE FROM agent WHERE id = ? AND ends_s <= ?"
KEPT_S: Final = 30 * 86_400
"""An agent is remembered so long after its last certificate has expired: a revocation keeps nobody out by then."""
_USE: Final = "DELETE FROM enrolment WHERE token = ? AND tenant = ? AND ends_s > ?"
_ENROL: Final = "INSERT INTO agent (id, tenant, name, enrolled_s, ends_s) VALUES (?, ?, ?, ?, ?)"

_NOTE: Final = """
  INSERT INTO unknown_outcome (tenant, key, record, ends_s) VALUES (?, ?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET ends_s = excluded.ends_s"""
"""The first record that a key was noted for counts: it is the one that may know of the write."""
_NOTED: Final = """
  SELECT number, tenant, key, record, ends_s FROM unknown_outcome WHERE number > ? AND ends_s > ? ORDER BY number"""
_NOTE_LOCK: Final = "SELECT pg_advisory_xact_lock(7263550)"
_FORGET_OLDEST: Final = """
  DELETE FROM unknown_outcome WHERE tenant = ? AND number <= (
    SELECT number FROM unknown_outcome WHERE tenant = ? ORDER BY number DESC LIMIT 1 OFFSET ?)"""


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


@dataclass(frozen=True, slots=True)
class KnownTenant:
    """One tenant, and what may still come in for it."""

    name: str
    agents: int
    """Agents whose certificate is good."""
    tokens: int
    """Enrolment tokens that were neither used nor have expired."""


class Store:
    """The store; each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        """Open the store, made where it is not there; raises StoreUnavailable."""
        self.shared = database.shared
        """Whether other nodes use it, too."""
        self._database = database
        self._transaction = database.transaction
        self.demand_writes = database.demand_writes
        self.close = database.close
        try:
            prepare(database)
        except StoreUnavailable:
            database.close()
            raise

    def hold_authority(self, fingerprint: str) -> str:
        """Return the fingerprint of the authority that all nodes have: the first that a shared store was told of."""
        if not self._database.shared:
            return fingerprint
        with self._transaction() as connection:
            connection.execute(_HOLD, (fingerprint,))
            return str(connection.execute("SELECT fingerprint FROM authority").fetchall()[0][0])

    def add_tenant(self, name: str) -> None:
        """Add the tenant where it is not there yet."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO tenant (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))

    def tenants(self) -> list[str]:
        """Return the tenants' names."""
        with self._transaction() as connection:
            return [row[0] for row in connection.execute("SELECT name FROM tenant ORDER BY name").fetchall()]

    def known_tenants(self, now_s: int) -> list[KnownTenant]:
        """Return the tenants with what may still come in for them."""
        with self._transaction() as connection:
            rows = connection.execute(_KNOWN_TENANTS, (now_s, now_s)).fetchall()
            return [KnownTenant(*row) for row in rows]

    def remove_tenant(self, name: str, now_s: int) -> bool:
        """Forget the tenant and its enrolment tokens, and let its agents in no more; returns False where it is none.

        Its agents stay on record as revoked: links that are live end by that, and a tenant that gets the same name
        later is not open to them.
        """
        with self._transaction() as connection:
            connection.execute("DELETE FROM enrolment WHERE tenant = ?", (name,))
            connection.execute("DELETE FROM unknown_outcome WHERE tenant = ?", (name,))
            connection.execute("UPDATE agent SET revoked_s = coalesce(revoked_s, ?) WHERE tenant = ?", (now_s, name))
            return connection.execute("DELETE FROM tenant WHERE name = ?", (name,)).rowcount == 1

    def new_enrolment(self, tenant: str, now_s: int, life_s: int) -> str:
        """Return a new token with which one agent of the tenant may enrol, once, for so many seconds."""
        # Hex digits: a token that begins with a hyphen would be taken for an option where it is typed.
        token = secrets.token_hex(32)
        with self._transaction() as connection:
            connection.execute("DELETE FROM enrolment WHERE ends_s <= ?", (now_s,))
            connection.execute(_INVITE, (_hash(token), tenant, now_s + life_s))
        return token

    def enrol(self, token: str, agent: EnrolledAgent) -> bool:
        """Remember an agent that enrols; returns False where this token lets none of its tenant. It never does again.

        Both or neither: a store that is away in between costs no token.
        """
        values = (agent.id, agent.tenant, agent.name, agent.enrolled_s, agent.ends_s)
        with self._transaction() as connection:
            used = connection.execute(_USE, (_hash(token), agent.tenant, agent.enrolled_s))
            if used.rowcount == 1:
                connection.execute(_ENROL, values)
            return used.rowcount == 1

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
            return [EnrolledAgent(*row) for row in rows.fetchall()]

    def forget_over(self, now_s: int) -> list[EnrolledAgent]:
        """Forget what is over, and agents whose certificate expired long ago; returns those.

        A node whose clock is ahead forgets nothing too soon where the store is on a machine with another one.
        """
        with self._transaction() as connection:
            now_s = min(now_s, connection.execute(self._database.clock).fetchall()[0][0])
            for statement in _OVER:
                connection.execute(statement, (now_s,))
            before_s = now_s - KEPT_S
            agents = [EnrolledAgent(*row) for row in connection.execute(_FORGOTTEN, (before_s,)).fetchall()]
            # Another node may be at it, too, and each is to tell of those that it forgot itself.
            return [one for one in agents if connection.execute(_FORGET, (one.id, before_s)).rowcount]

    def revoke(self, identity: str, now_s: int) -> bool:
        """Let this agent in no more; returns False where there is no such agent."""
        with self._transaction() as connection:
            found = connection.execute(
                "UPDATE agent SET revoked_s = coalesce(revoked_s, ?) WHERE id = ?", (now_s, identity)
            )
            return found.rowcount == 1

    def is_welcome(self, tenant: str, identity: str, ends_s: int) -> bool:
        """Return whether this agent, whose certificate is good until then, is enrolled for this tenant and not revoked.

        A store from a backup, or from a standby that missed a renewal, knows of an older certificate, and would forget
        the agent by that one's end.
        """
        with self._transaction() as connection:
            found = connection.execute(
                "SELECT ends_s FROM agent WHERE id = ? AND tenant = ? AND revoked_s IS NULL", (identity, tenant)
            ).fetchall()
        if found and found[0][0] < ends_s:
            with suppress(StoreUnavailable):  # which may read, and not write
                self.renew_agent(identity, ends_s)
        return bool(found)

    def revoked(self) -> frozenset[str]:
        """Return the agents that are let in no more."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT id FROM agent WHERE revoked_s IS NOT NULL").fetchall()
            return frozenset(row[0] for row in rows)

    def note_unknown(self, notes: Collection[Noted], now_s: int) -> None:
        """Remember these writes, as long as each of them says; of one tenant only the last ones."""
        with self._transaction() as connection:
            if self.shared:
                connection.execute(_NOTE_LOCK)
            connection.execute("DELETE FROM unknown_outcome WHERE ends_s <= ?", (now_s,))
            connection.executemany(_NOTE, [(one.tenant, one.key, one.record, one.ends_s) for one in notes])
            tenants = {noted.tenant for noted in notes}
            connection.executemany(_FORGET_OLDEST, [(tenant, tenant, MOST) for tenant in tenants])

    def unknown_since(self, number: int, now_s: int) -> tuple[list[Noted], int]:
        """Return the writes that were noted after that number, the oldest first, and the number of the last one."""
        with self._transaction() as connection:
            rows = connection.execute(_NOTED, (number, now_s)).fetchall()
        return [Noted(*row[1:]) for row in rows], rows[-1][0] if rows else number


def open_store(settings: RelaySettings) -> Store:
    """Return the relay's store; raises ConfigurationError, StoreUnavailable where it cannot be used."""
    if settings.store is not None:
        password = partial(_password, settings.store_password_file)
        password()  # what is wrong with the file now is a wrong configuration, and later may pass
        return Store(PostgreSQL(settings.store, settings.store_trust, password))
    if settings.state is None:
        raise ConfigurationError("relay.state: name a folder for tenants and agents.")
    return Store(SQLite(settings.state / FILE))


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    return read_secret(file, "relay.store_password_file")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()

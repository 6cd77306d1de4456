"""What the relay must not forget: tenants, enrolment tokens, agents and revocations.

Commands and the running nodes open the same store; a revocation is seen at the next look. Tokens are kept as hashes.
Every call blocks for one short transaction, and raises StoreUnavailable where the store cannot be asked.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.errors import ConfigurationError
from agent.relay.databases import PostgreSQL, SQLite, StoreUnavailable
from agent.secrets import read_secret

if TYPE_CHECKING:
    from pathlib import Path

    from agent.relay.databases import Database
    from agent.settings import RelaySettings

FILE: Final = "relay.sqlite3"

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS tenant (name TEXT PRIMARY KEY)",
    """CREATE TABLE IF NOT EXISTS enrolment (
      token TEXT PRIMARY KEY,
      tenant TEXT NOT NULL REFERENCES tenant (name),
      ends_s BIGINT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS agent (
      id TEXT PRIMARY KEY,
      tenant TEXT NOT NULL,
      name TEXT NOT NULL,
      enrolled_s BIGINT NOT NULL,
      ends_s BIGINT NOT NULL,
      revoked_s BIGINT
    )""",
    # The fingerprint of the authority that all nodes must have; one row, and none where the store is not shared.
    "CREATE TABLE IF NOT EXISTS authority (fingerprint TEXT PRIMARY KEY, single INTEGER NOT NULL UNIQUE)",
)
_KNOWN_TENANTS: Final = """
  SELECT tenant.name,
    (SELECT count(*) FROM agent WHERE agent.tenant = tenant.name AND revoked_s IS NULL AND agent.ends_s > ?),
    (SELECT count(*) FROM enrolment WHERE enrolment.tenant = tenant.name AND enrolment.ends_s > ?)
  FROM tenant ORDER BY tenant.name"""
_SCHEMA_LOCK: Final = "SELECT pg_advisory_xact_lock(7263549)"
"""Two nodes that start at once would otherwise trip over each other: IF NOT EXISTS is not atomic in PostgreSQL."""


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
        """Open the store, made where it is not there; raises ConfigurationError where that fails."""
        self._database = database
        self._transaction = database.transaction
        self.close = database.close
        try:
            with self._transaction() as connection:
                if database.shared:
                    connection.execute(_SCHEMA_LOCK)
                for statement in _SCHEMA:
                    connection.execute(statement)
        except StoreUnavailable as failure:
            raise ConfigurationError(f"The store cannot be used: {failure}.") from failure

    def hold_authority(self, fingerprint: str) -> str:
        """Return the fingerprint of the authority that all nodes have: the first that a shared store was told of."""
        if not self._database.shared:
            return fingerprint
        with self._transaction() as connection:
            connection.execute("INSERT INTO authority VALUES (?, 1) ON CONFLICT DO NOTHING", (fingerprint,))
            return str(connection.execute("SELECT fingerprint FROM authority").fetchall()[0][0])

    def add_tenant(self, name: str) -> None:
        """Add the tenant where it is not there yet."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO tenant VALUES (?) ON CONFLICT DO NOTHING", (name,))

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
            connection.execute("UPDATE agent SET revoked_s = coalesce(revoked_s, ?) WHERE tenant = ?", (now_s, name))
            return connection.execute("DELETE FROM tenant WHERE name = ?", (name,)).rowcount == 1

    def new_enrolment(self, tenant: str, now_s: int, life_s: int) -> str:
        """Return a new token with which one agent of the tenant may enrol, once, for so many seconds."""
        # Hex digits: a token that begins with a hyphen would be taken for an option where it is typed.
        token = secrets.token_hex(32)
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
            return [EnrolledAgent(*row) for row in rows.fetchall()]

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
            found = connection.execute(
                "SELECT 1 FROM agent WHERE id = ? AND tenant = ? AND revoked_s IS NULL", (identity, tenant)
            )
            return bool(found.fetchall())

    def revoked(self) -> frozenset[str]:
        """Return the agents that are let in no more."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT id FROM agent WHERE revoked_s IS NOT NULL").fetchall()
            return frozenset(row[0] for row in rows)


def open_store(settings: RelaySettings) -> Store:
    """Return the relay's store; raises ConfigurationError where it cannot be used."""
    if settings.store is not None:
        return Store(PostgreSQL(settings.store, settings.store_trust, _password(settings.store_password_file)))
    if settings.state is None:
        raise ConfigurationError("relay.state: name a folder for tenants and agents.")
    return Store(SQLite(settings.state / FILE))


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    return read_secret(file, "relay.store_password_file")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()

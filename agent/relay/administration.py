"""What an administrator of the relay does from the command line, beside the running relay: both open the same store."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from agent.errors import ConfigurationError
from agent.logs import printable
from agent.relay.databases import needed
from agent.relay.store import KnownTenant, open_store
from agent.settings import TENANT_NAME, load_relay
from connector_host.clock import epoch_s, now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.relay.store import EnrolledAgent, Store


def add_tenant(config: Path, name: str) -> tuple[str, float]:
    """Add the tenant where it is new, and return a one-time enrolment token and the hours that it is good for."""
    if not TENANT_NAME.fullmatch(name):
        wanted = "use lower-case letters, digits and hyphens, 63 at most"
        raise ConfigurationError(f"{name!r} is no name for a tenant: {wanted}.")
    hours = load_relay(config).relay.enrolment_hours
    with _opened(config) as store:
        store.add_tenant(name)
        return store.new_enrolment(name, epoch_s(), int(hours * 3600)), hours


def list_tenants(config: Path, *, as_json: bool) -> str:
    """Return every tenant of the store and of the configuration, as a table or as JSON."""
    with _opened(config) as store:
        known = {tenant.name: tenant for tenant in store.known_tenants(epoch_s())}
    configured = load_relay(config).tenants
    names = sorted({*known, *configured})
    tenants = [(known.get(name) or KnownTenant(name, 0, 0), name in configured) for name in names]
    if as_json:
        return msgspec.json.encode([{**asdict(one), "configured": there} for one, there in tenants]).decode()
    head = ("TENANT", "AGENTS", "TOKENS", "CONFIGURED")
    rows = [(one.name, str(one.agents), str(one.tokens), "yes" if there else "no") for one, there in tenants]
    return _table([head, *rows])


def remove_tenant(config: Path, name: str) -> bool:
    """Forget a tenant, and let its agents in no more; returns False where the store holds none of this name.

    Raises ConfigurationError where it stands in the configuration, which only a person changes.
    """
    if name in load_relay(config).tenants:
        mend = f"take [tenants.{name}] out there, restart the relay, and remove it then"
        raise ConfigurationError(f"tenants.{name}: the configuration names this tenant: {mend}.")
    with _opened(config) as store:
        return store.remove_tenant(name, epoch_s())


def list_agents(config: Path, *, as_json: bool) -> str:
    """Return every enrolled agent, as a table or as JSON."""
    with _opened(config) as store:
        agents = store.agents()
    if as_json:
        return msgspec.json.encode(agents).decode()
    head = ("ID", "TENANT", "NAME", "ENROLLED", "UNTIL", "STATE")
    return _table([head, *(tuple(printable(cell) for cell in _row(agent)) for agent in agents)])


def revoke_agent(config: Path, identity: str) -> bool:
    """Let this agent in no more; returns False where there is none of this id."""
    with _opened(config) as store:
        return store.revoke(identity, epoch_s())


@contextmanager
def _opened(config: Path) -> Iterator[Store]:
    with needed(), closing(open_store(load_relay(config).relay)) as store:
        yield store


def _row(agent: EnrolledAgent) -> tuple[str, ...]:
    if agent.revoked_s is not None:
        state = f"revoked {_day(agent.revoked_s)}"
    else:
        state = "expired" if agent.ends_s < now().timestamp() else "good"
    return (agent.id, agent.tenant, agent.name, _day(agent.enrolled_s), _day(agent.ends_s), state)


def _day(moment_s: int) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d")


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)

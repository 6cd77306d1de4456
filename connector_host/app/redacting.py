"""Whether the attributes that the audit trail is not to show exist: a name that is misspelt would hide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.registry import open_connector
from connector_host.errors import Finding, HostError, Level
from connector_host.setup.secrets import opened
from connector_host.spellings import advice

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from connector_host.settings import Configuration, SqlSettings


async def redaction_findings(configuration: Configuration) -> list[Finding]:
    """Return a warning for each name in `redact` that no connector has, once every connector has said what it has."""
    if not configuration.audit.redact:
        return []
    known: set[str] = set()
    try:
        for name, settings in configuration.connectors.items():
            known |= await _attributes(name, settings, configuration.host.state)
    except HostError:  # which that connector's own section says
        return []
    return [_unknown(name, known) for name in configuration.audit.redact if name not in known]


async def _attributes(name: str, settings: SqlSettings, state: Path) -> set[str]:
    connector = open_connector(name, opened(name, settings), state)
    try:
        return {attribute.name for attribute in (await connector.describe()).attributes}
    finally:
        await connector.close()


def _unknown(name: str, known: Collection[str]) -> Finding:
    fact = f"No connector has an attribute {name}, so `redact` hides nothing by that name."
    return Finding(Level.WARNING, "redact", fact, advice(name, sorted(known)))

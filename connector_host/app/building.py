"""From the settings of one connector to what is served under its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector_host.access.tokens import TokenGate
from connector_host.connectors.registry import open_connector
from connector_host.endpoint.served import Served
from connector_host.errors import ConfigurationError
from connector_host.oversight.audited import Audited, Disclosure
from connector_host.oversight.measured import Measured
from connector_host.setup.secrets import opened
from connector_host.signing.keys import id_of, load_public_key
from connector_host.signing.requests import Demand

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.connectors.contract import Connector
    from connector_host.observability.audit import Trail
    from connector_host.observability.metrics import Metrics
    from connector_host.settings import AuditSettings, SigningSettings, SqlSettings

Version = tuple["SqlSettings", tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Builder:
    """What every connector shares."""

    metrics: Metrics
    trail: Trail | None
    audit: AuditSettings
    state: Path | None = None
    """The folder for what must outlive a restart."""
    workers: int = 1
    """Processes that share what a connector may ask of its database."""

    def build(self, name: str, settings: SqlSettings) -> Served:
        """Return the connector as it is served.

        Raises ConfigurationError as `open_connector` and `opened` do, and where its tokens cannot be read.
        """
        demand = demand_of(name, settings.signing)
        gate = TokenGate(settings.token_hashes, settings.token_hash_file)
        gate.demand_readable()
        share = _share(opened(name, settings), self.workers)
        connector: Connector = Measured(open_connector(name, share, self.state), self.metrics)
        if self.trail is not None:
            connector = Audited(connector, self.trail, Disclosure(self.audit.values, frozenset(self.audit.redact)))
        return Served(connector, settings, gate, demand)


def _share(settings: SqlSettings, workers: int) -> SqlSettings:
    """Return what one of so many workers may ask of the database."""

    def paced(per_second: float | None) -> float | None:
        return None if per_second is None else per_second / workers

    return settings.model_copy(
        update={
            "readers": max(1, settings.readers // workers),
            "writers": max(1, settings.writers // workers),
            "exports_per_s": paced(settings.exports_per_s),
            "reads_per_s": paced(settings.reads_per_s),
        }
    )


def demand_of(name: str, signing: SigningSettings | None) -> Demand | None:
    """Return what is demanded of requests to this connector; raises ConfigurationError where a key cannot be used."""
    if signing is None:
        return None
    for url in signing.urls:
        if not url.endswith(f"/ecma2host_{name}/scim"):
            raise ConfigurationError(
                f"signing.urls: {url} is the URL of another connector; this one's ends with /ecma2host_{name}/scim"
            )
    keys = [load_public_key(file) for file in signing.keys]
    return Demand({id_of(key): key for key in keys}, signing.urls, signing.window_s, reads=signing.required == "all")


def version_of(settings: SqlSettings) -> Version:
    """Return what must be the same for a connector to go on as it is: its settings, its password, signers' keys."""
    keys = settings.signing.keys if settings.signing is not None else ()
    stamps = [_stamp(settings.password_file or settings.password_sealed_file), *map(_stamp, keys)]
    return settings, tuple(number for stamp in stamps for number in stamp)


def _stamp(path: Path | None) -> tuple[int, ...]:
    if path is None:
        return ()
    try:
        facts = path.stat()
    except OSError:
        return ()
    return (facts.st_mtime_ns, facts.st_size, facts.st_ino)

"""What answers requests in one process: connectors, their endpoint, and what is looked after beside them."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from connector_host.access.door import Door, networks
from connector_host.app.building import Builder
from connector_host.app.refusing import CannotStart
from connector_host.app.reloading import Reloading
from connector_host.connectors.errors import Unavailable
from connector_host.endpoint.application import make_application
from connector_host.errors import ConfigurationError, HostError
from connector_host.observability import events
from connector_host.observability.metrics import Metrics
from connector_host.service.certificates import CertificateWatch
from connector_host.service.metering import measuring
from connector_host.tls.live import LiveContext

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack
    from pathlib import Path

    from aiohttp import web

    from connector_host.access.lockout import Counter
    from connector_host.endpoint.outcomes import Record
    from connector_host.endpoint.served import Served
    from connector_host.observability.audit import Trail
    from connector_host.settings import Configuration, HostSettings


_GARBAGE: Final = 10_000
"""Objects that may come to be before somebody looks for cycles among them: with 700 that is every few requests."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a host has one of, however many processes answer."""

    trail: Trail | None
    outcomes: Record | None
    lock_out: Counter


@dataclass(frozen=True, slots=True)
class Hosting:
    """One process' part."""

    application: web.Application
    served: dict[str, Served]
    metrics: Metrics
    reloading: Reloading
    tls: ssl.SSLContext
    companions: tuple[Callable[[], Awaitable[None]], ...]
    """What runs beside it for as long as it serves."""


def live_context(settings: HostSettings) -> LiveContext:
    """Return the context with the very files that were judged a moment ago; raises CannotStart."""
    try:
        return LiveContext(
            settings.certificate, settings.key, client_authority=settings.client_authority, turned_away=_turned_away
        )
    except OSError as failure:  # ssl.SSLError, too: a file that was exchanged since it was judged
        raise CannotStart(f"tls: certificate, key or client_authority cannot be used ({failure.strerror}).") from None


def _turned_away(reason: str) -> None:
    structlog.get_logger().warning(events.CLIENT_CERTIFICATE_REFUSED, reason=reason)


def host(  # noqa: PLR0913 - who closes it, what it is made from, and which of several it is
    stack: AsyncExitStack,
    configuration: Configuration,
    path: Path,
    kept: Kept,
    live: LiveContext,
    *,
    worker: int | None = None,
) -> Hosting:
    """Build everything, to be closed with the stack; raises CannotStart."""
    metrics, settings = Metrics(), configuration.host
    builder = Builder(metrics, kept.trail, configuration.audit, settings.state, settings.workers)
    served = _build_all(configuration, builder)
    reloading = Reloading(path, configuration, builder, served, worker)
    stack.push_async_callback(reloading.close)
    watch = CertificateWatch(settings.certificate, settings.key, settings.name, live, cares=not worker)
    metrics.watch_certificate(lambda: watch.days_left)
    metrics.watch_tokens(lambda: {name: one.gate.is_readable() for name, one in dict(served).items()})
    if (trail := kept.trail) is not None:
        metrics.watch_audit(lambda: trail.is_broken)
    application = make_application(
        served,
        trusted_proxies=settings.trusted_proxies,
        outcomes=kept.outcomes,
        door=Door(networks(settings.allow), kept.lock_out),
        wanted=lambda: reloading.configuration.connectors,
        certificate=lambda: watch.state,
        exports_s=lambda: reloading.stop_max_s,
    )
    application.middlewares.insert(0, measuring(metrics, served))

    async def warm() -> None:
        await asyncio.gather(*(_warm(one) for one in tuple(served.values())))
        # What is there now lives as long as the host: a collection that walks over all of it stops every request.
        gc.freeze()
        gc.set_threshold(_GARBAGE)

    return Hosting(application, served, metrics, reloading, live.context, (watch.keep, warm))


def _build_all(configuration: Configuration, builder: Builder) -> dict[str, Served]:
    """Build every connector that can be; one that is misconfigured does not stop the rest."""
    served: dict[str, Served] = {}
    refused: dict[str, str] = {}
    for name, settings in configuration.connectors.items():
        try:
            served[name] = builder.build(name, settings)
        except ConfigurationError as failure:
            refused[name] = str(failure)
    if not served:
        reasons = " ".join(f"connectors.{name}: {reason}" for name, reason in refused.items())
        raise CannotStart(f"no connector can be served as it is configured. {reasons}")
    for name, reason in refused.items():
        structlog.get_logger().error(events.CONNECTOR_MISCONFIGURED, connector=name, reason=reason)
        builder.metrics.connector_is_down(name)
    return served


async def _warm(one: Served) -> None:
    """Discover the table before the first request does, so that what is wrong with it is logged at the start."""
    log = structlog.get_logger()
    try:
        await one.renderer()
    except ConfigurationError as failure:
        log.error(events.CONNECTOR_MISCONFIGURED, connector=one.name, reason=str(failure))  # noqa: TRY400 - no trace helps
    except Unavailable:  # which the connector said
        pass
    except HostError as failure:
        log.warning(events.CONNECTOR_UNAVAILABLE, connector=one.name, reason=str(failure))

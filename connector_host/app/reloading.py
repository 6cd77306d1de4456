"""Taking over a changed configuration while requests are served: judged first, then connector by connector.

A connector that is as it was goes on undisturbed. One that changed is opened and described before it takes the
place of the old one, which ends its requests in hand before it is closed. One that cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from connector_host.app.building import Builder, version_of
from connector_host.connectors.errors import Unavailable
from connector_host.errors import ConfigurationError, HostError
from connector_host.observability import events, logs
from connector_host.service.reloads import Reloaded
from connector_host.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.app.building import Version
    from connector_host.endpoint.served import Served
    from connector_host.settings import Configuration, SqlSettings


CLOSE_S: Final = 1.0
"""Seconds for connectors to be closed: their requests are over by then, and their exports."""
AT_ONCE: Final = frozenset({"log_format", "log_level", "log_values"})
"""Keys of [host] that need no restart."""


@dataclass(slots=True)
class Reloading:
    """Exchanges what is in `served`, which the endpoint looks at anew for each request."""

    path: Path
    configuration: Configuration
    builder: Builder
    served: dict[str, Served]
    worker: int | None = None
    """The number of this process where several serve."""
    _started: Configuration = field(init=False)
    """What the host was started with: some of it stays in force until it is started again."""
    _versions: dict[str, Version] = field(init=False)
    _retiring: dict[asyncio.Task[None], Served] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._started = self.configuration
        self._versions = {name: version_of(self.configuration.connectors[name]) for name in self.served}

    @property
    def stop_max_s(self) -> float:
        """How long stopping may take with what is in force now: every connector that may have an export in hand."""
        served = (*self.served.values(), *self._retiring.values())
        return self._started.host.stop_s + max((one.settings.statement_s for one in served), default=0.0)

    async def reload(self) -> Reloaded:
        """Read the file again, apply it, and return what came of it; the log says the same."""
        try:
            wanted, later = await read_again(self.path, self._started)
        except ConfigurationError as failure:
            return Reloaded(len(self.served), failure=str(failure))
        return replace(await self.apply(wanted), restart=later)

    async def apply(self, wanted: Configuration) -> Reloaded:
        """Take over what needs no restart, and return what came of it."""
        host = wanted.host
        logs.configure(host.log_format, host.log_level, values=host.log_values, worker=self.worker)
        outcomes = {name: await self._apply(name, settings) for name, settings in wanted.connectors.items()}
        refused = {
            name: f"{'goes on as it was' if name in self.served else 'is not served'}: {reason}"
            for name, reason in outcomes.items()
            if reason is not None
        }
        for name in self.served.keys() - wanted.connectors.keys():
            self._retire(self.served.pop(name))
            del self._versions[name]
        for name in self.configuration.connectors.keys() - wanted.connectors.keys():
            self.builder.metrics.forget_connector(name)
        self.configuration = wanted
        log = structlog.get_logger()
        log.info(events.CONFIGURATION_APPLIED, connectors=len(self.served), refused=len(refused))
        return Reloaded(len(self.served), refused)

    async def close(self) -> None:
        """Close every connector, and leave behind what a database does not let go of: nobody waits for it any more."""
        for task in self._retiring:
            task.cancel()
        closing = {asyncio.create_task(one.connector.close()): one.name for one in self.served.values()}
        closing |= {task: old.name for task, old in self._retiring.items()}
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_S)
        for task, name in closing.items():
            if not task.done():
                reason = "its database does not answer what is under way"
                structlog.get_logger().warning(events.CONNECTOR_LEFT, connector=name, reason=reason)
            elif not task.cancelled() and (failure := task.exception()) is not None:
                reason = "closing it failed"
                structlog.get_logger().warning(events.CONNECTOR_LEFT, connector=name, reason=reason, exc_info=failure)

    async def _apply(self, name: str, settings: SqlSettings) -> str | None:
        """Put one connector in its place, where it differs; return why not where the old one, if any, goes on."""
        version = version_of(settings)
        if self._versions.get(name) == version and name in self.served:
            return None
        new: Served | None = None
        try:
            new = self.builder.build(name, settings)
            with suppress(
                Unavailable
            ):  # its database is down: no fault of the configuration, it is served once it is up
                await new.renderer()
        except HostError as failure:
            structlog.get_logger().error(events.CONNECTOR_MISCONFIGURED, connector=name, reason=str(failure))
            if name not in self.served:
                self.builder.metrics.connector_is_down(name)
            if new is not None:
                await new.connector.close()
            return str(failure)
        if (old := self.served.get(name)) is not None:
            self._retire(old)
        self.served[name], self._versions[name] = new, version
        return None

    def _retire(self, old: Served) -> None:
        task = asyncio.create_task(_close_later(old))
        self._retiring[task] = old
        task.add_done_callback(self._retiring.pop)


async def _close_later(old: Served) -> None:
    """Close a connector once no request can be using it any more: each is bounded in time."""
    try:
        await asyncio.sleep(old.settings.limits.request_s + 1)
    finally:
        await old.connector.close()


async def read_again(path: Path, started: Configuration) -> tuple[Configuration, tuple[str, ...]]:
    """Return what the file wants now, and which keys wait for a restart of what was `started`; the log says both.

    Raises ConfigurationError, which the log says, too.
    """
    log = structlog.get_logger()
    try:
        wanted = await asyncio.to_thread(load, path)
    except ConfigurationError as failure:
        log.error(events.CONFIGURATION_REFUSED, reason=str(failure))  # noqa: TRY400 - no trace helps
        raise
    if later := _needs_restart(started, wanted):
        log.warning(events.RESTART_NEEDED, attributes=later)
    return wanted, tuple(later)


def _needs_restart(old: Configuration, new: Configuration) -> list[str]:
    """Return the keys that changed and are read at the start only."""
    changed = [
        f"host.{key}"
        for key in type(old.host).model_fields
        if key not in AT_ONCE and getattr(old.host, key) != getattr(new.host, key)
    ]
    largest = max(one.limits.body_bytes for one in old.connectors.values())
    changed += [
        f"connectors.{name}.limits.body_bytes"
        for name, one in new.connectors.items()
        if one.limits.body_bytes > largest
    ]
    return changed + (["audit"] if old.audit != new.audit else [])

"""The signer as a service: built from its settings, it listens on loopback until it is told to stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from yarl import URL

from agent import __version__, events, logs
from agent.addresses import environment_proxy, judge_environment, upstream_url
from agent.errors import ConfigurationError, Unavailable
from agent.link.followed import FollowedContext
from agent.link.tls import trusting
from agent.signer.proxy import Signer
from agent.signer.unrepeated import writes_once
from connector_host.errors import ConfigurationError as UnusableKey
from connector_host.signing.keys import load_key

if TYPE_CHECKING:
    from agent.signer.settings import SignerSettings

LOOPBACK: Final = "127.0.0.1"
CONNECT_S: Final = 10.0
_CUT_S: Final = 0.1
"""Seconds that a request which has had its time is given, twice, to hear that it is cut off."""


class _Server(web.Server):
    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's own signature
        """Let requests in hand end, for so long at the most, and hang up; aiohttp would wait for that time twice."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await super().shutdown(timeout)
                return
        await super().shutdown(_CUT_S)


async def run(settings: SignerSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; raises ConfigurationError where the settings cannot be used."""
    upstream = upstream_url(settings.upstream)
    judge_environment([URL(upstream)])
    proxy = environment_proxy(URL(upstream))
    try:
        key = load_key(settings.key)
    except UnusableKey as failure:
        raise ConfigurationError(f"sign.key: {failure}") from failure
    trust = FollowedContext(lambda: trusting(settings.trust, "sign.trust"), settings.trust)
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=settings.request_s)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(writes_once,),
    ) as session:
        signer = Signer(upstream, key, session, trust, proxy, settings.body_bytes)
        runner = web.ServerRunner(_Server(signer.serve, access_log=None), shutdown_timeout=settings.stop_s)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, LOOPBACK, settings.port).start()
            except OSError as failure:
                where = f"sign.port: {LOOPBACK}:{settings.port}"
                raise Unavailable(f"{where} cannot be opened ({failure.strerror}).") from failure
            port = runner.addresses[0][1]
            logs.event(events.SIGNER_READY, url=f"http://{LOOPBACK}:{port}", port=port, key=key.id, version=__version__)
            await stop.wait()
        finally:
            await runner.cleanup()
    logs.event(events.SIGNER_STOPPED)

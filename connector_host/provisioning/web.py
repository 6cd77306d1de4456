"""What the sources behind HTTPS share: a session with a deadline, JSON answers, and failures as SourceFailed."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from connector_host import traces
from connector_host.errors import ConfigurationError
from connector_host.provisioning.answers import whole
from connector_host.provisioning.errors import SourceFailed
from connector_host.small_files import demand_small

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT_S: Final = 60.0
ATTEMPTS: Final = 5
RETRIED: Final = frozenset({429, 500, 502, 503, 504})
BUSY_S_MAX: Final = 60.0
"""The longest wait that a busy service may ask for within one cycle."""

GONE: Final = 410
MISSING: Final = 404


def tls(trust: Path | None) -> ssl.SSLContext:
    """Return what verifies the service: the given authority, or the system's."""
    try:
        if trust is not None:
            demand_small(trust)
        return ssl.create_default_context(cafile=trust)
    except (OSError, ssl.SSLError) as failure:
        raise ConfigurationError(f"{trust}: is no readable PEM file of an authority.") from failure


class Web:
    """Asks one web service for JSON, patiently."""

    def __init__(self, trust: Path | None) -> None:
        self._tls = tls(trust)
        self._trace = traces.begin()
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, url: str, headers: Mapping[str, str], *, form: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Return status and document of a GET, or of a POST where there is a form to send.

        A busy service is asked again; raises SourceFailed where it stays busy, cannot be reached, or answers no JSON.
        """
        for attempt in range(1, ATTEMPTS + 1):
            status, document, wait_s = await self._once(url, headers, form)
            if status not in RETRIED or attempt == ATTEMPTS:
                return status, document
            await asyncio.sleep(min(wait_s if wait_s is not None else 0.5 * 2**attempt, BUSY_S_MAX))
        raise AssertionError("unreachable")  # the loop returns on its last turn

    async def _once(
        self, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, dict[str, Any], float | None]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        method = "GET" if form is None else "POST"
        headers = {**headers, traces.HEADER: self._trace.next_span().header}
        try:
            async with self._session.request(
                method, url, headers=headers, data=form, ssl=self._tls, allow_redirects=False
            ) as answer:
                text = await answer.read()
                document = whole(json.loads(text), text) if text.strip() else {}
                after = answer.headers.get("Retry-After", "")
                return (
                    answer.status,
                    document if isinstance(document, dict) else {},
                    float(after) if after.isdecimal() else None,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            raise SourceFailed(f"the source cannot be reached ({type(failure).__name__}).") from failure
        except (ValueError, RecursionError) as failure:
            raise SourceFailed("the source answered no JSON.") from failure

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

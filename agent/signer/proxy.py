"""One request from loopback, signed and passed on, and its answer back as it streams.

The client's own signature headers are replaced. A write without an idempotency key gets one, so that the relay may
repeat it: one that the signature does not cover would not count at the host.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from agent import events, logs
from agent.errors import AgentError, system_words
from agent.link.headers import FRAMING, HOP_BY_HOP, named_by_connection
from agent.signer.unrepeated import SAFE
from connector_host import traces
from connector_host.framing import encourage
from connector_host.signing.requests import Asked, CannotSign, sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.addresses import Proxy
    from agent.link.followed import FollowedContext
    from connector_host.signing.keys import SigningKey
    from connector_host.traces import Trace

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
SCIM_JSON: Final = "application/scim+json"

_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
_OF_A_URL: Final = "/?:@!$&'()*+,;=-._~%"
"""RFC 3986 §2.2 and §2.3: what may stand in path and query as it is; letters and digits may in any case."""
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_REPLACED: Final = frozenset(
    {b"signature", b"signature-input", b"content-digest", traces.REQUEST_ID.lower().encode(), traces.HEADER.encode()}
)
_CODING: Final = "Content-Encoding"
_DECODED: Final = frozenset({"gzip", "deflate"})
"""What aiohttp has undone in a body, which is signed and passed on without."""
_FAILURES: Final = frozenset({events.REQUEST_FAILED, events.REQUEST_TRUNCATED})


class _TooLarge(AgentError):
    """The client's body is over the limit."""


@dataclass(frozen=True, slots=True)
class _Hop:
    """One request, as the logs and answers of all hops name it."""

    method: str
    identity: str
    trace: Trace

    def tell(self, event: str, status: int, detail: str | None = None) -> None:
        """Log what became of it; with what went wrong, where something did."""
        level = logging.WARNING if event in _FAILURES else logging.INFO
        named = {"request_id": self.identity, "traceparent": self.trace.header, "method": self.method}
        logs.event(event, level=level, **named, status=status, detail=detail)

    def refuse(self, status: int, detail: str) -> web.Response:
        """Answer what goes no further than here."""
        self.tell(events.REQUEST_REFUSED, status, detail)
        return self.problem(status, detail)

    def problem(self, status: int, detail: str) -> web.Response:
        """Return the SCIM error."""
        named = f"{detail} (request {self.identity})"
        document = {"schemas": [_ERROR], "status": str(status), "detail": named}
        headers = {traces.REQUEST_ID: self.identity}
        response = web.Response(
            status=status, body=json.dumps(document).encode(), headers=headers, content_type=SCIM_JSON
        )
        if status == 413:  # noqa: PLR2004 - HTTP: the rest of the body is not read
            response.force_close()
        return response


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs what arrives, and passes it on."""

    upstream: str
    """Where requests go; their path is put behind it as it is."""
    key: SigningKey
    session: aiohttp.ClientSession
    trust: FollowedContext
    """Whom it believes there."""
    proxy: Proxy
    """The way there."""
    body_bytes: int

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to one request."""
        hop = _hop(request)
        # A page in a browser of this machine may be made to ask for another name that leads here.
        if request.host.rpartition(":")[0] not in _LOCAL and request.host not in _LOCAL:
            return hop.refuse(421, "The signer answers to localhost only.")
        if not request.raw_path.startswith("/"):
            return hop.refuse(400, "The signer is no proxy for other hosts: ask for a path.")
        try:
            body = await self._body(request)
        except _TooLarge:
            return hop.refuse(413, f"The request body is larger than the signer's {self.body_bytes} bytes.")
        except web.RequestPayloadError:
            return hop.refuse(400, "The request body is not coded as its headers say.")
        url = self.upstream + _target(request)
        headers = self._headers(request, hop)
        try:
            headers.update(sign(Asked(request.method, url, headers, body), self.key))
        except CannotSign as failure:
            return hop.refuse(400, str(failure))
        return await self._carry(hop, request, url, headers, body)

    async def _body(self, request: web.BaseRequest) -> bytes:
        if (request.content_length or 0) > self.body_bytes:
            raise _TooLarge
        await encourage(request)
        stretches, size_bytes = [], 0
        while not request.content.at_eof():
            stretches.append(await request.content.readany())
            size_bytes += len(stretches[-1])
            if size_bytes > self.body_bytes:
                raise _TooLarge
        return b"".join(stretches)

    def _headers(self, request: web.BaseRequest, hop: _Hop) -> CIMultiDict[str]:
        state = frozenset({traces.STATE_HEADER.encode()} if hop.trace.begun_here else ())
        headers = _passed(request.raw_headers, _REPLACED | FRAMING | state)
        headers[traces.REQUEST_ID], headers[traces.HEADER] = hop.identity, hop.trace.header
        if headers.get(_CODING, "").lower() in _DECODED:
            del headers[_CODING]
        if request.method not in SAFE and IDEMPOTENCY_KEY not in headers:
            headers[IDEMPOTENCY_KEY] = f"signer-{os.urandom(16).hex()}"
        return headers

    async def _carry(
        self, hop: _Hop, request: web.BaseRequest, url: str, headers: CIMultiDict[str], body: bytes
    ) -> web.StreamResponse:
        try:
            async with self.session.request(
                request.method,
                # As it was signed, byte for byte.
                URL(url, encoded=True),
                headers=headers,
                data=body or None,
                ssl=self.trust.context(),
                proxy=self.proxy.url,
                proxy_headers=self.proxy.headers,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer:
                return await _deliver(hop, request, answer)
        except _NOT_SENT as failure:
            return self._failed(hop, 502, f"{_reason(failure)}. Nothing was done.")
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            unknown = "" if request.method in SAFE else " The outcome of this request is unknown."
            return self._failed(hop, 504, f"no answer came ({type(failure).__name__}).{unknown}")

    def _failed(self, hop: _Hop, status: int, reason: str) -> web.Response:
        hop.tell(events.REQUEST_FAILED, status, reason)
        return hop.problem(status, f"The signer asked {self.upstream}: {reason}")


def _hop(request: web.BaseRequest) -> _Hop:
    identity = traces.request_id(request.headers.get(traces.REQUEST_ID))
    return _Hop(request.method, identity, traces.go_on(request.headers.getall(traces.HEADER, ())))


def _target(request: web.BaseRequest) -> str:
    """Return path and query as they are signed and sent."""
    # Clients send quotes and blanks that no URL may have, and that a signature cannot cover.
    path, mark, query = quote(request.raw_path.encode("utf-8", "surrogateescape"), safe=_OF_A_URL).partition("?")
    # yarl drops a mark with nothing behind it, so that the host would judge another URL than the one that was signed.
    return path + mark + query if query else path


async def _deliver(hop: _Hop, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_passed(answer.raw_headers, frozenset()))
    try:
        await response.prepare(request)
        async for stretch in answer.content.iter_any():
            await response.write(stretch)
        await response.write_eof()
    except (aiohttp.ClientError, TimeoutError, OSError) as failure:
        hop.tell(events.REQUEST_TRUNCATED, answer.status, f"it was passed on in part ({type(failure).__name__})")
        # Half an answer must not look whole.
        if request.transport is not None:
            request.transport.abort()
        return response
    hop.tell(events.REQUEST_ANSWERED, answer.status)
    return response


def _passed(pairs: Sequence[tuple[bytes, bytes]], without: frozenset[bytes]) -> CIMultiDict[str]:
    """Return the headers that are for more than one hop."""
    dropped = HOP_BY_HOP | named_by_connection(pairs) | without
    return CIMultiDict(
        (name.decode("ascii"), value.decode("utf-8", "surrogateescape"))
        for name, value in pairs
        if name.lower() not in dropped
    )


_NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""No connection came about."""


def _reason(failure: Exception) -> str:
    match failure:
        case aiohttp.ClientConnectorCertificateError():
            reason = f"its certificate is not believed ({getattr(failure.certificate_error, 'verify_message', 'TLS')})"
        case aiohttp.ClientConnectorSSLError(os_error=fault):
            reason = f"it does not speak TLS as it should ({getattr(fault, 'reason', None) or fault})"
        case aiohttp.ClientProxyConnectionError():
            reason = f"the proxy on the way to it cannot be reached ({system_words(failure.os_error)})"
        case aiohttp.ClientConnectorDNSError():
            reason = f"the name {failure.host} cannot be resolved ({system_words(failure.os_error)})"
        case aiohttp.ClientConnectorError():
            reason = f"it cannot be reached ({system_words(failure.os_error) or type(failure).__name__})"
        case aiohttp.ClientHttpProxyError():
            reason = f"the proxy on the way to it answered {failure.status}"
        case _:
            reason = "it does not answer"
    return reason

"""Why the relay cannot be reached, in words for an administrator; knows the exceptions of aiohttp and no sockets."""

from __future__ import annotations

from typing import Final

import aiohttp

from agent.errors import system_words
from agent.link.tls import doubt

_STATUS_WORDS: Final = {
    400: "what leads to the relay, a proxy or a load balancer, does not pass WebSockets on",
    401: "the relay does not accept this agent: check agent.tenant, and enrol anew or check agent.token_file",
    404: "this is no relay, or a much older one: check agent.relay",
    429: "the relay is asked too often by this address: it answered 429",
    502: "a proxy or load balancer in front of the relay does not reach it: it answered 502",
    503: "the relay takes no links just now, because it stops, has too many at its door or cannot ask its store, which "
    "its log tells, or a load balancer in front of it reaches none: it answered 503",
    504: "a proxy or load balancer in front of the relay does not reach it: it answered 504",
}

_LOGIN: Final = "check agent.proxy or HTTPS_PROXY, its user and password"
_UNREACHED: Final = "it does not reach the relay: check agent.relay, and the proxy's own way out"
_NOT_LET_THROUGH: Final = "it lets nobody through to the relay: have it allow CONNECT to name and port of agent.relay"
_PROXY_WORDS: Final = {401: _LOGIN, 407: _LOGIN, 500: _UNREACHED, 502: _UNREACHED, 503: _UNREACHED, 504: _UNREACHED}

_NO_TLS: Final = (
    "the connection ended before TLS began; a proxy on the way may not let it through, and show a page of its own"
)


_UNHEARD: Final = (
    "; a relay does so where it does not know this agent's certificate, because it has another authority than the one "
    "that issued it, or another time: enrol anew then"
)


def reason_of(failure: Exception, limit_s: float, *, certified: bool = False) -> str:
    """Return why no connection to the relay came about within the limit; `certified` where a certificate was shown."""
    match failure:
        case aiohttp.WSServerHandshakeError(status=status):
            reason = _STATUS_WORDS.get(status, f"the relay answered {status}")
        case aiohttp.ClientHttpProxyError(status=status):
            reason = f"the proxy answered {status}: {_PROXY_WORDS.get(status, _NOT_LET_THROUGH)}"
        case aiohttp.ClientConnectorError():
            reason = _unconnected(failure)
        case aiohttp.ServerDisconnectedError():
            reason = "the connection was ended without an answer, by the relay or by a proxy on the way"
            reason += _UNHEARD if certified else ""
        case aiohttp.ClientResponseError():
            # aiohttp's own words repeat what came.
            reason = "what answers is no HTTP: check agent.relay, and the proxy on the way"
        case TimeoutError():
            reason = f"the relay, a proxy on the way, or what resolves names does not answer within {limit_s:g} s"
        case _:
            reason = str(failure) or type(failure).__name__
    return reason


def _unconnected(failure: aiohttp.ClientConnectorError) -> str:
    match failure:
        case aiohttp.ClientProxyConnectionError(os_error=fault, host=name, port=port):
            # Nobody may remember that the environment names one.
            return f"the proxy {name}:{port} cannot be reached: {system_words(fault)}"
        case aiohttp.ClientConnectorCertificateError(certificate_error=fault):
            return f"the relay's certificate is not accepted: {doubt(fault, 'agent.relay_trust')}"
        case aiohttp.ClientConnectorSSLError(os_error=fault):
            return f"the relay does not speak TLS as it should: {getattr(fault, 'reason', None) or fault}"
        case aiohttp.ClientConnectorDNSError(host=name, os_error=fault):
            # The relay's name, or that of the proxy to it.
            return f"the name {name} cannot be resolved: {system_words(fault)}"
        case _:
            return f"the relay cannot be reached: {system_words(failure.os_error) or _NO_TLS}"

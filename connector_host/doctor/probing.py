"""The very requests that a directory's test connection sends, through each hop, until one of them fails.

    name ──▶ port ──▶ TLS ──▶ token refused without ──▶ Entra's probe ──▶ schemas

The first hop that fails is named with the reason; those behind it are not tried, since they could only fail, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from connector_host.errors import Finding, Level

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_PATIENCE: Final = aiohttp.ClientTimeout(total=30, sock_connect=10)
_MOST_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """One way to a connector: straight to the host, or through the relay."""

    hop: str
    """What the way leads through, as a person calls it: `host`, `relay`."""
    url: str
    """The tenant URL, up to and with `/scim`."""
    tls: ssl.SSLContext
    token: str | None = field(default=None, repr=False)
    connect_to: str | None = None
    """The address to connect to instead of the URL's host, which stays the name that is verified."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    document: Any
    server: str


class _Failed(Exception):
    """A step failed; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.fact)
        self.finding = finding


async def probe(target: Target) -> list[Finding]:
    """Return what each step found, in order; the last one is the FAILURE, if there is one."""
    findings: list[Finding] = []
    try:
        async for finding in _steps(target):
            findings.append(finding)  # noqa: PERF401 - what was found before a failure counts
    except _Failed as failure:
        findings.append(failure.finding)
    return findings


async def _steps(target: Target) -> AsyncIterator[Finding]:
    url = URL(target.url)
    yield await _connects(target, url)
    connector = aiohttp.TCPConnector(ssl=target.tls, resolver=_Fixed(target.connect_to) if target.connect_to else None)
    async with aiohttp.ClientSession(connector=connector, timeout=_PATIENCE) as session:

        async def ask(path: str, token: str | None) -> _Answer:
            return await _ask(session, target, path, token)

        yield await _refuses_without_token(target, ask)
        if target.token is None:
            mend = "Give the token with --token-file, so that the rest can be tried."
            yield Finding(Level.WARNING, target.hop, "No token was given, so nothing behind it was tried.", mend)
            return
        yield await _answers_entras_probe(target, ask)
        yield await _shows_schemas(target, ask)


async def _connects(target: Target, url: URL) -> Finding:
    """Connect and agree on TLS, apart from HTTP: what fails here has reasons of its own."""
    host, port = target.connect_to or url.host or "", url.port or 443
    try:
        async with asyncio.timeout(15):
            reader, writer = await asyncio.open_connection(host, port, ssl=target.tls, server_hostname=url.host)
        version = writer.get_extra_info("ssl_object").version()
        writer.close()
        del reader
    except ssl.SSLCertVerificationError as failure:
        reason = failure.verify_message.rstrip(".")
        fact = f"The certificate of {url.host}:{port} is not believed: {reason}."
        raise _fail(target, fact, _mend_of(failure, target)) from failure
    except ssl.SSLError as failure:
        mend = "Something else may listen there, or a proxy may break TLS open."
        raise _fail(target, f"{url.host}:{port} does not speak TLS as it should ({failure.reason}).", mend) from failure
    except socket.gaierror as failure:
        raise _fail(target, f"The name {url.host} cannot be resolved.", "Check the name, and DNS.") from failure
    except TimeoutError as failure:
        raise _fail(target, f"{host}:{port} does not answer in time.", "Look for a firewall in between.") from failure
    except OSError as failure:
        mend = "Start it, or check address and port." if target.hop == "host" else "Check the address, and firewalls."
        raise _fail(target, f"{host}:{port} does not take connections ({_reason(failure)}).", mend) from failure
    return Finding(Level.OK, target.hop, f"{url.host}:{port} answers with {version} and a certificate for that name.")


def _mend_of(failure: ssl.SSLCertVerificationError, target: Target) -> str:
    """Return what to do about a certificate; X509_V_ERR_* of OpenSSL tell the reasons apart."""
    match failure.verify_code:
        case 9 | 10:  # not yet valid, expired
            return "Renew it (`connector-host cert renew`, or install a new one), and check the clock of this machine."
        case 62 | 64:  # another name, another address
            return "Use a certificate for that name."
        case _ if target.hop == "host":
            return "Another than the one in the file is shown: look for `certificate.refused` in the log of the host."
        case _:
            return "Trust its authority with --trust, or use a certificate of one that this machine trusts."


def _reason(failure: OSError) -> str:
    """Return the system's own words: asyncio writes its own in their place."""
    return os.strerror(failure.errno) if failure.errno else str(failure.strerror)


async def _refuses_without_token(target: Target, ask: Callable[[str, str | None], Awaitable[_Answer]]) -> Finding:
    answer = await ask("/ServiceProviderConfig", None)
    match answer.status:
        case 401:
            return Finding(Level.OK, target.hop, "Without a token nobody comes in.")
        case 503:
            fact = f"The relay cannot pass anything on. {_detail(answer)}".strip()
            mend = "Where no agent is connected, start one (`provisioning-agent run`), and look at its log."
            raise _fail(target, fact, mend)
        case 502 | 504:
            raise _cut_off_behind_the_agent(answer)
        case 403 | 429:
            fact = f"This machine is kept out ({answer.status}). {_detail(answer)}".strip()
            mend = "Look at `allow` and `lock_out_failures` in [host], and at [relay.limits] of the relay."
            raise _fail(target, fact, mend)
        case 404:
            raise _fail(target, f"There is no such address. {_detail(answer)}".strip(), _ADDRESSES[target.hop])
        case 421:
            raise _fail(target, _detail(answer) or "It answers to another name.", "Take the URL with that name.")
        case status:
            fact = f"A request without a token was answered with {status} instead of 401. {_detail(answer)}".strip()
            raise _fail(target, fact, "Something else than this product may be listening there.")


_ADDRESSES: Final = {
    "host": "Take the tenant URL as `connector-host init` printed it; names are case-sensitive.",
    "relay": "Take https://RELAY/t/TENANT/ecma2host_NAME/scim, with a TENANT that `provisioning-agent relay tenant "
    "list` shows at the relay, and the rest as `connector-host init` printed it; names are case-sensitive.",
}


def _cut_off_behind_the_agent(answer: _Answer) -> _Failed:
    fact = f"The agent is there, and gets no further than its host's door. {_detail(answer)}".strip()
    mend = "Mend the way from agent to host: `host`, `host_trust` and tokens in agent.toml, and whether the host runs."
    return _Failed(Finding(Level.FAILURE, "agent", fact, mend))


async def _answers_entras_probe(target: Target, ask: Callable[[str, str | None], Awaitable[_Answer]]) -> Finding:
    # Entra's Test connection, before any mapping was edited: spaces as +, quotes as they are (ecma.md §1.5).
    answer = await ask(f'/Users?filter=PLACEHOLDER+eq+"{uuid.uuid4()}"', target.token)
    if answer.status == 200 and isinstance(answer.document, dict) and answer.document.get("totalResults") == 0:  # noqa: PLR2004 - OK
        return Finding(Level.OK, target.hop, "Entra's test connection succeeds: 200 and an empty list.")
    detail = _detail(answer)
    match answer.status:
        case 401:
            mend = "Take the token as it was shown, or make a new one: connector-host token new"
            raise _fail(target, "The token is not valid for this connector.", mend)
        case 403:
            raise _fail(
                target, detail or "This is not allowed.", "Run `connector-host check`: it names what is missing."
            )
        case 503:
            mend = "Run `connector-host check`: it says what is wrong with the database."
            raise _fail(target, f"The connector cannot serve now. {detail}", mend)
        case 502:
            raise _cut_off_behind_the_agent(answer)
        case 504:
            raise _fail(target, f"No answer came in time. {detail}", "Look at the database's load, and at the log.")
        case status:
            fact = f"Entra's test connection was answered with {status}. {detail}".strip()
            raise _fail(target, fact, "Look for this request in the log; its id is in the answer.")


async def _shows_schemas(target: Target, ask: Callable[[str, str | None], Awaitable[_Answer]]) -> Finding:
    answer = await ask("/Schemas", target.token)
    found = answer.document.get("totalResults", 0) if isinstance(answer.document, dict) else 0
    if answer.status == 200 and found:  # noqa: PLR2004 - OK
        return Finding(Level.OK, target.hop, f"The directory can read {found} schemas.")
    raise _fail(target, f"/Schemas was answered with {answer.status}.", "Run `connector-host check`.")


async def _ask(session: aiohttp.ClientSession, target: Target, path: str, token: str | None) -> _Answer:
    headers = {"Accept": "application/scim+json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        async with session.get(URL(target.url + path, encoded=True), headers=headers, allow_redirects=False) as answer:
            body = await answer.content.read(_MOST_BYTES)
            return _Answer(answer.status, _document(body), answer.headers.get("Server", ""))
    except TimeoutError as failure:
        raise _fail(
            target, "The request was not answered in time.", "Look at the log for what it waits for."
        ) from failure
    except aiohttp.ClientError as failure:
        fact = f"The connection broke while the request was under way ({type(failure).__name__})."
        mend = (
            "Look at the host's log. Where `client_authority` is set, give `doctor` a --client-certificate of it."
            if target.hop == "host"
            else "Look at the logs of agent and relay at this time."
        )
        raise _fail(target, fact, mend) from failure


def _detail(answer: _Answer) -> str:
    """Return what a SCIM error says, empty where the answer is none."""
    return str(answer.document.get("detail", "")) if isinstance(answer.document, dict) else ""


def _document(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _fail(target: Target, fact: str, mend: str) -> _Failed:
    return _Failed(Finding(Level.FAILURE, target.hop, fact, mend))


class _Fixed(aiohttp.abc.AbstractResolver):
    """Resolves every name to one address: the one that the host listens on, whatever DNS says."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """Return the one address."""
        del family
        kind = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [{"hostname": host, "host": self._address, "port": port, "family": kind, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Let go of nothing."""

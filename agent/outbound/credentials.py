"""What the agent shows to the relay: its certificate and key, or a token; and how it gets the first and the next one.

The key is made here and never leaves the machine. Files are read again for each link, so that an agent
that was enrolled anew needs no restart.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.errors import AgentError, ConfigurationError
from agent.link.credentials import AgentName, name_in
from agent.link.messages import EnrolmentAnswer, EnrolmentRequest
from agent.link.tls import trusting
from agent.outbound.proxies import Way
from agent.outbound.reasons import reason_of
from connector_host.clock import now
from connector_host.ownership import make_folder
from connector_host.tls.files import UnusableFile, load_pair
from connector_host.tls.identity import UNREADABLE, public_key
from connector_host.tls.issuing import write_private, write_public

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from yarl import URL

    from agent.settings import AgentSettings

IDENTITY_FILE: Final = "agent.pem"
"""Key and certificate in one file, so that a renewal replaces both in one step."""
AUTHORITY_FILE: Final = "relay-authority.pem"

ANSWER_S: Final = 15.0


class Expired(ConfigurationError):
    """The agent's certificate is over, or this machine's clock is wrong: both may be mended while it runs."""


class EnrolmentRefused(AgentError):
    """The relay did not enrol this agent; the text says why."""


class RelayUnreachable(EnrolmentRefused):
    """The token was not shown, because no connection came about."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The agent's certificate and key."""

    certificate: x509.Certificate
    name: AgentName
    file: Path
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def der(self) -> bytes:
        """Return the certificate as it is shown inside a link."""
        return self.certificate.public_bytes(Encoding.DER)

    def renewal_due(self, moment: datetime) -> bool:
        """Return whether two thirds of the certificate's life are over."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return moment >= begin + (end - begin) * 2 / 3

    def add_to(self, context: ssl.SSLContext) -> None:
        """Let this TLS client show the certificate."""
        context.load_cert_chain(self.file)


def is_enrolled(state: Path) -> bool:
    """Return whether there is an identity in this folder, of whatever use; raises ConfigurationError."""
    try:
        (state / IDENTITY_FILE).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as failure:
        mend = "let the agent's account into its folder"
        raise ConfigurationError(
            f"agent.state: {state} cannot be looked into ({failure.strerror}): {mend}."
        ) from failure
    return True


def load(state: Path) -> Identity | None:
    """Return the identity in this folder, None where the agent was never enrolled.

    Raises ConfigurationError where the file cannot be used, Expired where the certificate has.
    """
    file = state / IDENTITY_FILE
    if not is_enrolled(state):
        return None
    try:
        identity = load_pair(file, file)
    except UnusableFile as failure:
        raise ConfigurationError(f"agent.state: {failure}") from failure
    name = name_in(identity.certificate)
    if name is None or not isinstance(identity.key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"agent.state: {file} is not what `provisioning-agent enroll` wrote; enrol anew.")
    end, moment = identity.certificate.not_valid_after_utc, now()
    if end < moment:
        raise Expired(
            f"the agent's certificate expired on {end:%Y-%m-%d %H:%M} UTC, and this machine's clock says "
            f"{moment:%Y-%m-%d %H:%M} UTC: set the clock where it is wrong, else ask the relay's administrator for a "
            "token, and run `provisioning-agent enroll`"
        )
    return Identity(identity.certificate, name, file, identity.key)


def new_request() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """Return a new key, and a certificate request for it, PEM; whose it is, the relay knows from token or link."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return key, request.public_bytes(Encoding.PEM)


def store(state: Path, key: ec.EllipticCurvePrivateKey, certificate: bytes) -> None:
    """Write key and certificate, PEM, in one step.

    Raises EnrolmentRefused where the certificate is for another key, or of another authority than the pinned one.
    """
    try:
        authority = (state / AUTHORITY_FILE).read_bytes()
    except OSError as failure:
        raise EnrolmentRefused(f"{state / AUTHORITY_FILE} cannot be read ({failure.strerror})") from failure
    _judge(key, certificate, authority)
    _write(state, key, certificate)


def _judge(key: ec.EllipticCurvePrivateKey, certificate: bytes, authority: bytes) -> None:
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
        parsed.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (*UNREADABLE, TypeError, InvalidSignature) as failure:
        raise EnrolmentRefused("the certificate is not of the authority that this agent was enrolled with") from failure
    if public_key(parsed) != key.public_key():
        raise EnrolmentRefused("the certificate is for another key than this agent's")


def _write(state: Path, key: ec.EllipticCurvePrivateKey, certificate: bytes) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(state / IDENTITY_FILE, certificate + private)


async def enrol_at_any(settings: AgentSettings, relays: Sequence[URL], state: Path, token: str) -> Identity:
    """Get the first certificate from the first node of the relay that can be reached; raises as `enrol` does."""
    for relay in relays[:-1]:
        with suppress(RelayUnreachable):
            return await enrol(settings, relay, state, token)
    return await enrol(settings, relays[-1], state, token)


async def enrol(settings: AgentSettings, relay: URL, state: Path, token: str) -> Identity:
    """Get the first certificate for a one-time token and return what was written.

    Raises EnrolmentRefused with the relay's reason, and ConfigurationError where files cannot be used.
    """
    _prepare(state)
    key, request = new_request()
    wanted = EnrolmentRequest(settings.tenant, token, settings.name, request.decode())
    data, url, way = msgspec.json.encode(wanted), relay / "enroll", Way(settings).to(relay)
    trust = trusting(settings.relay_trust, "agent.relay_trust")
    try:
        async with (
            asyncio.timeout(ANSWER_S),
            aiohttp.ClientSession() as client,
            client.post(url, data=data, ssl=trust, proxy=way.url, proxy_headers=way.headers) as response,
        ):
            body = await response.read()
    except aiohttp.ClientConnectorError as failure:
        refused = isinstance(failure, aiohttp.ClientConnectorCertificateError)
        raise (EnrolmentRefused if refused else RelayUnreachable)(reason_of(failure, ANSWER_S)) from failure
    except (aiohttp.ClientError, OSError, TimeoutError) as failure:
        raise EnrolmentRefused(reason_of(failure, ANSWER_S)) from failure
    answer = _read(response.status, body)
    return _keep(state, key, answer)


def _prepare(state: Path) -> None:
    """Make the folder, and see that it can be written, before a token is spent; raises ConfigurationError."""
    try:
        make_folder(state, 0o700)
        with tempfile.TemporaryFile(dir=state):
            pass
    except OSError as failure:
        mend = "run this with the agent's account, or as root; the token is still good"
        raise ConfigurationError(f"agent.state: {state} cannot be written ({failure.strerror}): {mend}.") from failure


def _keep(state: Path, key: ec.EllipticCurvePrivateKey, answer: EnrolmentAnswer) -> Identity:
    authority, certificate = answer.authority.encode(), answer.certificate.encode()
    _judge(key, certificate, authority)  # before anything is written: whoever is enrolled stays so
    try:
        write_public(state / AUTHORITY_FILE, authority)
        _write(state, key, certificate)
    except OSError as failure:
        raise ConfigurationError(f"agent.state: {state} cannot be written ({failure.strerror}).") from failure
    identity = load(state)
    if identity is None:
        raise EnrolmentRefused("the certificate that was just written is gone")
    return identity


class _Refusal(msgspec.Struct, frozen=True):
    """What the relay says where it does not enrol an agent."""

    detail: str


def _read(status: int, body: bytes) -> EnrolmentAnswer:
    """Return what the relay answered; raises EnrolmentRefused where it is a refusal."""
    try:
        if status == 200:  # noqa: PLR2004 - HTTP's own word for yes
            return msgspec.json.decode(body, type=EnrolmentAnswer)
        raise EnrolmentRefused(msgspec.json.decode(body, type=_Refusal).detail)
    except msgspec.MsgspecError as failure:
        raise EnrolmentRefused(f"the relay answered {status}, and nothing that an agent understands") from failure

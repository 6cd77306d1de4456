"""The relay's own authority: it issues the certificates of agents, and of nothing else."""

from __future__ import annotations

import hmac
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.errors import AgentError, ConfigurationError
from agent.link.credentials import AgentName, name_in
from agent.secrets import refuse_open
from connector_host.ownership import make_folder
from connector_host.tls.files import UnusableFile, load_pair
from connector_host.tls.identity import UNREADABLE
from connector_host.tls.issuing import issue_authority, write_private, write_public

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from connector_host.tls.issuing import Issued

CERTIFICATE_FILE: Final = "agent-authority.pem"
KEY_FILE: Final = "agent-authority-key.pem"

_MEND: Final = f"Take both files, {CERTIFICATE_FILE} and {KEY_FILE}, from the state of another node, or from a backup."
"""Only a relay makes them, and another authority would be a stranger to every agent that is enrolled."""

_BACKDATED: Final = timedelta(minutes=5), timedelta(days=1)
"""At least and at the most: the clock of another node may be hours behind that of the one that issued."""


class RequestRefused(AgentError):
    """A certificate request is none that an agent makes; the text says why."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> str:
        """Return what tells this authority from others: SHA-256 of its certificate, in hex."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def secret(self) -> bytes:
        """Return what only nodes with this authority know: a key for digests, out of which nothing else follows."""
        numbers = self.key.private_numbers()
        value = numbers.private_value.to_bytes((self.key.key_size + 7) // 8, "big")
        return hmac.digest(value, b"provisioning relay digests v1", "sha256")

    @property
    def pem(self) -> bytes:
        """Return the certificate as PEM: what agents pin."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, request: bytes, name: AgentName, label: str, now: datetime, life: timedelta) -> x509.Certificate:
        """Return a client certificate for the key in this PEM request; nothing else in the request is believed.

        Raises RequestRefused where it is no request, is not signed by its own key, or the key is not on P-256.
        """
        public = _public_key(request)
        end = min(now + life, self.certificate.not_valid_after_utc)
        return (
            x509.CertificateBuilder()
            .subject_name(_subject(label, name))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _backdated(end - now))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name.urn)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def recognise(self, certificate: bytes, now: datetime) -> AgentName | None:
        """Return whom this DER certificate names, where it is of this authority and in its time; else None."""
        try:
            parsed = x509.load_der_x509_certificate(certificate)
            parsed.verify_directly_issued_by(self.certificate)
        except (*UNREADABLE, TypeError, InvalidSignature):
            return None
        if not parsed.not_valid_before_utc <= now <= parsed.not_valid_after_utc:
            return None
        return name_in(parsed)


def open_authority(folder: Path, now: datetime) -> Authority:
    """Return the authority in this folder, made where there is none; raises ConfigurationError where it is unusable."""
    certificate, key = folder / CERTIFICATE_FILE, folder / KEY_FILE
    if not certificate.exists() and not key.exists():
        _make(folder, issue_authority("provisioning relay: agents", now))
    return load_authority(certificate, key)


def load_authority(certificate: Path, key: Path) -> Authority:
    """Return the authority in these files; raises ConfigurationError where it is unusable, or its key lies open."""
    try:
        identity = load_pair(certificate, key)
    except UnusableFile as failure:
        field = "agent_authority_key" if failure.finding.subject == "key" else "agent_authority"
        raise ConfigurationError(f"relay.{field}: {failure.finding.fact} {_MEND}") from failure
    if not isinstance(identity.key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"relay.agent_authority_key: {key} is not a key that this program made.")
    refuse_open(key, "relay.agent_authority_key")
    return Authority(identity.certificate, identity.key)


def _make(folder: Path, issued: Issued) -> None:
    """Write a new authority; where two programs start at once, the first one's key stays."""
    make_folder(folder, 0o700)
    draft = folder / f".{KEY_FILE}.{os.getpid()}"
    write_private(draft, issued.key_pem)
    with suppress(FileExistsError):
        os.link(draft, folder / KEY_FILE)
        write_public(folder / CERTIFICATE_FILE, issued.certificate_pem)
    draft.unlink()


def _backdated(life: timedelta) -> timedelta:
    """Return by how much: a tenth of the life, since renewal counts from there."""
    least, most = _BACKDATED
    return max(least, min(life / 10, most))


def _subject(label: str, name: AgentName) -> x509.Name:
    """Return the subject for an administrator who looks at the certificate; X.509 has room for 64 bytes of UTF-8."""
    short = label.encode()[:64].decode(errors="ignore") or name.agent
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, short)])


def _public_key(request: bytes) -> ec.EllipticCurvePublicKey:
    try:
        parsed = x509.load_pem_x509_csr(request)
        public = parsed.public_key()
        # First: a signature of another kind may take a stranger's request a thousand times as long.
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise RequestRefused("The key of the request is not on the curve P-256.")
        genuine = parsed.is_signature_valid
    except (*UNREADABLE, TypeError) as failure:
        raise RequestRefused("This is no certificate request in PEM form.") from failure
    if not genuine:
        raise RequestRefused("The request is not signed by its own key.")
    return public

"""Certificates and private keys in PEM files: read with a clear cause where they cannot be.

Knows no configuration: the caller says which file is which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from connector_host.errors import ConfigurationError, Finding, Level
from connector_host.ownership import is_open
from connector_host.small_files import read_small
from connector_host.tls.chains import verify_chain
from connector_host.tls.identity import (
    HOST_SECTION,
    KEY_MEND,
    PLAIN_CERTIFICATE,
    UNREADABLE,
    belongs_together,
    read_through,
    verify_identity,
)

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from connector_host.tls.identity import PrivateKey


class UnusableFile(ConfigurationError):
    """A file does not hold what it should; the finding says which, why, and what to do."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.fact} {finding.mend}")
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Identity:
    """What a host shows and what it proves that with."""

    chain: tuple[x509.Certificate, ...]
    """The host's own certificate first, then its issuers."""
    key: PrivateKey = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """Return the host's own certificate."""
        return self.chain[0]


def load_identity(certificate: Path, key: Path) -> Identity:
    """Read both files; raises UnusableFile where one of them does not hold what it should."""
    return Identity(load_chain(certificate), load_key(key))


def load_pair(certificate: Path, key: Path) -> Identity:
    """Read a certificate and the key that is its own; raises UnusableFile, also where they do not belong together."""
    identity = load_identity(certificate, key)
    if not belongs_together(identity.certificate, identity.key):
        raise _unusable("key", f"{key} is not the key of the certificate in {certificate}.", KEY_MEND)
    return identity


def check_identity(
    certificate: Path, key: Path, host: str, now: datetime, *, section: str = HOST_SECTION
) -> list[Finding]:
    """Return everything that is so about the two files as the identity of `host`; raises nothing on purpose.

    `section` is the part of the configuration that names the files.
    """
    try:
        identity = load_identity(certificate, key)
    except UnusableFile as failure:
        return [failure.finding]
    return [*exposure_findings(key), *judge_identity(identity, host, now, section=section)]


def check_authority(path: Path | None, subject: str, now: datetime) -> list[Finding]:
    """Return what is so about a file of authorities to believe; nothing where none is named."""
    if path is None:
        return []
    try:
        authorities = load_chain(path)
    except UnusableFile as failure:
        found = failure.finding
        return [Finding(found.level, subject, found.fact, "Name the PEM file of the authority that is to be believed.")]
    if all(now > one.not_valid_after_utc for one in authorities):
        return [Finding(Level.FAILURE, subject, f"Every authority in {path} has expired.", "Get the present one.")]
    return [Finding(Level.OK, subject, f"{path} holds {len(authorities)} that may be believed.")]


def stamp_of(path: Path) -> tuple[int, ...]:
    """Return what changes with a file and with who may read it; empty where there is none just now."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    return (facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_mode)


def exposure_findings(key: Path) -> list[Finding]:
    """Return a FAILURE where everybody on this machine may use the key; Windows says that by other means."""
    try:
        if not is_open(key):
            return []
    except OSError:  # gone since it was read
        return []
    mend = f"Run: chmod 600 {key}. If it has been so for long, get a new key, too."
    return [Finding(Level.FAILURE, "key", f"Everybody on this machine may use {key}.", mend)]


def judge_identity(identity: Identity, host: str, now: datetime, *, section: str = HOST_SECTION) -> list[Finding]:
    """Return what is so about the certificate, its key and its chain as the identity of `host`."""
    if not belongs_together(identity.certificate, identity.key) and any(
        belongs_together(other, identity.key) for other in identity.chain
    ):
        mend = "Put the certificate that the key belongs to first, then the one that issued it, and so on."
        return [Finding(Level.FAILURE, "chain", "The chain is in the wrong order: the host's own is not first.", mend)]
    return [
        *verify_identity(identity.certificate, identity.key, host, now, section=section),
        *verify_chain(identity.chain, now),
    ]


def load_chain(path: Path) -> tuple[x509.Certificate, ...]:
    """Read the certificates of a PEM file, at least one; raises UnusableFile."""
    content = read_file(path, "certificate")
    if _cut_off(content):
        raise _unusable("certificate", f"{path} is cut off: a PEM block has no end.", "Copy the whole file again.")
    try:
        chain = tuple(x509.load_pem_x509_certificates(content))
        for certificate in chain:
            read_through(certificate)
    except UNREADABLE as failure:
        if b"-----BEGIN CERTIFICATE-----" in content:
            raise unreadable(path, failure) from failure
        fact = f"{path} holds no readable certificate in PEM form."
        raise _unusable("certificate", fact, _PEM_CERTIFICATE) from failure
    return chain


def unreadable(path: Path, failure: Exception) -> UnusableFile:
    """Return what is wrong where a certificate of this file raised one of UNREADABLE: damage, or an odd certificate."""
    if isinstance(failure, ValueError):
        return _unusable("certificate", f"{path} is damaged.", "Copy the whole file again.")
    return _unusable("certificate", f"{path} has a certificate that cannot be read: {failure}.", PLAIN_CERTIFICATE)


def load_key(path: Path, passphrase: bytes | None = None) -> PrivateKey:
    """Read the private key of a PEM file; raises UnusableFile, which never quotes the content."""
    content = read_file(path, "key")
    if _cut_off(content):
        raise _unusable("key", f"{path} is cut off: a PEM block has no end.", "Copy the whole file again.")
    try:
        key = serialization.load_pem_private_key(content, passphrase)
    except TypeError as failure:
        fact, mend = (
            (
                f"{path} is encrypted.",
                (
                    "Give its passphrase to `connector-host cert install`, which decrypts it for the host; for relay "
                    "or agent write it without one: openssl pkey -in FILE -out NEW."
                ),
            )
            if passphrase is None
            else (f"{path} is not encrypted, but a passphrase was given.", "Leave the passphrase out.")
        )
        raise _unusable("key", fact, mend) from failure
    except (ValueError, UnsupportedAlgorithm) as failure:
        fact = f"{path} holds no readable private key" + (" with this passphrase." if passphrase else " in PEM form.")
        raise _unusable("key", fact, _PEM_KEY) from failure
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    ):
        raise _unusable("key", f"{path} holds a kind of key that TLS does not use.", _PEM_KEY)
    return key


def read_file(path: Path, subject: str) -> bytes:
    """Return the content; raises UnusableFile that says why it cannot be read."""
    try:
        return read_small(path)
    except FileNotFoundError as failure:
        mend = "Name the right file, or make one with `connector-host cert issue`."
        raise _unusable(subject, f"{path} does not exist.", mend) from failure
    except PermissionError as failure:
        mend = "Let the account that runs the host read it: chown and chmod 600 for a key."
        raise _unusable(subject, f"{path} may not be read by this account.", mend) from failure
    except OSError as failure:
        raise _unusable(subject, f"{path} cannot be read ({failure.strerror}).", "Name the right file.") from failure


_PEM_CERTIFICATE = (
    "Give a file with -----BEGIN CERTIFICATE-----; `connector-host cert install` reads DER and PKCS#12, too."
)
_PEM_KEY = "Give a file with -----BEGIN PRIVATE KEY-----: ECDSA P-256, or RSA with at least 2048 bits."


def _unusable(subject: str, fact: str, mend: str) -> UnusableFile:
    return UnusableFile(Finding(Level.FAILURE, subject, fact, mend))


def _cut_off(content: bytes) -> bool:
    return len(re.findall(rb"-----BEGIN ", content)) != len(re.findall(rb"-----END [A-Z0-9 ]+-----", content))

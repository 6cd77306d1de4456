"""A private authority, and the certificates that it issues for hosts: for a first run, a test, or a closed network.

Made so that the strictest verifiers accept them: ECDSA P-256, key identifiers, a subjectAltName, and nothing critical
that need not be. Knows no host and no settings.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connector_host.ownership import give_to_owner, make_folder, opened_folder
from connector_host.tls.names import Address, HostName, parse_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from connector_host.tls.identity import PrivateKey
    from connector_host.tls.names import Name

AUTHORITY_DAYS = 3_650
LEAF_DAYS = 397
"""Thirteen months: browsers' longest until 2026. Renewal is by itself, so it burdens nobody."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_BACKDATED = timedelta(minutes=5)
"""So that a client whose clock is a little behind accepts what was issued this minute."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its private key, which never shows in a text."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Return the private key as unencrypted PKCS#8 PEM."""
        return key_pem(self.key)


@dataclass(frozen=True, slots=True)
class IssuedFiles:
    """Where an authority and a host's certificate were written."""

    authority: Path
    """The trust anchor to give to clients."""
    authority_key: Path
    certificate: Path
    key: Path

    @classmethod
    def within(cls, folder: Path) -> IssuedFiles:
        """Return the names that `issue_files` uses in the folder."""
        return cls(
            folder / "authority.pem", folder / "authority-key.pem", folder / "certificate.pem", folder / "key.pem"
        )


def issue_authority(subject: str, now: datetime, *, days: int = AUTHORITY_DAYS) -> Issued:
    """Return a new self-signed authority that may issue hosts' certificates, and no further authorities."""
    key = make_key()
    name = _subject(subject)
    builder = (
        _started(name, name, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return Issued(builder.sign(key, _hash_for(key)), key)


def issue_leaf(  # noqa: PLR0913 - what a certificate says, each optional but the first three
    authority: Issued,
    host: str,
    now: datetime,
    *,
    also: Sequence[str] = (),
    days: int = LEAF_DAYS,
    key: PrivateKey | None = None,
) -> Issued:
    """Return a certificate for `host` and the names and addresses in `also`, with the key, or a new one.

    It never outlives its authority. Raises ConfigurationError for a name that is none.
    """
    names = distinct_names(host, also)
    key = key or make_key()
    issuer = authority.certificate
    days = min(days, (issuer.not_valid_after_utc - now).days)
    builder = (
        _started(_subject(str(names[0])), issuer.subject, key.public_key(), now, days)
        .add_extension(alternative_names(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_identifier(issuer), critical=False)
    )
    return Issued(builder.sign(authority.key, _hash_for(authority.key)), key)


def request_certificate(host: str, key: PrivateKey, *, also: Sequence[str] = ()) -> bytes:
    """Return a signing request (PKCS#10, PEM) for an authority of your own, with every name in its subjectAltName.

    Raises ConfigurationError for a name that is none.
    """
    names = distinct_names(host, also)
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject(str(names[0])))
        .add_extension(alternative_names(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, _hash_for(key)).public_bytes(serialization.Encoding.PEM)


def make_key(kind: Literal["ecdsa", "rsa"] = "ecdsa") -> PrivateKey:
    """Return a new private key: ECDSA P-256, or RSA with 3072 bits for authorities that take nothing else."""
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else rsa.generate_private_key(65_537, 3_072)


def key_pem(key: PrivateKey) -> bytes:
    """Return the private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def distinct_names(host: str, also: Sequence[str]) -> list[Name]:
    """Return the names in order, each once; raises ConfigurationError for a name that is none."""
    return list(dict.fromkeys(parse_name(text) for text in (host, *also)))


def alternative_names(names: Sequence[Name]) -> x509.SubjectAlternativeName:
    """Return the names as a certificate holds them."""
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def issue_files(  # noqa: PLR0913 - where to, for whom, and how, each optional but the first three
    folder: Path,
    host: str,
    now: datetime,
    *,
    also: Sequence[str] = LOOPBACK_NAMES,
    kind: Literal["ecdsa", "rsa"] = "ecdsa",
    replace: bool = False,
) -> IssuedFiles:
    """Write a new authority and a certificate for `host` into the folder, keys readable by the owner only.

    Raises FileExistsError where the folder already holds one of them, as `make_room` says; ConfigurationError for a
    name that is none, and OSError where nothing can be written.
    """
    files = IssuedFiles.within(folder)
    authority = issue_authority(f"connector-host authority of {parse_name(host)}", now)
    leaf = issue_leaf(authority, host, now, also=also, key=make_key(kind))
    make_folder(folder)
    make_room((files.authority, files.authority_key, files.certificate, files.key), replace=replace)
    write_private(files.authority_key, authority.key_pem)
    write_private(files.key, leaf.key_pem)
    write_public(files.certificate, leaf.certificate_pem)
    write_public(files.authority, authority.certificate_pem)
    return files


def make_room(files: Sequence[Path], *, replace: bool) -> None:
    """Keep each file that exists beside itself as *.old, where they may be replaced; else raise FileExistsError."""
    present = [path for path in files if path.exists()]
    if present and not replace:
        raise FileExistsError(f"{present[0]} exists.")
    for path in present:
        _keep(path)


def write_private(path: Path, content: bytes, *, give_away: bool = True) -> None:
    """Put the content there in one step, readable and writable by its owner only.

    What root writes belongs to whoever the old file or else the folder belongs to: the account of the service, which
    could not read it otherwise. Without `give_away` it stays root's.
    """
    _replace(path, content, 0o600, give_away=give_away)


def write_public(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put the content there in one step, readable by everybody; it belongs to whom `write_private` says."""
    _replace(path, content, mode, give_away=True)


def _keep(path: Path) -> None:
    """Name it *.old, too; no copy is made, which would hand over to a folder's owner what a link there leads to."""
    with opened_folder(path.parent) as folder:
        whole = path if folder is None else Path(path.name)
        draft, old = whole.with_name(f".{path.name}.{secrets.token_hex(4)}"), whole.with_name(f"{path.name}.old")
        try:
            os.link(whole, draft, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except (OSError, NotImplementedError):  # no hard links here: it is away for a moment
            os.replace(whole, old, src_dir_fd=folder, dst_dir_fd=folder)
            return
        try:
            os.replace(draft, old, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with suppress(FileNotFoundError):  # two names of one file are not renamed but left
                os.unlink(draft, dir_fd=folder)


def _replace(path: Path, content: bytes, mode: int, *, give_away: bool) -> None:
    with opened_folder(path.parent) as folder:
        whole = path if folder is None else Path(path.name)
        draft = whole.with_name(f".{path.name}.{secrets.token_hex(4)}")
        # Made with 0600, so a key is never readable by others, not even for a moment.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        handle = os.open(draft, flags, 0o600, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                if give_away:
                    give_to_owner(file.fileno(), folder, path.name)
                if sys.platform != "win32":
                    os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(draft, whole, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            raise


def _started(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _subject(text: str) -> x509.Name:
    # X.520 bounds the common name to 64 characters; the subjectAltName is what counts.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general_name(name: Name) -> x509.GeneralName:
    match name:
        case HostName(text):
            return x509.DNSName(text)
        case Address(value):
            return x509.IPAddress(value)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _hash_for(key: PrivateKey) -> hashes.SHA256 | None:
    """Return what a signature needs beside the key; the Edwards curves bring their own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()

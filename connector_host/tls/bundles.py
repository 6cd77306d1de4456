"""Certificates and keys in every form that an authority hands out: PEM, DER, PKCS#7, PKCS#12, in any order.

Turns them into what the host serves: the host's own certificate first, its issuers after it, and the key.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from connector_host.errors import Finding, Level
from connector_host.tls.chains import is_issued_by
from connector_host.tls.files import Identity, UnusableFile, read_file, unreadable
from connector_host.tls.identity import UNREADABLE, belongs_together, public_key, read_through
from connector_host.tls.issuing import key_pem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from connector_host.tls.identity import PrivateKey


class PassphraseNeeded(UnusableFile):
    """A key is encrypted, and no passphrase was given, or a wrong one."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was found in one or more files."""

    certificates: tuple[x509.Certificate, ...]
    keys: tuple[PrivateKey, ...] = field(repr=False)


def read_bundle(paths: Sequence[Path], passphrase: bytes | None = None) -> Bundle:
    """Read every file, whatever its form; raises UnusableFile for one that holds nothing of use."""
    parts = [_read(path, passphrase) for path in paths]
    return Bundle(
        tuple(dict.fromkeys(certificate for part in parts for certificate in part.certificates)),
        tuple(key for part in parts for key in part.keys),
    )


def arrange(bundle: Bundle) -> Identity:
    """Return the identity in the bundle: the certificate that a key belongs to, and its issuers in order.

    Raises UnusableFile where there is no certificate, no key, or no pair of them.
    """
    if not bundle.certificates:
        raise _unusable("certificate", "There is no certificate in these files.", "Give the certificate, too.")
    if not bundle.keys:
        mend = "Give the key with --key, or export the PKCS#12 file with its private key."
        raise _unusable("key", "There is no private key in these files.", mend)
    for key in bundle.keys:
        for certificate in bundle.certificates:
            if belongs_together(certificate, key):
                return Identity(_chain(certificate, bundle.certificates), key)
    if all(public_key(certificate) is None for certificate in bundle.certificates):
        mend = "Have it issued for an ECDSA P-256 key, or RSA with at least 2048 bits."
        raise _unusable("certificate", "The certificate's kind of key cannot be used for TLS.", mend)
    mend = "Give the key that the certificate was requested with."
    raise _unusable("key", "The private key belongs to none of these certificates.", mend)


def issuer_finding(identity: Identity, bundle: Bundle) -> Finding | None:
    """Return that the host would show its certificate alone, where nothing in the bundle issued it.

    A root that clients believe may stay away; an authority between it and the host may not (RFC 8446 §4.4.2). Which of
    them the issuer is, its name alone does not tell.
    """
    leaf = identity.certificate
    if len(identity.chain) > 1 or any(is_issued_by(leaf, other) for other in bundle.certificates):
        return None
    issuer = leaf.issuer.rfc4514_string() or "an authority without a name"
    fact = f"The certificate was issued by {issuer}, whose own certificate is not in these files."
    mend = (
        "Where that is no root that clients have, they will refuse the host: give it, too, as in "
        "`connector-host cert install CERTIFICATE ISSUER --key KEY`."
    )
    return Finding(Level.WARNING, "chain", fact, mend)


def pem_of(identity: Identity) -> tuple[bytes, bytes]:
    """Return the chain and the unencrypted key, as the host reads them."""
    chain = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in identity.chain)
    return chain, key_pem(identity.key)


def _chain(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Follow the issuers upwards; a self-signed root stays out, since clients believe their own copy only."""
    chain = [leaf]
    while issuer := next(
        (one for one in others if one not in chain and is_issued_by(chain[-1], one) and not is_issued_by(one, one)),
        None,
    ):
        chain.append(issuer)
    return tuple(chain)


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _read(path: Path, passphrase: bytes | None) -> Bundle:
    content = read_file(path, "certificate")
    try:
        bundle = _parsed(path, content, passphrase)
        for certificate in bundle.certificates:
            read_through(certificate)
    except UNREADABLE as failure:
        raise unreadable(path, failure) from failure
    return bundle


def _parsed(path: Path, content: bytes, passphrase: bytes | None) -> Bundle:
    """Return what is in the content; raises x509.InvalidVersion, too, whatever the form."""
    if b"-----BEGIN " in content:
        return _read_pem(path, content, passphrase)
    if len(content) < _announced(content):
        raise _unusable("certificate", f"{path} is cut off: it ends before it should.", "Copy the whole file again.")
    for read in (_read_der, _read_pkcs7):
        try:
            return read(content)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
    return _read_pkcs12(path, content, passphrase)


def _read_pem(path: Path, content: bytes, passphrase: bytes | None) -> Bundle:
    certificates: list[x509.Certificate] = []
    keys: list[PrivateKey] = []
    for block in _blocks(path, content):
        label = block.partition(b"-----BEGIN ")[2].partition(b"-----")[0]
        if label.endswith(b"PRIVATE KEY"):
            keys.append(_pem_key(path, block, passphrase))
            continue
        try:
            if label in {b"CERTIFICATE", b"TRUSTED CERTIFICATE", b"X509 CERTIFICATE"}:
                certificates.append(x509.load_pem_x509_certificate(block))
            elif label == b"PKCS7":
                certificates.extend(_loaded(pkcs7.load_pem_pkcs7_certificates, block))
        except (ValueError, UnsupportedAlgorithm) as failure:
            fact = f"A certificate in {path} cannot be read."
            raise _unusable("certificate", fact, "Copy the whole file again.") from failure
    return Bundle(tuple(certificates), tuple(keys))


def _pem_key(path: Path, block: bytes, passphrase: bytes | None) -> PrivateKey:
    encrypted = b"ENCRYPTED" in block
    if encrypted and passphrase is None:
        raise PassphraseNeeded(_finding("key", f"The key in {path} is encrypted.", _GIVE_PASSPHRASE))
    try:
        return _usable(serialization.load_pem_private_key(block, passphrase if encrypted else None))
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        fact = f"The key in {path} cannot be read{' with this passphrase' if encrypted else ''}."
        mend = _GIVE_PASSPHRASE if encrypted else "Copy the whole file again."
        raise _unusable("key", fact, mend) from failure


def _blocks(path: Path, content: bytes) -> list[bytes]:
    pieces = content.split(b"-----BEGIN ")[1:]
    if any(b"-----END " not in piece for piece in pieces):
        raise _unusable("certificate", f"{path} is cut off: a PEM block has no end.", "Copy the whole file again.")
    return [b"-----BEGIN " + piece for piece in pieces]


def _announced(content: bytes) -> int:
    """Return how long a file that is one ASN.1 sequence says that it is (X.690 §8.1.3), 0 for any other."""
    if content[:1] != b"\x30" or len(content) < _HEADER:
        return 0
    size = content[1] - 0x80
    return _HEADER + content[1] if size <= 0 else _HEADER + size + int.from_bytes(content[2 : 2 + size], "big")


_HEADER = 2
"""Octets of tag and length at the least."""


def _read_der(content: bytes) -> Bundle:
    try:
        return Bundle((x509.load_der_x509_certificate(content),), ())
    except ValueError:
        return Bundle((), (_usable(serialization.load_der_private_key(content, None)),))


def _read_pkcs7(content: bytes) -> Bundle:
    return Bundle(tuple(_loaded(pkcs7.load_der_pkcs7_certificates, content)), ())


def _loaded(load: Callable[[bytes], list[x509.Certificate]], content: bytes) -> list[x509.Certificate]:
    """Load PKCS#7, also where its certificates are unsorted, as OpenSSL leaves them: of that the library warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return load(content)


def _read_pkcs12(path: Path, content: bytes, passphrase: bytes | None) -> Bundle:
    try:
        loaded = pkcs12.load_pkcs12(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        if content[:1] == b"\x30":  # an ASN.1 sequence, so it is most likely PKCS#12
            fact = f"{path} cannot be opened {'without a' if passphrase is None else 'with this'} passphrase."
            raise PassphraseNeeded(_finding("key", fact, _GIVE_PASSPHRASE)) from failure
        fact = f"{path} is neither PEM, DER, PKCS#7 nor PKCS#12."
        raise _unusable("certificate", fact, "Export it again in one of these forms.") from failure
    found = [loaded.cert, *loaded.additional_certs]
    keys = () if loaded.key is None else (_usable(loaded.key),)
    return Bundle(tuple(one.certificate for one in found if one is not None), keys)


def _usable(key: object) -> PrivateKey:
    if isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    ):
        return key
    raise ValueError("This kind of key is not used in TLS.")


_GIVE_PASSPHRASE = "Give the right passphrase, for example with --passphrase-file."  # noqa: S105 - advice, no secret


def _finding(subject: str, fact: str, mend: str) -> Finding:
    return Finding(Level.FAILURE, subject, fact, mend)


def _unusable(subject: str, fact: str, mend: str) -> UnusableFile:
    return UnusableFile(_finding(subject, fact, mend))

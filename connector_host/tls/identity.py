"""Whether a certificate may stand for a host: findings that a person can act on, never a bare False.

Says nothing about who issued the certificate: that is `chains`, and a TLS client's trust anchor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from service_identity import CertificateError
from service_identity.hazmat import DNS_ID, DNSPattern

from connector_host.errors import ConfigurationError, Finding, Level
from connector_host.tls.names import Address, HostName, parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from connector_host.tls.names import Name

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
"""The kinds of key that a TLS 1.3 certificate may have."""

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""All that the library raises for what it cannot read in a certificate; most of them are no ValueErrors."""

RSA_BITS = 2048
CURVE_BITS = 256
EXPIRY_WARNING_DAYS = (60, 30, 7, 1)
EXPIRED = -1
"""The days that are left once a certificate has ended."""
"""Days before the end at which an administrator is warned again."""

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
"""RFC 8446 §4.2.3; a host with any other would start, and nobody could connect."""
_WEAK_HASHES = frozenset({"md5", "sha1"})


HOST_SECTION = "[host]"
"""The part of the configuration where a host's name and certificate stand, where the caller names no other."""


def verify_identity(
    certificate: x509.Certificate, key: PrivateKey | None, host: str, now: datetime, *, section: str = HOST_SECTION
) -> list[Finding]:
    """Return what is so about the certificate as the identity of `host`; a FAILURE means: do not believe it.

    `key` is the private key that shall go with it, or None where only the other end has it. `now` is aware.
    Checks the subject (RFC 9525 §6), the dates, the key's match and strength, and the extended key usage.
    """
    try:
        read_through(certificate)
    except UNREADABLE as failure:
        return [Finding(Level.FAILURE, "certificate", f"The certificate cannot be read: {failure}.", PLAIN_CERTIFICATE)]
    return [
        _name_finding(certificate, host, section),
        _date_finding(certificate, now),
        *(() if key is None or public_key(certificate) is None else [_key_finding(certificate, key)]),
        *_strength_findings(certificate),
        *_usage_findings(certificate),
    ]


def read_through(certificate: x509.Certificate) -> None:
    """Raise one of UNREADABLE now for what the library parses on first access only; keys are `public_key`'s."""
    _ = certificate.extensions, certificate.subject, certificate.issuer


PLAIN_CERTIFICATE = (
    "Have it issued anew: X.509 version 3, each extension once, and DNS names and IP addresses only as subjectAltName."
)


def public_key(certificate: x509.Certificate) -> PublicKey | None:
    """Return the certificate's key, or None where it is none that TLS uses, or cannot be read."""
    try:
        key = certificate.public_key()
    except UNREADABLE:
        return None
    match key:
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return key
        case _:
            return None


def belongs_together(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Return whether the private key is the certificate's own."""
    public = public_key(certificate)
    return public is not None and _public_bytes(public) == _public_bytes(key.public_key())


def subject_names(certificate: x509.Certificate) -> list[str]:
    """Return the names and addresses of the subjectAltName as text; empty where there is none."""
    names = _alternative_names(certificate)
    if names is None:
        return []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Return the whole days until the certificate ends; negative once it has ended."""
    return (certificate.not_valid_after_utc - now).days


def warning_days(certificate: x509.Certificate) -> int:
    """Return how many days before its end a certificate is worth a warning.

    60, but never more than a third of its life: certificates that live for 90 days and renew themselves at 30
    would otherwise cry wolf for most of their life.
    """
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return min(EXPIRY_WARNING_DAYS[0], life.days // 3)


def warning_passed(certificate: x509.Certificate, left: int) -> int | None:
    """Return which of 60, 30, 7 and 1 days was passed last where so many are left, or EXPIRED; None while none is due.

    Who warns does so once for each; of these days, those count that fit the certificate's life.
    """
    if left > warning_days(certificate):
        return None
    return min((days for days in (*EXPIRY_WARNING_DAYS, EXPIRED) if left <= days), default=None)


# ── the subject ───────────────────────────────────────────────────────────────────────────────────────────────────


def _name_finding(certificate: x509.Certificate, host: str, section: str) -> Finding:
    try:
        wanted = parse_name(host)
    except ConfigurationError as failure:
        return Finding(
            Level.FAILURE, "host name", str(failure), f"Set `name` in {section} to the name that clients use."
        )
    alternative = _alternative_names(certificate)
    if alternative is None:
        return _common_name_finding(certificate, wanted)
    if _matches(alternative, wanted):
        return Finding(Level.OK, "subject", f"The certificate is for {wanted}.")
    held = ", ".join(subject_names(certificate)) or "no host at all"
    return Finding(
        Level.FAILURE,
        "subject",
        f"The certificate is for {held}, not for {wanted}.",
        f"Use a certificate whose subjectAltName has {wanted}, or set `name` in {section} to one of its names.",
    )


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _matches(names: x509.SubjectAlternativeName, wanted: Name) -> bool:
    match wanted:
        case Address(value):
            return value in names.get_values_for_type(x509.IPAddress)
        case HostName(text):
            return any(_pattern_matches(pattern, text) for pattern in names.get_values_for_type(x509.DNSName))


def _pattern_matches(pattern: str, host: str) -> bool:
    """Compare by RFC 9525 §6.3: a wildcard is the whole left-most label and stands for exactly one label."""
    try:
        # One name at a time: a single odd name in a certificate must not hide the good ones.
        return DNS_ID(host).verify(DNSPattern.from_bytes(pattern.removesuffix(".").encode("ascii")))
    except (CertificateError, ValueError):
        return False


def _common_name_finding(certificate: x509.Certificate, wanted: Name) -> Finding:
    # RFC 9525 §2 retired the common name; browsers, Go and Entra ignore it. DESIGN §2.4 lets it pass with a warning.
    names = [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    mend = f"Replace it with a certificate whose subjectAltName has {wanted}: most clients ignore the common name."
    match wanted:
        case HostName(text) if any(_pattern_matches(name, text) for name in names if name.isascii()):
            fact = f"The certificate names {wanted} in its common name only; it has no subjectAltName."
            return Finding(Level.WARNING, "subject", fact, mend)
        case _:
            fact = f"The certificate has no subjectAltName, and its common name is not {wanted}."
            return Finding(Level.FAILURE, "subject", fact, mend)


# ── dates, key, strength, usage ───────────────────────────────────────────────────────────────────────────────────


def _date_finding(certificate: x509.Certificate, now: datetime) -> Finding:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left = days_left(certificate, now)
    if now < begin:
        mend = "Check this machine's clock, or wait."
        return Finding(Level.FAILURE, "dates", f"The certificate is not valid before {begin:%Y-%m-%d %H:%M} UTC.", mend)
    if now > end:
        return Finding(Level.FAILURE, "dates", f"The certificate expired on {end:%Y-%m-%d %H:%M} UTC.", _RENEW)
    if left <= warning_days(certificate):
        return Finding(Level.WARNING, "dates", f"The certificate expires on {end:%Y-%m-%d}, in {left} days.", _RENEW)
    return Finding(Level.OK, "dates", f"The certificate is valid until {end:%Y-%m-%d}, for {left} more days.")


_RENEW = "Get a new certificate, or run `connector-host cert renew` for one that this product issued."


def _key_finding(certificate: x509.Certificate, key: PrivateKey) -> Finding:
    if belongs_together(certificate, key):
        return Finding(Level.OK, "key", "The private key belongs to the certificate.")
    return Finding(Level.FAILURE, "key", "The private key does not belong to the certificate.", KEY_MEND)


KEY_MEND = "Give the key that the certificate was requested with; certificate and key are often mixed up on renewal."


def _public_bytes(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _strength_findings(certificate: x509.Certificate) -> Iterator[Finding]:
    mend = "Use an ECDSA P-256 key, or RSA with at least 2048 bits."
    match public_key(certificate):
        case rsa.RSAPublicKey(key_size=size) if size < RSA_BITS:
            fact = f"The certificate's RSA key has {size} bits; at least {RSA_BITS} are needed."
            yield Finding(Level.FAILURE, "key strength", fact, mend)
        case ec.EllipticCurvePublicKey(key_size=size) if size < CURVE_BITS:
            fact = f"The certificate's curve has {size} bits; at least {CURVE_BITS} are needed."
            yield Finding(Level.FAILURE, "key strength", fact, mend)
        case ec.EllipticCurvePublicKey(curve=curve) if curve.name not in _CURVES:
            fact = f"The certificate's curve {curve.name} is none that TLS clients offer."
            yield Finding(Level.FAILURE, "key strength", fact, mend)
        case None:
            yield Finding(Level.FAILURE, "key strength", "The certificate's kind of key cannot be used for TLS.", mend)
        case _:
            pass
    try:
        hash_algorithm = certificate.signature_hash_algorithm
    except UNREADABLE:
        fact = "The certificate is signed by an algorithm that TLS clients do not know."
        yield Finding(Level.FAILURE, "key strength", fact, "Have it issued anew, signed with ECDSA or RSA and SHA-256.")
        return
    if hash_algorithm is not None and hash_algorithm.name in _WEAK_HASHES:
        fact = f"The certificate is signed with {hash_algorithm.name.upper()}, which clients refuse."
        yield Finding(Level.FAILURE, "key strength", fact, "Have it issued anew with SHA-256.")


def _usage_findings(certificate: x509.Certificate) -> Iterator[Finding]:
    mend = "Have it issued for server authentication (extendedKeyUsage serverAuth)."
    for extension in certificate.extensions:
        match extension.value:
            case x509.ExtendedKeyUsage() as usages if not _SERVER_USAGES & set(usages):
                fact = "The certificate is not for servers: its extended key usage lacks serverAuth."
                yield Finding(Level.FAILURE, "usage", fact, mend)
            case x509.KeyUsage(digital_signature=False):
                fact = "The certificate's key usage lacks digitalSignature, which TLS 1.3 needs."
                yield Finding(Level.FAILURE, "usage", fact, mend)
            case x509.BasicConstraints(ca=True):
                fact = "The certificate is a certificate authority; strict clients refuse it as a host's."
                yield Finding(Level.WARNING, "usage", fact, "Issue a certificate for the host from it, and serve that.")
            case _:
                pass


_SERVER_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}

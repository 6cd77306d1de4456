"""A certificate as a person reads it: a few facts by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from connector_host.tls.chains import common_name, is_issued_by
from connector_host.tls.identity import days_left, public_key, subject_names

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509


def describe(certificate: x509.Certificate, now: datetime) -> dict[str, str | list[str]]:
    """Return subject, names, issuer, dates, key, and SHA-256 fingerprint, in the order of reading."""
    issuer = "itself" if is_issued_by(certificate, certificate) else certificate.issuer.rfc4514_string()
    return {
        "subject": common_name(certificate),
        "names": subject_names(certificate),
        "issuer": issuer,
        "valid_from": f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
        "valid_until": f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC ({days_left(certificate, now)} days)",
        "key": _key(certificate),
        "fingerprint": certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    }


def _key(certificate: x509.Certificate) -> str:
    match public_key(certificate):
        case ec.EllipticCurvePublicKey(curve=curve):
            return f"ECDSA {curve.name}"
        case rsa.RSAPublicKey(key_size=size):
            return f"RSA {size} bits"
        case None:
            return "of a kind that TLS does not use"
        case other:
            return type(other).__name__.removesuffix("PublicKey").lstrip("_")

"""Certificates with one thing wrong at a time, which no issuer of ours would make."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connector_host.tls.issuing import Issued, write_private, write_public

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CLIENT_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
SIGNED_WITH_SHA1 = x509.load_pem_x509_certificate(b"""\
-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIUH+wd8E5GghEMtvABfYk1PwvJ1OowCQYHKoZIzj0EATAP
MQ0wCwYDVQQDDARzaGExMCAXDTI2MTEyMzE1MzQyNloYDzIxMjYxMDMwMTUzNDI2
WjAPMQ0wCwYDVQQDDARzaGExMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEang6
c6DBHsVtSIBUiKW7yLWMm6ZHAdb4uiEVUwpxaVsjPe0lSwYcmnw9UMhhYFZaLZ0m
joI4ZF0kQMQYEVDgNqNuMGwwHQYDVR0OBBYEFKTc/zj4HQmMyzMGpxQ8o39Gwsf+
MB8GA1UdIwQYMBaAFKTc/zj4HQmMyzMGpxQ8o39Gwsf+MA8GA1UdEwEB/wQFMAMB
Af8wGQYDVR0RBBIwEIIOaHIuZXhhbXBsZS5vcmcwCQYHKoZIzj0EAQNJADBGAiEA
2px2Ks91FGaLjKi9rMwGkzfT2IHagJDh6bGZzexYygsCIQDgy/9lUcevrBkLdEu7
HKqvyX5ohybGCib82RDnQHIe7w==
-----END CERTIFICATE-----
""")
"""For hr.example.org until 2126; the library that reads it refuses to make one."""
ANY_USAGE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])


def self_signed(*names, common_name="somebody", key=None, begin=-1, end=365, extensions=()):
    """Return a certificate and its key; `begin` and `end` are days from NOW, no names is no subjectAltName."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=begin))
        .not_valid_after(NOW + timedelta(days=end))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()), key


def issue_between(authority, common_name):
    """Return an authority that another one issued."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Issued(builder.sign(authority.key, hashes.SHA256()), key)


def write_client(folder, **changes):
    """Write a client's self-signed certificate and its key into a folder, which is made; return both paths."""
    folder.mkdir(exist_ok=True)
    certificate, key = self_signed("agent", **({"extensions": [CLIENT_ONLY], "begin": -900, "end": 9000} | changes))
    client, files = Issued(certificate, key), (folder / "client.pem", folder / "client.key")
    write_public(files[0], client.certificate_pem)
    write_private(files[1], client.key_pem)
    return files


def _general(name):
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def small_rsa_key():
    return rsa.generate_private_key(65_537, 1024)  # noqa: S505 - too small is the point


X400_NAME = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x0f\x82\x09localhost\xa3\x02\x30\x00")
"""A subjectAltName for localhost with an X.400 address beside it, which the library reads as no name."""


def odd_certificates(certificate):
    """Return what an ECDSA P-256 certificate is called and becomes where one octet of it is one nobody knows."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    changes = {
        "curve": ("06082a8648ce3d030107", "06082a8648ce3d030108"),
        "kind of key": ("06072a8648ce3d0201", "06072a8648ce3d0209"),
        "signature": ("06082a8648ce3d040302", "06082a8648ce3d04030a"),
        "version": ("a003020102", "a003020109"),
    }
    return {name: der.replace(bytes.fromhex(old), bytes.fromhex(new)) for name, (old, new) in changes.items()}


def armoured(der):
    """Return a DER certificate in PEM form, whatever it holds."""
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"

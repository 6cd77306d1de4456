"""Ed25519 keys as files: the private one for its owner only, the public one for the host, and the id of both.

The id is the SHA-256 of the 32 bytes of the public key, base64url without padding: it follows from the key, so no two
sides can disagree about it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from connector_host.errors import ConfigurationError
from connector_host.small_files import read_small
from connector_host.tls.issuing import write_private, write_public

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What a signer holds."""

    id: str
    private: Ed25519PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new pair of keys."""

    id: str
    public_file: Path


def make_key(file: Path) -> MadeKey:
    """Write a new private key to this file, and the public one beside it as `FILE.pub`.

    Raises ConfigurationError where there is one already: whoever trusts it must not find another in its place.
    """
    public_file = file.with_name(f"{file.name}.pub")
    for there in (file, public_file):
        if there.exists():
            raise ConfigurationError(f"{there}: is there already; name another file, or move that one away first.")
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    try:
        write_private(file, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        write_public(public_file, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    except OSError as failure:
        raise ConfigurationError(f"{file}: cannot be written ({failure.strerror}).") from failure
    return MadeKey(id_of(public), public_file)


def load_key(file: Path) -> SigningKey:
    """Return the private key in this file; raises ConfigurationError where it is none, or others may read it."""
    try:
        key = load_pem_private_key(read_small(file), password=None)
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise ConfigurationError(f"{file}: others may read this private key: chmod 600 {file}")
    except OSError as failure:
        raise ConfigurationError(f"{file}: cannot be read ({failure.strerror}).") from failure
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        raise ConfigurationError(f"{file}: is no private key in PEM form without a password.") from failure
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{file}: is no Ed25519 key: make one with `connector-host signing new`.")
    return SigningKey(id_of(key.public_key()), key)


def load_public_key(file: Path) -> Ed25519PublicKey:
    """Return the public key in this file; raises ConfigurationError where it is none."""
    try:
        key = load_pem_public_key(read_small(file))
    except OSError as failure:
        raise ConfigurationError(f"{file}: cannot be read ({failure.strerror}).") from failure
    except (ValueError, UnsupportedAlgorithm) as failure:
        raise ConfigurationError(f"{file}: is no public key in PEM form; the private one stays with the signer.") from (
            failure
        )
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{file}: is no Ed25519 key.")
    return key


def id_of(key: Ed25519PublicKey) -> str:
    """Return the id of a public key."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()

"""NATS' keys (nkeys), read from a seed or a credentials file; knows neither connections nor settings.

An nkey is an Ed25519 key: the server sends a nonce, and who holds the seed signs it.

    seed          SU…, base32 of: two bytes that say "seed of a user", 32 bytes of the private key, CRC-16 of all that
    public key    U…, base32 of: one byte that says "user", 32 bytes of the public key, CRC-16
    credentials   the user's JWT, which an account signed, and the seed that belongs to it, each between two lines
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.errors import AgentError

_SEED: Final = 18 << 3
_USER: Final = 20 << 3
_SEED_BYTES: Final = 36
_CRC_BYTES: Final = 2
_PART: Final = r"-+BEGIN {0}-+\s+([^\s-]\S*)\s+-+END {0}-+"
_JWT: Final = re.compile(_PART.format("NATS USER JWT"))
_SEED_PART: Final = re.compile(_PART.format("USER NKEY SEED"))


class NoNkey(AgentError):
    """A text is no seed, or no credentials, of a user; says why, and nothing of what stands there."""


@dataclass(frozen=True, slots=True)
class Nkey:
    """A user's key, and the JWT that says whose it is, where the server knows accounts and not this key."""

    public: str
    private: Ed25519PrivateKey = field(repr=False)
    jwt: str = field(default="", repr=False)
    ends_s: int = 0
    """When the JWT ends, in seconds since 1970; 0 is never."""

    def sign(self, nonce: str) -> bytes:
        """Return the signed nonce, as the server wants it."""
        return base64.b64encode(self.private.sign(nonce.encode()))


def read_seed(text: str) -> Nkey:
    """Return the key of a user's seed; raises NoNkey."""
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    kind = (raw[0] & 0xF8, (raw[0] & 0x07) << 5 | raw[1] >> 3) if len(raw) == _SEED_BYTES else None
    if kind != (_SEED, _USER) or _crc(raw[:-_CRC_BYTES]) != raw[-_CRC_BYTES:]:
        raise NoNkey("holds no seed of a user's nkey: that begins with SU, and has 58 letters and digits")
    private = Ed25519PrivateKey.from_private_bytes(raw[2:-_CRC_BYTES])
    public = bytes((_USER,)) + private.public_key().public_bytes_raw()
    return Nkey(base64.b32encode(public + _crc(public)).decode().rstrip("="), private)


def read_credentials(text: str) -> Nkey:
    """Return key and JWT of a user's credentials; raises NoNkey. Who signed the JWT is the server's to judge."""
    jwt, seed = _JWT.search(text), _SEED_PART.search(text)
    if jwt is None or seed is None:
        raise NoNkey("holds no credentials of a user, as `nsc generate creds` writes them")
    nkey, claims = read_seed(seed[1]), _claims(jwt[1])
    if claims.sub != nkey.public:
        raise NoNkey("holds a seed that does not belong to its JWT")
    return replace(nkey, jwt=jwt[1], ends_s=claims.exp)


class _Claims(msgspec.Struct):
    """What of a user's JWT matters here."""

    sub: str = ""
    exp: int = 0


def _claims(jwt: str) -> _Claims:
    """Return what the JWT says, nothing where it cannot be read."""
    payload = jwt.split(".")[1] if jwt.count(".") == 2 else ""  # noqa: PLR2004 - header, payload, signature
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims)
    except (msgspec.MsgspecError, ValueError):
        return _Claims()


def _crc(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0).to_bytes(_CRC_BYTES, "little")

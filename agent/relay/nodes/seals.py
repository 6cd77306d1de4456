"""What relay nodes say to each other is sealed: whoever runs NATS can read, forge and replay nothing.

All nodes hold the same authority for agents; its private key is the secret that they share. Every key here is derived
from it (HKDF, RFC 5869), so a node with another authority, and anybody with a login at NATS, stays outside.

    among all nodes     one key, a random nonce for each message: beats, and the two messages that begin a session
    session             two keys, one each way, out of what both ends contributed; the nonce counts the messages, so
                        none can be left out, repeated or moved into another session
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.errors import AgentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from agent.relay.nodes.messages import Accepted, Opening

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32

_CONTEXT: Final = b"provisioning relay nodes v1: "


class Unsealed(AgentError):
    """A message was not sealed by a node of this relay, or was changed on its way."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The keys of one session, as one end uses them."""

    outgoing: AESGCM
    incoming: AESGCM


class Seals:
    """Seals and opens what all nodes may read, and makes the keys of sessions."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        numbers = key.private_numbers()
        self._secret = numbers.private_value.to_bytes((key.key_size + 7) // 8, "big")
        self._common = AESGCM(self._derive(b"common", KEY_BYTES))

    def seal(self, plain: bytes, label: bytes) -> bytes:
        """Return a message that every node can open; the label says what it is, and is sealed with it."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._common.encrypt(nonce, plain, label)

    def open(self, sealed: bytes, label: bytes) -> bytes:
        """Return what was sealed; raises Unsealed."""
        try:
            return self._common.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], label)
        except (InvalidTag, ValueError) as failure:
            raise Unsealed("the message was not sealed by a node with this relay's authority") from failure

    def session(self, opening: Opening, accepted: Accepted, *, opener: bool) -> SessionKeys:
        """Return the keys of the session that began with these two messages."""
        said = b"|".join((opening.sender.encode(), opening.session, opening.nonce, accepted.sender.encode()))
        both = self._derive(b"session " + said + b"|" + accepted.nonce, 2 * KEY_BYTES)
        forth, back = AESGCM(both[:KEY_BYTES]), AESGCM(both[KEY_BYTES:])
        return SessionKeys(forth, back) if opener else SessionKeys(back, forth)

    def _derive(self, purpose: bytes, size_bytes: int) -> bytes:
        return HKDF(hashes.SHA256(), size_bytes, salt=None, info=_CONTEXT + purpose).derive(self._secret)

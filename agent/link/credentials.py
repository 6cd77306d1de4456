"""Who an agent is, by its certificate: the name inside it, and the proof that it holds the key.

The proof signs a challenge of the relay, for where a load balancer ends the TLS and the client certificate with it.
Says nothing about who issued a certificate: that is the relay's authority.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from connector_host.tls.identity import UNREADABLE, public_key

CHALLENGE_BYTES: Final = 32

_URN: Final = re.compile(r"urn:provisioning-agent:(?P<tenant>[a-z0-9-]{1,63}):(?P<agent>[0-9a-f]{32})")
_CONTEXT: Final = b"provisioning-agent link proof v1\n"


@dataclass(frozen=True, slots=True)
class AgentName:
    """Which agent of which tenant; the relay's own authority puts it into the certificate."""

    tenant: str
    agent: str
    """32 hex digits, given at enrolment."""

    @property
    def urn(self) -> str:
        """Return the name as it stands in the certificate's subjectAltName."""
        return f"urn:provisioning-agent:{self.tenant}:{self.agent}"


def name_in(certificate: x509.Certificate) -> AgentName | None:
    """Return the agent that the certificate names, or None where it names none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return None
    for text in names.get_values_for_type(x509.UniformResourceIdentifier):
        if match := _URN.fullmatch(text):
            return AgentName(match["tenant"], match["agent"])
    return None


def prove(key: ec.EllipticCurvePrivateKey, challenge: bytes) -> bytes:
    """Return the proof that this key is at hand, for this challenge only."""
    return key.sign(_CONTEXT + challenge, ec.ECDSA(hashes.SHA256()))


def is_proven(certificate: x509.Certificate, challenge: bytes, proof: bytes) -> bool:
    """Return whether whoever made the proof holds the certificate's key."""
    public = public_key(certificate)
    if not isinstance(public, ec.EllipticCurvePublicKey) or len(challenge) != CHALLENGE_BYTES:
        return False
    try:
        public.verify(proof, _CONTEXT + challenge, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True

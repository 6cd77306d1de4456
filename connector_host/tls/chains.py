"""Whether the certificates of one file follow one another, from the host's own up to an authority.

Says nothing about trust: which authority to believe is the client's choice.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from connector_host.errors import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509


def verify_chain(chain: Sequence[x509.Certificate], now: datetime) -> list[Finding]:
    """Return what is so about a chain that should start with the host's own certificate; one alone is no finding.

    Each certificate must be issued by the next one (RFC 5246 §7.4.2), and none of the issuers may have expired.
    """
    findings = [] if len(chain) < _A_CHAIN else [_order_finding(chain)]
    findings.extend(
        Finding(
            Level.FAILURE,
            "chain",
            f"The issuer {common_name(issuer)} in the chain is not valid now.",
            "Replace the chain with the issuer's present one.",
        )
        for issuer in chain[1:]
        if not issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc
    )
    return findings


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether the issuer's name and signature are on the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def common_name(certificate: x509.Certificate) -> str:
    """Return what a person would call the certificate: its subject as one line."""
    return certificate.subject.rfc4514_string() or "without a subject"


_A_CHAIN = 2


def _order_finding(chain: Sequence[x509.Certificate]) -> Finding:
    if all(is_issued_by(lower, upper) for lower, upper in pairwise(chain)):
        return Finding(Level.OK, "chain", f"The chain of {len(chain)} certificates is in order.")
    if all(any(is_issued_by(lower, upper) for upper in chain) for lower in chain[:-1]):
        fact = "The chain is in the wrong order."
    else:
        fact = "The chain has a certificate that none of the others issued."
    mend = "Put the host's own certificate first, then the one that issued it, and so on; leave out what is not part."
    return Finding(Level.FAILURE, "chain", fact, mend)

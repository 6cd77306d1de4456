"""Renewing a certificate that this product issued itself, in time and without anybody's help."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from connector_host.errors import Finding, Level
from connector_host.tls.chains import is_issued_by
from connector_host.tls.files import Identity, UnusableFile, load_chain, load_identity, load_key
from connector_host.tls.identity import EXPIRY_WARNING_DAYS, days_left, subject_names
from connector_host.tls.issuing import Issued, IssuedFiles, issue_leaf, write_public

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

RENEWAL_SHARE = 3
"""A certificate is renewed once less than this part of its life is left: a third, as ACME clients do."""


def own_authority(certificate: Path) -> Issued | None:
    """Return the authority that issued the certificate, where it stands beside it with its key; else None."""
    files = IssuedFiles.within(certificate.parent)
    if not all(os.access(file, os.F_OK) for file in (files.authority, files.authority_key)):
        return None
    try:
        authority = Issued(load_chain(files.authority)[0], load_key(files.authority_key))
        return authority if is_issued_by(load_chain(certificate)[0], authority.certificate) else None
    except UnusableFile:
        return None


def is_due(identity: Identity, now: datetime) -> bool:
    """Return whether it is time to renew."""
    certificate = identity.certificate
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return days_left(certificate, now) < life.days // RENEWAL_SHARE


def renew(certificate: Path, key: Path, now: datetime) -> bool:
    """Issue the certificate anew for the same names, and return whether it was this product that had issued it.

    The private key stays, so that one file is exchanged in one step, and a crash never leaves a certificate
    with a key that is not its own. Raises UnusableFile, also where the authority ends with the certificate, or OSError,
    with the old state untouched.
    """
    authority = own_authority(certificate)
    if authority is None:
        return False
    if _end_together(load_chain(certificate)[0], authority.certificate):
        raise UnusableFile(_ending(authority.certificate, Level.FAILURE))
    identity = load_identity(certificate, key)
    if not (names := subject_names(identity.certificate)):
        fact = f"{certificate} names no host in a subjectAltName, so that no new one can be made for the same names."
        mend = "Issue one for the host's name with `connector-host cert issue`."
        raise UnusableFile(Finding(Level.FAILURE, "certificate", fact, mend))
    host, *also = names
    issued = issue_leaf(authority, host, now, also=also, key=identity.key)
    write_public(certificate, issued.certificate_pem)
    return True


def check_own_authority(certificate: Path, now: datetime) -> list[Finding]:
    """Return a warning where the authority that issued the certificate ends soon; no renewal helps against that."""
    authority = own_authority(certificate)
    if authority is None or days_left(authority.certificate, now) > EXPIRY_WARNING_DAYS[0]:
        return []
    return [_ending(authority.certificate, Level.WARNING)]


def _end_together(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    # A certificate has whole days of its authority's life, so that a new one would be less than a day longer.
    return authority.not_valid_after_utc - certificate.not_valid_after_utc < timedelta(days=1)


def _ending(authority: x509.Certificate, level: Level) -> Finding:
    fact = f"The private authority itself ends on {authority.not_valid_after_utc:%Y-%m-%d}; no certificate outlives it."
    mend = "Make a new one with `connector-host cert issue --force`, and give its authority.pem to agent and clients."
    return Finding(level, "authority", fact, mend)

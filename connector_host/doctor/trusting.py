"""What to trust when the host is asked from its own machine: the issuer of its certificate, where that is here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from connector_host.tls.issuing import IssuedFiles
from connector_host.tls.renewal import own_authority

if TYPE_CHECKING:
    from pathlib import Path


def trust_of(certificate: Path) -> Path | None:
    """Return the private authority beside the certificate, or the chain in its file, as the trust anchor.

    A certificate on this machine's own disk is the best proof of which one the host should show; whether others
    believe it is for `cert check`, and for the probe through the relay.
    """
    if own_authority(certificate) is not None:
        return IssuedFiles.within(certificate.parent).authority
    return certificate if os.access(certificate, os.R_OK) else None

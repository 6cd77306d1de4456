"""Which certificate a new configuration uses: the one that was given, one that is there, or one issued for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host import clock
from connector_host.errors import ConfigurationError, failures
from connector_host.tls.files import check_identity
from connector_host.tls.issuing import IssuedFiles, issue_files

if TYPE_CHECKING:
    from pathlib import Path


def certificate_for(host: str, certificate: Path | None, key: Path | None, folder: Path) -> tuple[Path, Path]:
    """Return absolute paths of certificate and key; where none is given, what the folder has or gets now.

    Raises ConfigurationError where only one of the two is given, or where the folder's own is not for this host.
    """
    if (certificate is None) != (key is None):
        raise ConfigurationError("Give both --certificate and --key, or neither.")
    if certificate is not None and key is not None:
        return certificate.absolute(), key.absolute()
    files = IssuedFiles.within(folder.absolute())
    try:
        if not (files.authority.exists() or files.certificate.exists()):
            issue_files(folder.absolute(), host, clock.now())
    except FileExistsError as failure:
        raise ConfigurationError(f"{failure} Give another folder with --issue-certificate.") from failure
    except OSError as failure:
        raise ConfigurationError(f"{folder}: cannot be written ({failure.strerror}).") from failure
    if refused := failures(check_identity(files.certificate, files.key, host, clock.now())):
        raise ConfigurationError(
            f"{files.certificate}: {refused[0].fact} Give another folder with --issue-certificate."
        )
    return files.certificate, files.key

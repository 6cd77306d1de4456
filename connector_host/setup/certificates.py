"""Which certificate a new configuration uses: the one that was given, one that is there, or one to be issued for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector_host import clock
from connector_host.errors import ConfigurationError, failures
from connector_host.tls.files import check_identity
from connector_host.tls.issuing import IssuedFiles, issue_files
from connector_host.tls.names import parse_name

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """The files of a host's identity, which may still have to be issued."""

    certificate: Path
    key: Path
    issue_into: Path | None = None
    """The folder that they are issued into, where it has none yet."""


def certificate_for(host: str, certificate: Path | None, key: Path | None, folder: Path) -> HostCertificate:
    """Return the certificate that was given, or the folder's own, or the one that is to be issued there.

    Writes nothing. Raises ConfigurationError where only one of the two files is given, or where what is there may not
    stand for this host.
    """
    parse_name(host)
    if (certificate is None) != (key is None):
        raise ConfigurationError("Give both --certificate and --key, or neither.")
    if certificate is not None and key is not None:
        given = HostCertificate(certificate.absolute(), key.absolute())
        _judge(given, host, "Or leave both options out, and one is issued.")
        return given
    files = IssuedFiles.within(folder.absolute())
    if not (files.authority.exists() or files.certificate.exists()):
        if left := next((path for path in (files.authority_key, files.key) if path.exists()), None):
            raise ConfigurationError(f"{left} exists. {_ANOTHER_FOLDER}")
        return HostCertificate(files.certificate, files.key, issue_into=folder.absolute())
    own = HostCertificate(files.certificate, files.key)
    _judge(own, host, _ANOTHER_FOLDER)
    return own


def issue(folder: Path, host: str) -> None:
    """Issue what a HostCertificate lacks; raises ConfigurationError, and never replaces anything."""
    try:
        issue_files(folder, host, clock.now())
    except FileExistsError as failure:
        raise ConfigurationError(f"{failure} {_ANOTHER_FOLDER}") from failure
    except OSError as failure:
        raise ConfigurationError(f"{folder}: cannot be written ({failure.strerror}).") from failure


_ANOTHER_FOLDER = "Give another folder with --issue-certificate."


def _judge(chosen: HostCertificate, host: str, otherwise: str) -> None:
    if refused := failures(check_identity(chosen.certificate, chosen.key, host, clock.now())):
        fact = f"{chosen.certificate}: {refused[0].fact}" if refused[0].fact.startswith("The ") else refused[0].fact
        raise ConfigurationError(f"{fact} {refused[0].mend} {otherwise}")

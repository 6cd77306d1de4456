"""Requesting a certificate from somebody else's authority, and putting in place what it sends back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from connector_host.errors import failures
from connector_host.ownership import make_folder
from connector_host.tls.bundles import PassphraseNeeded, arrange, issuer_finding, pem_of, read_bundle
from connector_host.tls.files import UnusableFile, judge_identity
from connector_host.tls.issuing import key_pem, make_key, make_room, request_certificate, write_private, write_public

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from connector_host.errors import Finding


@dataclass(frozen=True, slots=True)
class RequestFiles:
    """A signing request and the key that it was made with."""

    request: Path
    key: Path


def write_request(
    folder: Path, host: str, also: Sequence[str], *, kind: Literal["ecdsa", "rsa"], replace: bool = False
) -> RequestFiles:
    """Write a new key and a request for it; the names differ from those in use, so nothing that serves is touched.

    Raises FileExistsError where the folder holds a request, as `make_room` says: what the authority makes of it is
    worth nothing without its key. Raises ConfigurationError for a name that is none, OSError where nothing can be
    written.
    """
    key = make_key(kind)
    request = request_certificate(host, key, also=also)
    files = RequestFiles(folder / "request.csr", folder / "request-key.pem")
    make_folder(folder)
    make_room((files.key, files.request), replace=replace)
    write_private(files.key, key_pem(key))
    write_public(files.request, request)
    return files


def install(  # noqa: PLR0913 - what, where to, for whom
    files: Sequence[Path],
    certificate: Path,
    key: Path,
    host: str,
    now: datetime,
    *,
    ask: Callable[[], bytes | None],
) -> list[Finding]:
    """Put the identity in the files in place, and return what is so about it; `ask` is called for a passphrase.

    Raises UnusableFile, with nothing written, where it may not stand for `host`. OSError where it cannot be written.
    """
    try:
        bundle = read_bundle(files)
    except PassphraseNeeded:
        passphrase = ask()
        if passphrase is None:
            raise
        bundle = read_bundle(files, passphrase)
    identity = arrange(bundle)
    findings = judge_identity(identity, host, now)
    if refused := failures(findings):
        raise UnusableFile(refused[0])
    if (alone := issuer_finding(identity, bundle)) is not None:
        findings.append(alone)
    chain_pem, private_pem = pem_of(identity)
    for path in (certificate, key):
        make_folder(path.parent)
    make_room((certificate, key), replace=True)
    write_private(key, private_pem)
    write_public(certificate, chain_pem)
    return findings

"""`connector-host cert`: the certificate that proves which host this is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from connector_host.cli.speaking import config_option, fail, findings_document, json_option, print_findings, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def cert() -> None:
    """Issue, request, install, renew, show and check certificates.

    The running host takes over a changed file by itself, within seconds and without dropping a connection.
    """


@cert.command("issue")
@click.option("--host", required=True, help="The name that clients use: a host name or an IP address.")
@click.option("--also", multiple=True, help="Another name or address; may be repeated.")
@click.option("--out", "folder", required=True, type=_FOLDER, help="The folder to write to.")
@click.option("--force", is_flag=True, help="Replace what is there; clients must then trust the new authority.")
@click.option("--rsa", is_flag=True, help="An RSA key of 3072 bits for the host instead of ECDSA P-256.")
def issue(host: str, also: tuple[str, ...], folder: Path, *, force: bool, rsa: bool) -> None:
    """Issue a certificate from a private authority made for it.

    For the host's name, and always for localhost, 127.0.0.1 and ::1. Writes authority.pem (what clients shall
    trust), certificate.pem and key.pem (what the host uses), and authority-key.pem; keys are readable by you only.
    Where one of them is there, nothing is written; --force replaces them and keeps each beside it as *.old.

    \b
    Example:
      connector-host cert issue --host hr.example.org --out /etc/connector-host/tls
    """
    from connector_host import clock
    from connector_host.tls.issuing import LOOPBACK_NAMES, issue_files

    try:
        kind: Literal["rsa", "ecdsa"] = "rsa" if rsa else "ecdsa"
        files = issue_files(folder, host, clock.now(), also=(*also, *LOOPBACK_NAMES), kind=kind, replace=force)
    except FileExistsError as failure:
        fail(f"{failure} Give another folder, or --force, which keeps what is there as *.old.")
    except OSError as failure:
        fail(f"{folder} cannot be written ({failure.strerror}).")
    click.echo(f"certificate  {files.certificate}\nkey          {files.key}")
    click.echo(f"authority    {files.authority}  (give this to the agent as its trust anchor)")


@cert.command("request")
@click.option("--host", required=True, help="The name that clients use: a host name or an IP address.")
@click.option("--also", multiple=True, help="Another name or address; may be repeated.")
@click.option("--out", "folder", required=True, type=_FOLDER, help="The folder to write to.")
@click.option("--force", is_flag=True, help="Replace a request that is there; it and its key are kept as *.old.")
@click.option("--rsa", is_flag=True, help="An RSA key of 3072 bits, for an authority that takes no ECDSA.")
def request(host: str, also: tuple[str, ...], folder: Path, *, force: bool, rsa: bool) -> None:
    """Make a key and a signing request for an authority of your own.

    Writes request.csr, to be sent to the authority, and request-key.pem, which stays here, readable by you only.
    What the authority sends back is put in place by `cert install`. The certificate in use is not touched.
    Where a request is there, nothing is written: what comes back for it needs its key. --force replaces both and keeps
    them beside it as *.old.

    \b
    Example:
      connector-host cert request --host hr.example.org --out /etc/connector-host/tls
    """
    from connector_host.tls.installing import write_request

    try:
        made = write_request(folder, host, also, kind="rsa" if rsa else "ecdsa", replace=force)
    except FileExistsError as failure:
        fail(
            f"{failure} What an authority signs for that request needs its key."
            " Give another folder, or --force, which keeps both as *.old."
        )
    except OSError as failure:
        fail(f"{folder} cannot be written ({failure.strerror}).")
    click.echo(f"request  {made.request}  (send this to your authority)")
    click.echo(f"key      {made.key}  (stays here)")
    click.echo(f"then     connector-host cert install CERTIFICATE --key {made.key}")


@cert.command("install")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--key", "keys", multiple=True, type=_FILE, help="The private key, where it is in a file of its own.")
@click.option("--passphrase-file", type=_FILE, help="A file with the passphrase of the key or the PKCS#12 file.")
@config_option
def install(files: tuple[Path, ...], keys: tuple[Path, ...], passphrase_file: Path | None, config: Path) -> None:
    """Put a certificate in place, whatever form it came in: PEM, DER, PKCS#7 or PKCS#12.

    Sorts the chain, decrypts the key, and checks that the certificate may stand for the host of the configuration
    before anything is written; what was there is kept beside it as *.old. The passphrase may also be given by
    CONNECTOR_HOST_PASSPHRASE, or is asked for.

    \b
    Examples:
      connector-host cert install hr.pfx
      connector-host cert install hr.crt issuing-ca.crt --key /etc/connector-host/tls/request-key.pem
    """
    from connector_host import clock
    from connector_host.settings import load
    from connector_host.tls.installing import install as put

    host = load(config).host
    passphrase = _passphrase(passphrase_file)
    try:
        findings = put([*files, *keys], host.certificate, host.key, host.name, clock.now(), ask=passphrase)
    except OSError as failure:
        fail(f"{host.certificate.parent} cannot be written ({failure.strerror}).")
    print_findings({str(host.certificate): findings})


def _passphrase(file: Path | None) -> Callable[[], bytes | None]:
    """Return how the passphrase is found out where one is needed."""

    def ask() -> bytes | None:
        if file is not None:
            from connector_host.secret_files import read_secret_file

            return read_secret_file(file, "--passphrase-file").encode()
        if given := os.environ.get("CONNECTOR_HOST_PASSPHRASE"):
            return given.encode()
        return click.prompt("passphrase", hide_input=True).encode() if sys.stdin.isatty() else None

    return ask


@cert.command("renew")
@config_option
def renew(config: Path) -> None:
    """Renew a certificate that this product issued, now instead of by itself in time.

    Exits with 1 where the new one, which is for the same names, may not stand for the host of the configuration.

    \b
    Example:
      connector-host cert renew
    """
    from connector_host import clock
    from connector_host.errors import failures
    from connector_host.settings import load
    from connector_host.tls.files import check_identity
    from connector_host.tls.renewal import renew as issue_anew

    host = load(config).host
    try:
        renewed = issue_anew(host.certificate, host.key, clock.now())
    except OSError as failure:
        fail(f"{host.certificate} cannot be written ({failure.strerror}).")
    if not renewed:
        fail(
            f"{host.certificate} was not issued by this product. Use `connector-host cert request` and `cert install`."
        )
    findings = check_identity(host.certificate, host.key, host.name, clock.now())
    print_findings({str(host.certificate): findings})
    raise SystemExit(1 if failures(findings) else 0)


@cert.command("show")
@click.argument("certificate", type=_FILE, required=False)
@config_option
@json_option
def show(certificate: Path | None, config: Path, *, as_json: bool) -> None:
    """Show the certificates of a file, or of the configuration: the host's own first.

    \b
    Examples:
      connector-host cert show
      connector-host cert show authority.pem
    """
    from connector_host import clock
    from connector_host.settings import load
    from connector_host.tls.description import describe
    from connector_host.tls.files import load_chain

    described = [describe(one, clock.now()) for one in load_chain(certificate or load(config).host.certificate)]
    if as_json:
        print_json(described)
        return
    for number, facts in enumerate(described):
        click.echo("" if number == 0 else "issued by:")
        for name, value in facts.items():
            click.echo(f"  {name.replace('_', ' '):<12} {', '.join(value) if isinstance(value, list) else value}")


@cert.command("check")
@click.option("--host", help="The name that clients use.")
@click.option("--certificate", type=_FILE, help="The certificate and its chain, PEM.")
@click.option("--key", type=_FILE, help="The private key, PEM.")
@config_option
@json_option
def check(host: str | None, certificate: Path | None, key: Path | None, config: Path, *, as_json: bool) -> None:
    """Check that a certificate may stand for a host; exits with 1 where it may not.

    What is left out is taken from the configuration.

    \b
    Examples:
      connector-host cert check
      connector-host cert check --host hr.example.org --certificate certificate.pem --key key.pem
    """
    from connector_host import clock
    from connector_host.errors import failures
    from connector_host.settings import load
    from connector_host.tls.files import check_identity
    from connector_host.tls.renewal import check_own_authority

    if certificate is None or key is None or host is None:
        set_up = load(config).host
        certificate, key, host = (
            certificate or set_up.certificate,
            key or set_up.key,
            set_up.name if host is None else host,
        )
    now = clock.now()
    findings = [*check_identity(certificate, key, host, now), *check_own_authority(certificate, now)]
    sections = {"certificate": findings}
    if as_json:
        print_json(findings_document(sections))
    else:
        print_findings(sections)
    raise SystemExit(1 if failures(findings) else 0)

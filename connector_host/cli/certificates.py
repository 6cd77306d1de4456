"""`connector-host cert`: the certificate that proves which host this is."""

from __future__ import annotations

from pathlib import Path

import click

from connector_host.cli.speaking import fail, findings_document, json_option, print_findings, print_json

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def cert() -> None:
    """Issue, show and check certificates."""


@cert.command("issue")
@click.option("--host", required=True, help="The name that clients use: a host name or an IP address.")
@click.option("--also", multiple=True, help="Another name or address; may be repeated.")
@click.option(
    "--out", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write to."
)
@click.option("--force", is_flag=True, help="Replace an authority that is there; clients must then trust the new one.")
def issue(host: str, also: tuple[str, ...], folder: Path, *, force: bool) -> None:
    """Issue a certificate from a private authority made for it.

    For the host's name, and always for localhost, 127.0.0.1 and ::1. Writes authority.pem (what clients shall
    trust), certificate.pem and key.pem (what the host uses), and authority-key.pem; keys are readable by you only.

    \b
    Example:
      connector-host cert issue --host hr.example.org --out /etc/connector-host/tls
    """
    from connector_host import clock
    from connector_host.tls.issuing import LOOPBACK_NAMES, IssuedFiles, issue_files

    if force:
        IssuedFiles.within(folder).authority.unlink(missing_ok=True)
    try:
        files = issue_files(folder, host, clock.now(), also=(*also, *LOOPBACK_NAMES))
    except FileExistsError as failure:
        fail(f"{failure} Give another folder, or replace it with --force.")
    except OSError as failure:
        fail(f"{folder} cannot be written ({failure.strerror}).")
    click.echo(f"certificate  {files.certificate}\nkey          {files.key}")
    click.echo(f"authority    {files.authority}  (give this to the agent as its trust anchor)")


@cert.command("show")
@click.argument("certificate", type=_FILE)
@json_option
def show(certificate: Path, *, as_json: bool) -> None:
    """Show the certificates of a file, the host's own first.

    \b
    Example:
      connector-host cert show /etc/connector-host/tls/certificate.pem
    """
    from connector_host import clock
    from connector_host.tls.description import describe
    from connector_host.tls.files import load_chain

    described = [describe(one, clock.now()) for one in load_chain(certificate)]
    if as_json:
        print_json(described)
        return
    for number, facts in enumerate(described):
        click.echo("" if number == 0 else "issued by:")
        for name, value in facts.items():
            click.echo(f"  {name.replace('_', ' '):<12} {', '.join(value) if isinstance(value, list) else value}")


@cert.command("check")
@click.option("--host", required=True, help="The name that clients use.")
@click.option("--certificate", required=True, type=_FILE, help="The certificate and its chain, PEM.")
@click.option("--key", required=True, type=_FILE, help="The private key, PEM.")
@json_option
def check(host: str, certificate: Path, key: Path, *, as_json: bool) -> None:
    """Check that a certificate may stand for a host; exits with 1 where it may not.

    \b
    Example:
      connector-host cert check --host hr.example.org --certificate certificate.pem --key key.pem
    """
    from connector_host import clock
    from connector_host.errors import failures
    from connector_host.tls.files import check_identity

    findings = check_identity(certificate, key, host, clock.now())
    sections = {"certificate": findings}
    if as_json:
        print_json(findings_document(sections))
    else:
        print_findings(sections)
    raise SystemExit(1 if failures(findings) else 0)

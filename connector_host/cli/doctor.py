"""`connector-host doctor`: what is wrong, found out from outside, and a bundle for whoever helps."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import config_option, fail, findings_document, json_option, print_findings, print_json

if TYPE_CHECKING:
    from connector_host.errors import Finding
    from connector_host.settings import Configuration

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXAMPLE = "https://relay.example.org/t/acme/ecma2host_HR/scim"


@click.command()
@config_option
@click.option("--connector", help="Which connector; needed only where there are several.")
@click.option("--token-file", type=_FILE, help="The connector's token, so that more than the door can be tried.")
@click.option("--relay-url", help="The tenant URL through the relay, as the directory has it.")
@click.option("--trust", type=_FILE, help="The authority that issued the relay's certificate, where it is your own.")
@click.option("--client-certificate", type=_FILE, help="What a host with `client_authority` wants to be shown, PEM.")
@click.option("--client-key", type=_FILE, help="The key of that certificate, PEM.")
@click.option("--bundle", type=_FILE, help="Write a bundle for whoever helps: no secret, and nobody's values.")
@json_option
def doctor(  # noqa: PLR0913 - one parameter an option
    config: Path,
    connector: str | None,
    *,
    token_file: Path | None,
    relay_url: str | None,
    trust: Path | None,
    client_certificate: Path | None,
    client_key: Path | None,
    bundle: Path | None,
    as_json: bool,
) -> None:
    """Check everything, then send what a directory's test connection sends, through every hop.

    Names the hop that fails, why, and what to do. Exits with 1 where one does. Changes nothing.

    \b
    Example:
      connector-host doctor --token-file token --relay-url https://relay.example.org/t/acme/ecma2host_HR/scim
    """
    from connector_host.errors import failures
    from connector_host.secret_files import read_secret_file
    from connector_host.settings import load
    from connector_host.setup.tokens import connector_named

    through = None if relay_url is None else _tenant_url(relay_url)
    if bundle is not None:
        _refuse_other_file(bundle)
    configuration = load(config)
    name, _ = connector_named(configuration, connector)
    token = read_secret_file(token_file, "--token-file").strip() if token_file else None
    shown = _shown(client_certificate, client_key)
    sections = asyncio.run(_examine(config, configuration, name, token, through, trust, shown))
    if bundle is not None:
        _write(bundle, configuration, sections)
    if as_json:
        print_json(findings_document(sections))
    else:
        print_findings(sections)
        if bundle is not None:
            click.echo(f"\n{bundle} is written. Look into it before you give it away: it is a plain zip.")
    raise SystemExit(1 if any(failures(findings) for findings in sections.values()) else 0)


def _tenant_url(url: str) -> str:
    """Return the URL without a slash at its end; no error repeats it, since a password may stand in it."""
    from yarl import URL

    from connector_host.urls import split

    parts = split(url, frozenset({"https"}))
    try:
        URL(url)  # refuses more: a backslash, say
    except ValueError:
        parts = None
    if parts is None:
        fail(f"--relay-url is no https:// URL of a host: give the tenant URL as the directory has it, e.g. {_EXAMPLE}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        fail(f"--relay-url has a login, a query or a fragment in it: give the address only, e.g. {_EXAMPLE}")
    return url.rstrip("/")


def _refuse_other_file(bundle: Path) -> None:
    """Refuse to write over what is no bundle, before anything is tried."""
    from connector_host.doctor.bundling import is_bundle

    try:
        if bundle.exists() and not is_bundle(bundle):
            fail(f"--bundle: {bundle} is there, and no earlier bundle. Give another name; this file is left as it is.")
    except OSError as failure:
        fail(f"--bundle: {bundle} cannot be written ({failure.strerror}). Give another name.")


def _shown(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Return what is shown to a host that demands certificates of its clients."""
    from connector_host.tls.files import UnusableFile, load_pair

    if certificate is None or key is None:
        if certificate is not key:
            fail("--client-certificate and --client-key go together: give both.")
        return None
    try:
        load_pair(certificate, key)
    except UnusableFile as failure:
        fail(f"--client-{failure.finding.subject}: {failure}")
    return certificate, key


async def _examine(  # noqa: PLR0913, PLR0917 - what was typed
    config: Path,
    configuration: Configuration,
    name: str,
    token: str | None,
    relay_url: str | None,
    trust: Path | None,
    shown: tuple[Path, Path] | None,
) -> dict[str, list[Finding]]:
    from connector_host import app
    from connector_host.doctor.probing import Target, probe
    from connector_host.doctor.trusting import trust_of
    from connector_host.tls.contexts import client_context

    host = configuration.host
    sections = await app.check(configuration, config)
    url = app.url_of(host, name)
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.listen, host.listen)  # noqa: S104 - compared, not bound
    straight = client_context(trust_of(host.certificate))
    if shown is not None:
        straight.load_cert_chain(*shown)
    sections[f"straight to {url}"] = await probe(Target("host", url, straight, token, address))
    if relay_url is not None:
        try:
            context = client_context(trust)
        except OSError as failure:
            fail(f"{trust}: cannot be read as a certificate ({failure.strerror}).")
        sections[f"through {relay_url}"] = await probe(Target("relay", relay_url, context, token))
    return sections


def _write(bundle: Path, configuration: Configuration, sections: dict[str, list[Finding]]) -> None:
    from connector_host.doctor.bundling import write_bundle

    try:
        write_bundle(bundle, configuration, sections)
    except OSError as failure:
        fail(f"{bundle} cannot be written ({failure.strerror}).")

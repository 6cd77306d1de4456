"""`provision new`: from a source and a target to a job that was checked, by questions or by options."""

from __future__ import annotations

import asyncio
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_host.cli.provision import questions
from connector_host.cli.speaking import config_option, print_findings, print_table

if TYPE_CHECKING:
    from connector_host.errors import Finding
    from connector_host.provisioning.checking import Looked
    from connector_host.provisioning.schemas import UserSchema
    from connector_host.provisioning.settings import JobSettings, TargetSettings

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("job")
@click.option("--source", "pairs", multiple=True, metavar="KEY=VALUE", help="One key of the source: type=csv, path=…")
@click.option("--url", help="The tenant URL of the target.")
@click.option("--token-file", type=_FILE, help="The file that holds the target's secret token.")
@click.option("--trust", type=_FILE, help="The certificate authority of the target, PEM.")
@click.option("--email", help="Who is told when the job is quarantined.")
@click.option(
    "--smtp", help="The mail server: smtp://, smtp+starttls:// or smtps://, with a user where it asks for one."
)
@click.option("--smtp-password-file", type=_FILE, help="The file that holds the mail server's password.")
@click.option("--webhook", help="The URL that is told when the job is quarantined.")
@click.option(
    "--map", "maps", multiple=True, metavar="ATTRIBUTE=PATH", help="Map an attribute; an empty PATH unmaps it."
)
@click.option("--yes", is_flag=True, help="Ask nothing: take what is proposed.")
@config_option
def new(config: Path, job: str, *, maps: tuple[str, ...], yes: bool, **given: Any) -> None:  # noqa: ANN401 - what click read
    """Describe JOB, check it, and add it to the configuration if nothing is wrong.

    Asks for what is missing, and again for what is wrong. Mappings are proposed from the source's attributes and
    the target's /Schemas; the target is sent the probe that the cloud sends, and a mail server is asked whether it
    takes the address. ATTRIBUTE=active says whether a user is enabled.
    A typed token goes into JOB.token, a source's typed secret into JOB.secret, readable by you only.

    \b
    Example:
      connector-host provision new staff --source type=csv --source path=people.csv --source key=id \\
          --url https://relay.example.org/t/acme/ecma2host_HR/scim --token-file scim-token --email it@example.org
    """
    from connector_host.errors import ConfigurationError, failures
    from connector_host.provisioning.checking import check_job
    from connector_host.setup import jobs

    asks = not yes and sys.stdin.isatty()
    _refuse_taken(config, job)
    document = _document(given, asks=asks)
    looked, schema = asyncio.run(_survey(_validated(document, [_PLACEHOLDER])))
    names = sorted(looked.seen if looked.attributes is None else looked.attributes)
    proposals = {one.source: one for one in jobs.propose(names, looked.kinds, schema)}
    paths = {name: one.target for name, one in proposals.items()}
    print_table(("attribute", "target", "why"), [(n, p, proposals[n].reason) for n, p in paths.items()])
    paths = _changed(paths, maps, names)
    paths = _asked_changes(paths, names) if asks else paths
    settings = _validated(document | _flows(paths, schema), None)
    findings: list[Finding] = asyncio.run(check_job(settings))
    print_findings({job: findings})
    if failures(findings):
        raise ConfigurationError(f"{job} is not saved: mend what failed, and call this again.")
    secrets = _moved_out(document, config.absolute().parent / job)
    reasons = {one.target: one.reason for one in proposals.values()}
    text = "\n".join([*jobs.lines(job, document | _flows(paths, schema), reasons), ""])
    jobs.write(config, text, secrets)
    click.echo(f"\n{job} is saved in {config}. Next: connector-host provision dry-run {job} --config {config}")


_PLACEHOLDER = {"target": "userName", "type": "constant", "constant": "x", "match": 1}
"""Stands for the mappings until there are any."""


def _refuse_taken(config: Path, job: str) -> None:
    from connector_host.errors import ConfigurationError
    from connector_host.settings import CONNECTOR_NAME, read_document

    if not CONNECTOR_NAME.fullmatch(job):
        raise ConfigurationError(f"{job!r} is no name for a job: use letters, digits, _ and -, 64 at most.")
    if config.exists() and job in read_document(config, {}).get("jobs", {}):
        raise ConfigurationError(f"{config} has a job {job} already.")


def _document(given: dict[str, Any], *, asks: bool) -> dict[str, Any]:
    """Return source, target and notices as their tables will say; paths are absolute."""
    from connector_host.errors import ConfigurationError

    source = dict(map(_pair, given["pairs"]))
    if "secret" in source:
        raise ConfigurationError("--source secret=… would show in the list of processes: write secret_file=FILE.")
    for key in ("path", "secret_file", "trust"):
        if key in source:
            source[key] = str(Path(source[key]).absolute())
    target, notify = _given(given, "url", "token_file", "trust"), _given(given, "webhook", "email", "smtp")
    notify |= _given(given, "smtp_password_file")
    if asks:
        if "secret_file" in source:
            source.setdefault("secret", None)
        source, target = questions.source(source), questions.target(target)
        notify = notify or questions.notify(notify)
    elif "url" not in target:
        raise ConfigurationError("Give --url: the tenant URL of the target.")
    elif "token_file" not in target:
        raise ConfigurationError("Give --token-file: the file that holds the target's secret token.")
    source = {key: value for key, value in source.items() if value is not None}
    return {"source": source, "target": target} | ({"notify": notify} if notify.keys() & {"email", "webhook"} else {})


def _given(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the options that were given, files by their absolute paths."""
    found = {name: options[name] for name in names if options[name] is not None}
    return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in found.items()}


def _moved_out(document: dict[str, Any], stem: Path) -> dict[Path, str]:
    """Put typed secrets out of the document into files beside the configuration; return those with their texts."""
    secrets = {}
    for table, key in (("target", "token"), ("source", "secret")):
        if key in document[table]:
            file = stem.with_name(f"{stem.name}.{key}")
            secrets[file] = document[table].pop(key)
            document[table][f"{key}_file"] = str(file)
    return secrets


def _asked_changes(paths: dict[str, str], names: list[str]) -> dict[str, str]:
    from connector_host.errors import ConfigurationError

    while text := click.prompt("Change as ATTRIBUTE=PATH; Enter to go on", default="", show_default=False):
        try:
            paths = _changed(paths, (text,), names)
        except ConfigurationError as failure:
            click.echo(str(failure), err=True)
    return paths


def _pair(text: str) -> tuple[str, Any]:
    """Return key and value; lists, numbers and truth values are written as TOML has them."""
    from connector_host.errors import ConfigurationError

    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"{key}: write KEY=VALUE.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _validated(document: dict[str, Any], mappings: list[dict[str, Any]] | None) -> JobSettings:
    from pydantic import ValidationError

    from connector_host.errors import ConfigurationError
    from connector_host.mistakes import words
    from connector_host.provisioning.settings import JobSettings

    try:
        return JobSettings.model_validate(document if mappings is None else document | {"mappings": mappings})
    except ValidationError as failure:
        said = [(".".join(map(str, one["loc"])), one) for one in failure.errors(include_input=False)]
        raise ConfigurationError(
            "\n".join(f"{where}: {words(one['type'], one['msg'])}" for where, one in said)
        ) from None


async def _survey(job: JobSettings) -> tuple[Looked, UserSchema | None]:
    from connector_host.provisioning.checking import look

    return await look(job.source), await _schema(job.target)


async def _schema(settings: TargetSettings) -> UserSchema | None:
    from connector_host.provisioning.targets import Target

    async with Target(settings) as target:
        return await target.schemas()


def _changed(paths: dict[str, str], texts: tuple[str, ...], names: list[str]) -> dict[str, str]:
    from connector_host.errors import ConfigurationError

    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or (names and name not in names):
            raise ConfigurationError(f"{text!r}: write ATTRIBUTE=PATH with one of {', '.join(names)}.")
        kept = {one: taken for one, taken in paths.items() if one != name and taken != path}
        paths = kept | ({name: path} if path else {})
    return paths


def _flows(paths: dict[str, str], schema: UserSchema | None) -> dict[str, Any]:
    """Return mappings, what enables a user, and how one is disabled."""
    from connector_host.setup.jobs import ENABLED

    enabled = next((name for name, path in paths.items() if path == ENABLED), None)
    mappings = [
        {"target": path, "source": name} | ({"match": 1} if path == "userName" else {})
        for name, path in paths.items()
        if path != ENABLED
    ]
    none = schema is not None and ENABLED not in schema.attributes
    return (
        ({"enabled_attribute": enabled} if enabled else {})
        | ({"disable": {"path": ""}} if none else {})
        | {"mappings": mappings}
    )

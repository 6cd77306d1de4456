"""`provision expression test`: an expression tried on a sample user, once or line by line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import config_option, fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connector_host.provisioning.expressions.signatures import Kind
    from connector_host.provisioning.values import Values


@click.group()
def expression() -> None:
    """Try the expressions of attribute mappings."""


@expression.command("test")
@click.argument("text", required=False)
@click.option(
    "--user",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The sample user: a JSON object of attributes.",
)
@click.option("--job", help="Take the sample user from the source of this job …")
@click.option("--key", help="… by this key; without it, the first user of the source.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="One attribute of the sample user.")
@config_option
def test(  # noqa: PLR0913, PLR0917 - what a person may give
    text: str | None, file: Path | None, job: str | None, key: str | None, given: tuple[str, ...], config: Path
) -> None:
    """Evaluate the expression TEXT for a sample user; without TEXT, one after the other until the end of input.

    \b
    Examples:
      connector-host provision expression test 'Append([mail], ".test")' --set mail=a@example.org
      connector-host provision expression test --user sample.json
      connector-host provision expression test --job staff --key E1001
    """
    if job is None and key is not None:
        fail("--key needs --job: the job from whose source the user comes.")
    if job is not None and file is not None:
        fail("--job and --user are both given: keep one of them.")
    user, attributes = (_sample(file), None) if job is None else asyncio.run(_from_source(config, job, key))
    user = {**user, **_set(given)}
    if text is not None:
        shown, well = _shown(text, user, attributes)
        click.echo(shown, err=not well)
        raise SystemExit(0 if well else 1)
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - its presence gives `input` a history and keys to edit a line

        click.echo(f"Attributes: {', '.join(sorted(user)) or 'none'}. `?` shows their values, Ctrl-D ends.")
    for line in _lines():
        click.echo(_values(user) if line == "?" else _shown(line, user, attributes)[0])


def _lines() -> Iterator[str]:
    """Yield the lines that are not empty; on a terminal each after a prompt, until Ctrl-D or Ctrl-C."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            if line := input("> ").strip():
                yield line
    click.echo()


def _values(user: Values) -> str:
    return "\n".join(f"[{name}] = {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in user.items())


async def _from_source(config: Path, job: str, key: str | None) -> tuple[Values, Mapping[str, Kind] | None]:
    """Return a user as the source of a job has it now, and all attributes that the source knows to have."""
    from contextlib import aclosing

    from connector_host.cli.provision.opening import chosen
    from connector_host.provisioning.settings import load
    from connector_host.provisioning.sources.opening import open_source

    settings = load(config)
    chosen(settings, (job,))
    source = open_source(settings.jobs[job].source)
    try:
        attributes = await source.attributes()
        if key is None:
            async with aclosing(source.read(None)) as batches:
                user = next((user for user in (await anext(batches)).users if not user.flaw), None)
        else:
            user = await source.fetch(key)
    finally:
        await source.close()
    if user is None:
        fail(f"the source of {job} has no user{'' if key is None else f' with the key {key}'}.")
    return user.values, attributes


def _sample(file: Path | None) -> Values:
    from connector_host.provisioning.sources.files import json_values
    from connector_host.small_files import read_small

    document = {}
    if file is not None:
        try:
            document = json.loads(read_small(file))
        except (OSError, ValueError) as failure:
            fail(f"{file}: is no JSON ({failure}).")
        if not isinstance(document, dict):
            fail(f"{file}: is no JSON object.")
    return json_values(document)


def _set(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in given:
        name, separator, value = pair.partition("=")
        if not separator:
            fail(f"{pair!r}: write NAME=VALUE.")
        found[name] = value
    return found


def _shown(text: str, user: Values, attributes: Mapping[str, Kind] | None) -> tuple[str, bool]:
    """Return what a person reads, and whether it went well; a mistake is pointed at."""
    from connector_host.provisioning.errors import ExpressionError
    from connector_host.provisioning.expressions import IGNORED, Candidates, compile_expression
    from connector_host.provisioning.values import to_text

    try:
        result = compile_expression(text, attributes=attributes).evaluate(user)
    except ExpressionError as failure:
        pointer = f"{text}\n{' ' * (failure.column - 1)}^\n" if failure.column and "\n" not in text else ""
        return f"{pointer}{failure}", False
    if result is IGNORED:
        return "(left out of the flow)", True
    if isinstance(result, Candidates):
        return f"the first of these that the target doesn't have: {', '.join(result.values)}", True
    if result is None:
        return "(null)", True
    if isinstance(result, tuple):
        return json.dumps(result, ensure_ascii=False, default=str), True
    return to_text(result), True

"""`provision expression test`: an expression tried on a sample user, once or line by line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import fail

if TYPE_CHECKING:
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
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="One attribute of the sample user.")
def test(text: str | None, file: Path | None, given: tuple[str, ...]) -> None:
    """Evaluate the expression TEXT for a sample user; without TEXT, one after the other until the end of input.

    \b
    Examples:
      connector-host provision expression test 'Append([mail], ".test")' --set mail=a@example.org
      connector-host provision expression test --user sample.json
    """
    user = _sample(file, given)
    if text is not None:
        shown, well = _shown(text, user)
        click.echo(shown, err=not well)
        raise SystemExit(0 if well else 1)
    if sys.stdin.isatty():
        click.echo(f"Attributes: {', '.join(sorted(user)) or 'none'}. Ctrl-D ends.")
    while line := _line():
        click.echo(_shown(line, user)[0])


def _line() -> str:
    """Return the next line that is not empty, or nothing at the end of input."""
    while True:
        if sys.stdin.isatty():
            click.echo("> ", nl=False)
        line = sys.stdin.readline()
        if not line or line.strip():
            return line.strip()


def _sample(file: Path | None, given: tuple[str, ...]) -> Values:
    from connector_host.provisioning.sources.files import json_values

    document = {}
    if file is not None:
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as failure:
            fail(f"{file}: is no JSON ({failure}).")
        if not isinstance(document, dict):
            fail(f"{file}: is no JSON object.")
    for pair in given:
        name, separator, value = pair.partition("=")
        if not separator:
            fail(f"{pair!r}: write NAME=VALUE.")
        document[name] = value
    return json_values(document)


def _shown(text: str, user: Values) -> tuple[str, bool]:
    """Return what a person reads, and whether it went well; a mistake is pointed at."""
    from connector_host.provisioning.errors import ExpressionError
    from connector_host.provisioning.expressions import IGNORED, Candidates, compile_expression
    from connector_host.provisioning.values import to_text

    try:
        result = compile_expression(text, attributes=None).evaluate(user)
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

"""How commands speak: findings as a table or JSON, errors as one line, and where the configuration is looked for."""

from __future__ import annotations

import json
import os
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from connector_host.errors import Finding, HostError, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_CONFIG = "connector-host.toml"
SYSTEM_CONFIG = Path("/etc/connector-host/connector-host.toml")

_MARKS = {Level.OK: ("ok", "green"), Level.WARNING: ("warning", "yellow"), Level.FAILURE: ("FAILURE", "red")}


def speaking(command: click.Command) -> click.Command:
    """Make a command and its sub-commands say what we raise on purpose in one line, and exit with 1."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            speaking(part)
    elif command.callback is not None:
        command.callback = _translated(command.callback)
    return command


def _translated(run: Callable[P, R]) -> Callable[P, R]:
    @wraps(run)
    def translated(*arguments: P.args, **options: P.kwargs) -> R:
        from connector_host.observability import logs

        # Standard output is for what a command says; `serve` sets its log up as its configuration wants it.
        logs.configure("auto", "warning")
        try:
            return run(*arguments, **options)
        except HostError as failure:
            fail(str(failure))

    return translated


def config_option(run: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--config`, which defaults to the file here, then to the system's."""
    return click.option(
        "--config",
        "config",
        type=click.Path(dir_okay=False, readable=False, path_type=Path),  # what cannot be read, the loader says better
        envvar="CONNECTOR_HOST_CONFIG",
        default=default_config,
        show_default=f"./{DEFAULT_CONFIG}, else {SYSTEM_CONFIG}",
        help="The configuration file (also: CONNECTOR_HOST_CONFIG).",
    )(run)


def json_option(run: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a script to read.")(run)


def default_config() -> Path:
    """Return the file in the working folder where there is one or no system-wide one either."""
    here = Path(DEFAULT_CONFIG)
    return here if here.exists() or not SYSTEM_CONFIG.exists() else SYSTEM_CONFIG


def print_json(document: object) -> None:
    """Print a document for scripts."""
    click.echo(json.dumps(document, indent=2, default=str, ensure_ascii=False))


def print_findings(sections: Mapping[str, Sequence[Finding]]) -> None:
    """Print findings by section, and what to do about each that is not good."""
    for section, findings in sections.items():
        click.secho(section, bold=True)
        for finding in findings:
            word, colour = _MARKS[finding.level]
            mark = click.style(f"{word:<8}", fg=colour)
            click.echo(f"  {mark} {printable(finding.subject):<14} {printable(finding.fact)}")
            if finding.mend and finding.level is not Level.OK:
                click.echo(f"{'':<26}→ {printable(finding.mend)}")


def findings_document(sections: Mapping[str, Iterable[Finding]]) -> dict[str, list[dict[str, str]]]:
    """Return the findings as JSON has them."""
    return {
        section: [
            {"level": one.level.value, "subject": one.subject, "fact": one.fact, "mend": one.mend} for one in findings
        ]
        for section, findings in sections.items()
    }


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 2) -> None:
    """Print rows in aligned columns, under headings if there are any; the last one may be as long as it likes."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in (headings, *rows)) for place in range(len(headings))]
    lines = [headings, *rows] if any(headings) else rows
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        click.secho(" " * indent + text, bold=line is headings)


def fail(text: str, code: int = 1) -> NoReturn:
    """Say one line on stderr and exit."""
    from connector_host import journald

    click.secho(journald.spoken(sys.stderr, f"Error: {text}"), err=True, fg="red" if os.isatty(2) else None)
    raise SystemExit(code)


def printable(text: str) -> str:
    """Return text that others chose, such as a column's name, on one line and with nothing that moves a terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def plain(value: Any) -> str:  # noqa: ANN401 - anything that a table shows
    """Return what a table shows of a value."""
    return "" if value is None else str(value)

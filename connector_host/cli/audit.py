"""`connector-host audit`: the record of every export."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from connector_host.cli.speaking import (
    config_option,
    fail,
    findings_document,
    json_option,
    print_findings,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@click.group()
def audit() -> None:
    """Verify and read the record of every export."""


@audit.command("verify")
@config_option
@click.option("--seal", multiple=True, help="A seal that an earlier run printed: its record must still be there.")
@json_option
def verify(config: Path, seal: tuple[str, ...], *, as_json: bool) -> None:
    """Verify that no record is missing, altered, added or moved; exits with 1 where one is.

    Exports by hand are a chain of their own, with a seal of its own. Keep the seals that it prints somewhere else:
    given with --seal, once for each, they prove later that nothing was cut off at the end.

    \b
    Example:
      connector-host audit verify --seal faa4732af6e5c9af30c5e81348fe829a793de6df97bd8392124a0e374602a2e4
    """
    from connector_host.errors import failures
    from connector_host.observability.audit_reading import verify_all

    with _readable(folder := _folder(config)):
        sections = verify_all(folder, seal)
    if as_json:
        print_json(findings_document(sections))
    else:
        print_findings(sections)
    raise SystemExit(1 if failures([one for findings in sections.values() for one in findings]) else 0)


@audit.command("show")
@config_option
@json_option
@click.option("--connector", help="Only this connector.")
@click.option("--anchor", help="Only this user.")
@click.option("--request-id", help="Only this request.")
@click.option("--last", type=click.IntRange(1), default=50, show_default=True, help="How many, the latest.")
def show(  # noqa: PLR0913 - one parameter an option
    config: Path, *, connector: str | None, anchor: str | None, request_id: str | None, last: int, as_json: bool
) -> None:
    """Show who changed what, by requests and by hand, the latest last.

    \b
    Example:
      connector-host audit show --anchor bsimon
    """
    from connector_host.observability.audit_reading import exports

    wanted = {"connector": connector, "anchor": anchor, "request_id": request_id}
    with _readable(folder := _folder(config)):
        found = (one for one in exports(folder) if all(v is None or one.get(k) == v for k, v in wanted.items()))
        chosen = list(deque(found, maxlen=last))  # a trail of years has more records than memory
    if as_json:
        print_json(chosen)
        return
    rows = [
        [str(record.get(key, "")) for key in ("time", "connector", "operation", "anchor", "outcome", "token", "source")]
        + [", ".join(record.get("attributes", ()))]
        for record in chosen
    ]
    print_table(("time", "connector", "operation", "user", "outcome", "token", "from", "attributes"), rows, indent=0)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        fail(f"{folder} cannot be read ({failure.strerror}). Use root, or the account that runs the host.")


def _folder(config: Path) -> Path:
    from connector_host.errors import ConfigurationError
    from connector_host.settings import load

    folder = load(config).audit.folder
    if folder is None:
        raise ConfigurationError("There is no audit trail: [audit] has no folder.")
    return folder

"""What was given to `init` on the command line, and whether there is a person to ask for the rest."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from connector_host.setup.ecma2host.procedures import Statement


@dataclass(frozen=True, slots=True)
class Options:
    """What was given on the command line; None is what is asked for, or proposed."""

    config: Path
    database_url: str | None
    password_file: Path | None
    table: str | None
    schema: str | None
    anchor: str | None
    accept_unenforced_anchor: bool
    mappings: tuple[str, ...]
    no_suggestions: bool
    name: str | None
    directory: str | None
    host: str | None
    listen: str | None
    port: int | None
    certificate: Path | None
    key: Path | None
    issue_certificate: Path | None
    token_file: Path | None
    from_ecma2host: Path | None
    add: bool
    force: bool
    yes: bool
    as_json: bool
    columns: tuple[str, ...] | None = None
    flows: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    exports: Mapping[str, Statement] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Return whether there is a person to ask."""
        return not (self.yes or self.as_json) and sys.stdin.isatty()


def demand(options: Options, option: str, example: str) -> None:
    """Raise where something that has no proposal is missing and nobody can be asked."""
    from connector_host.errors import ConfigurationError

    if not options.asks:
        raise ConfigurationError(f"Give {option}: {example}.")

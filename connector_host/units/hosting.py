"""The program that Windows' service-control manager starts: it runs the entry of `serve` in this very process.

Run by its path with the base Python, so nothing of this package may be imported before `--site` is on the path.

    hosting.py NAME --site FOLDER --entry MODULE:FUNCTION --logs FOLDER … -- serve --config FILE
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import re
import site
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connector_host.units.descriptions import Unit

Severity = Literal["warning", "error"]

LOG_FILE: Final = "service.log"
_LOG_BYTES: Final = 20_000_000
_LOG_FILES: Final = 5
_LEVEL: Final = re.compile(r'"level": ?"(\w+)"|^\S+ \[?(debug|info|warning|error|critical)\b')
_SEVERITIES: Final[dict[str, Severity | None]] = {"debug": None, "info": None, "warning": "warning"}


class EndedBadly(Exception):
    """The program ended with a code after which starting it again may help."""


def arguments_of(unit: Unit, logs: Path, packages: str) -> list[str]:
    """Return the arguments with which this program hosts a unit.

    Its state stays where the configuration says, so that commands which a person types find it, too.
    """
    return [
        unit.name,
        *("--site", packages),
        *("--entry", unit.entry),
        *("--logs", str(logs)),
        *("--folder", str(unit.folder)),
        *("--stop-s", str(round(unit.stop_s))),
        *(part for name, value in unit.environment.items() for part in ("--set", f"{name}={value}")),
        *(part for code in unit.exits_for_good for part in ("--for-good", str(code))),
        "--",
        *unit.command[1:],
    ]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what `arguments_of` wrote."""
    parser = argparse.ArgumentParser(description="Started by the service-control manager; see `service install`.")
    parser.add_argument("name")
    parser.add_argument("--site", required=True)
    parser.add_argument("--entry", required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--stop-s", type=int, default=30)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--for-good", type=int, action="append", default=[])
    own, theirs = list(arguments), list[str]()
    if "--" in own:
        own, theirs = own[: own.index("--")], own[own.index("--") + 1 :]
    return parser.parse_args(own, argparse.Namespace(arguments=theirs))


def live(hosted: argparse.Namespace, report: Callable[[Severity, str], object]) -> None:
    """Run the program until it ends; raises EndedBadly where the service is to be started again.

    What it writes goes to the log file, warnings and errors to `report` (the event log), too.
    """
    os.chdir(hosted.folder)  # a service begins in the system's own folder; relative paths mean beside the configuration
    os.environ.update(pair.split("=", 1) for pair in hosted.set)
    journal = Journal(hosted.logs / LOG_FILE, report)
    with redirect_stdout(journal), redirect_stderr(journal):
        try:
            code = _run(hosted.entry, hosted.arguments)
        except Exception:
            journal.write(traceback.format_exc())
            raise
        finally:
            journal.finish()
    if code in hosted.for_good:
        report("error", f"{hosted.name} ended with code {code} and is not started again: mend what the log says first.")
    elif code:
        raise EndedBadly(f"{hosted.name} ended with code {code}.")


class Journal(io.TextIOBase):
    """Standard output and error of a service, which has none: a log file of bounded size, and the event log."""

    def __init__(self, file: Path, report: Callable[[Severity, str], object]) -> None:
        self._file = RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8")
        self._report = report
        self._begun = ""

    def write(self, text: str) -> int:
        """Take text down; each whole line is one entry."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(None, lines):
            self._enter(line)
        return len(text)

    def finish(self) -> None:
        """Write what has no end of line, and close the file."""
        if self._begun:
            self.write("\n")
        self._file.close()

    def _enter(self, line: str) -> None:
        self._file.handle(logging.LogRecord("", logging.INFO, "", 0, line, None, None))
        severity = severity_of(line)
        if severity is not None:
            self._report(severity, line)


def severity_of(line: str) -> Severity | None:
    """Return what the event log shall show a line as, or None; a line without a level is somebody's last words."""
    found = _LEVEL.search(line)
    return "error" if found is None else _SEVERITIES.get(found[1] or found[2], "error")


def _run(entry: str, arguments: Sequence[str]) -> int:
    module, _, function = entry.partition(":")
    sys.argv = [module, *arguments]
    try:
        code = getattr(import_module(module), function)()
    except SystemExit as end:
        code = end.code
    return code if isinstance(code, int) else int(code is not None)


def main(arguments: Sequence[str]) -> None:
    """Hand this process over to the service-control manager."""
    hosted = parse(arguments)
    site.addsitedir(hosted.site)
    if sys.platform == "win32":
        from connector_host.units.pywin32 import host  # noqa: PLC0415 - found once the folder is on the path

        host(hosted)


if __name__ == "__main__":
    main(sys.argv[1:])

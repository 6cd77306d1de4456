"""A bundle for whoever helps: what runs, how it is set up, and what was found; no secret and nobody's values."""

from __future__ import annotations

import json
import os
import platform
import sys
import zipfile
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from connector_host import __version__, clock
from connector_host.observability.audit_reading import exports
from connector_host.setup.showing import effective, lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from connector_host.errors import Finding
    from connector_host.settings import Configuration

_LAST_EXPORTS = 200
_AUDIT_FIELDS = ("seq", "time", "connector", "operation", "outcome", "duration_ms", "request_id", "token")
"""Neither who was changed nor what was written leaves the machine."""


def is_bundle(file: Path) -> bool:
    """Return whether an earlier bundle is there, which may be written over; raises OSError."""
    if not file.is_file():  # a pipe would be waited for
        return False
    try:
        with zipfile.ZipFile(file) as opened:
            return {"about.json", "findings.json"} <= set(opened.namelist())
    except zipfile.BadZipFile:
        return False


def write_bundle(file: Path, configuration: Configuration, sections: Mapping[str, Sequence[Finding]]) -> None:
    """Write the bundle as a zip that only its owner may read; raises OSError."""
    parts = {
        "about.json": json.dumps(_about(), indent=2),
        "configuration.toml": "\n".join(lines(effective(configuration))),
        "findings.json": json.dumps(_findings(sections), indent=2),
        "exports.jsonl": "\n".join(_exports(configuration)),
    }
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as target, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in parts.items():
            bundle.writestr(name, text)


def _about() -> dict[str, object]:
    return {
        "version": __version__,
        "made": clock.now().isoformat(timespec="seconds"),
        "python": sys.version,
        "system": platform.platform(),
        "packages": {one.name: one.version for one in sorted(distributions(), key=lambda one: one.name.lower())},
    }


def _findings(sections: Mapping[str, Sequence[Finding]]) -> dict[str, list[dict[str, str]]]:
    return {
        section: [
            {"level": one.level.value, "subject": one.subject, "fact": one.fact, "mend": one.mend} for one in findings
        ]
        for section, findings in sections.items()
    }


def _exports(configuration: Configuration) -> list[str]:
    """Return the latest exports without users and attributes, or why they cannot be read."""
    folder = configuration.audit.folder
    if folder is None:
        return []
    try:
        found = list(exports(folder))
    except OSError as failure:
        return [json.dumps({"unreadable": failure.strerror})]
    return [json.dumps({name: one.get(name) for name in _AUDIT_FIELDS}) for one in found[-_LAST_EXPORTS:]]

"""One structured line for each event: JSON for machines, `event key=value` for people at a terminal.

Knows nothing about what is logged; secrets and personal values are kept out by those who log.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_logger = logging.getLogger("agent")


def event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log one event with its fields; a field that is None is left out."""
    if _logger.isEnabledFor(level):
        _logger.log(level, name, extra={"fields": {key: value for key, value in fields.items() if value is not None}})


def configure(log_format: LogFormat, level: LogLevel) -> None:
    """Send all events to standard error, in the format that its reader wants."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(_Json() if as_json else _Console())
    logging.basicConfig(level=level.upper(), handlers=[output], force=True)


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the record's fields; an exception of a library shows its type and text, never local values."""
    fields = dict(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
    return fields


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _moment(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**line, **_fields(record)}, default=str, ensure_ascii=False)


class _Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        return f"{_moment(record)} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()

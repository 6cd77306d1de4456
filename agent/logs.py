"""One structured line for each event: JSON for machines, `event key=value` for people at a terminal.

Knows nothing about what is logged; secrets and personal values are kept out by those who log.
"""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from agent.errors import AgentError
from connector_host import journald
from connector_host.log_lines import STANDARD_ERROR, to_json

if TYPE_CHECKING:
    from typing import TextIO

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_logger = logging.getLogger("agent")


def event(name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log one event with its fields; a field that is None is left out."""
    if _logger.isEnabledFor(level):
        # A record of our own: the logger's would look for the line of code that logs, which nobody is told.
        record = logging.LogRecord(_logger.name, level, "", 0, name, (), None)
        record.fields = {key: value for key, value in fields.items() if value is not None}
        _logger.handle(record)


def are_wanted(level: int = logging.INFO) -> bool:
    """Return whether events of this level are logged: for whoever would have work only to say what happened."""
    return _logger.isEnabledFor(level)


def configure(log_format: LogFormat, level: LogLevel) -> None:
    """Send all events to standard error, in the format that its reader wants."""
    stream = cast("TextIO", STANDARD_ERROR)
    as_json = log_format == "json" or (log_format == "auto" and not stream.isatty())
    output = logging.StreamHandler(stream)
    formatter = _Json() if as_json else _Console()
    output.setFormatter(_Marked(formatter) if journald.reads(stream) else formatter)
    logging.basicConfig(level=level.upper(), handlers=[output], force=True)
    # What no line of ours shows need not be looked up for each (https://docs.python.org/3/howto/logging.html#optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def printable(text: str) -> str:
    """Return the text for a terminal: what others say there moves no cursor and begins no line."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the record's fields; of a library's exception type and place: its text may quote anybody."""
    fields = dict(getattr(record, "fields", {}))
    if record.exc_info and (failure := record.exc_info[1]) is not None:
        fields["error"] = f"{type(failure).__name__}: {failure}" if isinstance(failure, AgentError) else _kind(failure)
    return fields


def _kind(failure: BaseException) -> str:
    frames = traceback.extract_tb(failure.__traceback__)
    place = f" at {'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno}" if frames else ""
    return f"{type(failure).__name__}{place}"


def _message(record: logging.LogRecord) -> str:
    """Return what is logged; of a library's message its template, since arguments may be what somebody sent."""
    is_ours = record.name.partition(".")[0] == _logger.name
    return record.getMessage() if is_ours else f"{record.name}: {str(record.msg).partition(chr(10))[0]}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _moment(record), "level": record.levelname.lower(), "event": _message(record)}
        return to_json({**line, **_fields(record)})


class _Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={printable(str(value))}" for key, value in _fields(record).items())
        return f"{_moment(record)} {record.levelname.lower():7} {_message(record)} {fields}".rstrip()


class _Marked(logging.Formatter):
    """Tells the journal how serious each line is."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return journald.marked(record.levelname.lower(), self._inner.format(record))

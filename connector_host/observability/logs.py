"""Structured logs: one line an event, as JSON for machines or readable on a terminal, without anybody's values.

Redaction is by construction: text is shown only where its field is named in TEXT_FIELDS below, so a field that nobody
thought about is withheld, not leaked. Numbers and truth values are always shown.

    event + fields ──request id──▶ withheld ──exceptions──▶ JSON | console ──▶ stderr
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Final, Literal, TextIO, cast

import structlog

from connector_host import clock, journald
from connector_host.errors import HostError
from connector_host.log_lines import STANDARD_ERROR, to_json
from connector_host.observability import events
from connector_host.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, Processor, WrappedLogger

    from connector_host.traces import Trace

TEXT_FIELDS: Final = frozenset(
    {
        # what the log itself adds
        "event", "level", "timestamp", "exception", "request_id", "logger", "message",
        # names out of the configuration and of the program, never what somebody sent
        "address", "attribute", "attributes", "certificate", "column", "columns", "connector", "database", "dialect",
        "driver", "engine", "file", "host", "key", "kind", "listen", "operation", "path", "reason", "route", "schema",
        "server", "subject", "table", "url", "urls", "version",
        # outcomes out of closed lists
        "error", "fact", "mend", "method", "new_type", "old_type", "outcome", "scim_type", "signal", "sqlstate",
        "state", "status", "verdict",
        # where a request came from and the chain that it is part of
        "client", "source", "traceparent",
    }
)  # fmt: skip
"""Fields whose text is shown. Before adding one, make sure that no value of a person and no secret can be in it."""

WITHHELD: Final = "[withheld]"

_REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
_TRACE: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)


def configure(
    log_format: Literal["auto", "json", "console"] = "auto",
    level: Literal["debug", "info", "warning", "error"] = "info",
    *,
    values: bool = False,
    worker: int | None = None,
    stream: TextIO | None = None,
) -> None:
    """Set up every logger of the process, those of libraries included, to write to the stream (stderr).

    With `values`, text that may quote people's values (a driver's words, an exception's text) is shown, too. `worker`
    is the number of this process where several serve: it stands on each line, and lines of two never mix.
    """
    STANDARD_ERROR.is_shared = worker is not None
    stream = stream or cast("TextIO", STANDARD_ERROR)
    as_json = log_format == "json" or (log_format == "auto" and not stream.isatty())
    renderer = _to_json if as_json else _console(colours=stream.isatty())
    logger = structlog.WriteLogger(stream)
    structlog.configure(
        processors=[
            _Composing(values=values, worker=worker),
            _marking(renderer) if journald.reads(stream) else renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: logger,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Forwarding()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)


def request_scope(request_id: str) -> Scope[str | None]:
    """Put the request id on every line that is logged inside the block, in tasks that it starts, too."""
    return Scope(_REQUEST_ID, request_id)


def trace_scope(trace: Trace) -> Scope[Trace | None]:
    """Put our hop of the trace on every line, as `request_scope` does with the request's id."""
    return Scope(_TRACE, trace)


def current_trace() -> Trace | None:
    """Return our hop of the trace that the request which is being answered is part of, or None outside of one."""
    return _TRACE.get()


def current_request_id() -> str | None:
    """Return the id of the request that is being answered here, or None outside of one."""
    return _REQUEST_ID.get()


class _Composing:
    """Puts a line together: when, how bad, what happened, in which request, and no text but that of named fields.

    One step in place of several of structlog's: every request logs a line.
    """

    def __init__(self, *, values: bool, worker: int | None) -> None:
        self._values, self._worker = values, worker
        self._words = _ExceptionText(values=values)

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        moment = clock.now().isoformat().replace("+00:00", "Z")
        line: EventDict = {"timestamp": moment, "level": method, "event": event.pop("event")}
        failure = _exception(event.pop("exc_info")) if "exc_info" in event else None
        for name, value in event.items():
            line[name] = value if self._values or name in TEXT_FIELDS or _is_harmless(value) else WITHHELD
        if (request_id := _REQUEST_ID.get()) is not None:
            line.setdefault("request_id", request_id)
        if (trace := _TRACE.get()) is not None:
            line.setdefault("traceparent", trace.header)
        if self._worker is not None:
            line["worker"] = self._worker
        if failure is not None:
            line["exception"] = self._words(failure)
        return line


class _Forwarding(logging.Handler):
    """Turns what libraries log into events; only the template is kept, since arguments may be anybody's values."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno,
            events.LIBRARY_MESSAGE,
            logger=record.name,
            message=_template(record),
            exc_info=record.exc_info,
        )


def _template(record: logging.LogRecord) -> str:
    """Return what is sure to be the program's own words: a template, or a warning's place and kind."""
    if record.name == "py.warnings":
        return ": ".join(record.getMessage().split(": ", 2)[:2])
    return str(record.msg).partition("\n")[0]


def _is_harmless(value: object) -> bool:
    return isinstance(value, (bool, int, float, Enum, NoneType))


class _ExceptionText:
    """Makes a text that has every frame of an exception, but its own words only where they are ours."""

    def __init__(self, *, values: bool) -> None:
        self._values = values

    def __call__(self, failure: BaseException) -> str:
        return "\n".join(self._lines(failure))

    def _lines(self, failure: BaseException) -> Iterator[str]:
        cause = failure.__cause__ or (None if failure.__suppress_context__ else failure.__context__)
        if cause is not None:
            yield from self._lines(cause)
        for frame in traceback.extract_tb(failure.__traceback__):
            yield f"  {'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} in {frame.name}"
        yield f"{type(failure).__qualname__}: {self._words(failure)}"
        if isinstance(failure, BaseExceptionGroup):
            for part in failure.exceptions:
                yield from self._lines(part)

    def _words(self, failure: BaseException) -> str:
        if self._values or isinstance(failure, HostError):
            return str(failure)
        if isinstance(failure, OSError) and failure.strerror:
            return failure.strerror
        return WITHHELD


def _exception(info: object) -> BaseException | None:
    match info:
        case BaseException():
            return info
        case (_, BaseException() as failure, _):
            return failure
        case None | False | (None, None, None):
            return None
        case _:
            return sys.exc_info()[1]


def _to_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return to_json(event)


def _marking(render: Processor) -> Processor:
    """Return what renders a line, and tells the journal how serious it is."""

    def render_marked(logger: WrappedLogger, method: str, event: EventDict) -> str:
        level = str(event["level"])
        return journald.marked(level, str(render(logger, method, event)))

    return render_marked


def _console(*, colours: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24, sort_keys=False
    )

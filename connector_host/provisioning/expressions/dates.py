"""The functions that work on dates; a date is a moment in UTC, and reads as `M/d/yyyy h:mm:ss tt`."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions import dotnet_dates
from connector_host.provisioning.expressions.signatures import Function, Kind, Parameter, Scope, bounded
from connector_host.provisioning.expressions.syntax import Call, Constant

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERVALS: Final = ("yyyy", "m", "d", "ww", "h", "n", "s")
SECONDS: Final = {"d": 86_400, "ww": 604_800, "h": 3_600, "n": 60, "s": 1}
FILETIME_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
"""Active Directory counts steps of 100 ns since then."""


def _to_date(_scope: Scope, value: datetime) -> datetime:
    return value  # the parameter's kind has made a date of it


def _date_add(_scope: Scope, interval: str, value: int, moment: datetime) -> datetime:
    _known(interval)
    try:
        if interval in SECONDS:
            return moment + timedelta(seconds=SECONDS[interval] * value)
        months = moment.month - 1 + value * (12 if interval == "yyyy" else 1)
        year, month = moment.year + months // 12, months % 12 + 1
        day = min(moment.day, calendar.monthrange(year, month)[1])
        return moment.replace(year=year, month=month, day=day)
    except (OverflowError, ValueError, IndexError):
        raise ExpressionError("DateAdd leaves the years 1 to 9999") from None


def _date_diff(_scope: Scope, interval: str, first: datetime, second: datetime) -> int:
    # Visual Basic's rules: years and months by the calendar, weeks from Sunday to Sunday, the rest cut to whole units.
    match _known(interval):
        case "yyyy":
            return second.year - first.year
        case "m":
            return (second.year - first.year) * 12 + second.month - first.month
        case "ww":
            return _whole((_week(second) - _week(first)) / timedelta(weeks=1))
        case _:
            return _whole((second - first) / timedelta(seconds=SECONDS[interval]))


def _week(moment: datetime) -> timedelta:
    return moment - datetime(1, 1, 1, tzinfo=UTC) - timedelta(days=moment.isoweekday() % 7)


def _whole(count: float) -> int:
    return int(count)


def _known(interval: str) -> str:
    if interval not in INTERVALS:
        raise ExpressionError(f"an interval is one of {', '.join(INTERVALS)}")
    return interval


def _check_interval(call: Call) -> None:
    first = call.arguments[0]
    if isinstance(first, Constant):
        try:
            _known(str(first.value))
        except ExpressionError as failure:
            raise ExpressionError(failure.reason, first.column) from None


def _from_filetime(_scope: Scope, value: int) -> datetime:
    try:
        return FILETIME_EPOCH + timedelta(microseconds=value // 10)
    except OverflowError:
        raise ExpressionError("DateFromNum: the number is no date of Active Directory") from None


def _to_filetime(_scope: Scope, value: datetime) -> int:
    return (value - FILETIME_EPOCH) // timedelta(microseconds=1) * 10


def _now(scope: Scope) -> datetime:
    return scope.now.astimezone(UTC).replace(microsecond=0)


def _format(_scope: Scope, source: str, styles: str | None, read: str, write: str) -> str | None:
    if not source.strip():
        return None  # a file writes null as the empty text; CDate takes it so, too
    moment = dotnet_dates.parse(source, read, dotnet_dates.styles(styles))
    return bounded(dotnet_dates.render(moment, write))


def _check_formats(call: Call) -> None:
    for position in (1, 2, 3):
        argument = call.arguments[position]
        if not isinstance(argument, Constant):
            continue
        try:
            if position == 1:
                dotnet_dates.styles(str(argument.value))
            else:
                dotnet_dates.tokens(str(argument.value))
        except ExpressionError as failure:
            raise ExpressionError(failure.reason, argument.column) from None


_INTERVAL = Parameter("interval")

FUNCTIONS: Final[Sequence[Function]] = (
    Function("CDate", (Parameter("expression", Kind.DATE),), Kind.DATE, _to_date),
    Function(
        "DateAdd",
        (_INTERVAL, Parameter("value", Kind.NUMBER), Parameter("dateTime", Kind.DATE)),
        Kind.DATE,
        _date_add,
        check=_check_interval,
    ),
    Function(
        "DateDiff",
        (_INTERVAL, Parameter("date1", Kind.DATE), Parameter("date2", Kind.DATE)),
        Kind.NUMBER,
        _date_diff,
        check=_check_interval,
    ),
    Function("DateFromNum", (Parameter("value", Kind.NUMBER),), Kind.DATE, _from_filetime),
    Function(
        "FormatDateTime",
        (
            Parameter("source"),
            Parameter("dateTimeStyles", optional=True),
            Parameter("inputFormat"),
            Parameter("outputFormat"),
        ),
        Kind.TEXT,
        _format,
        check=_check_formats,
    ),
    Function("Now", (), Kind.DATE, _now),
    Function("NumFromDate", (Parameter("value", Kind.DATE),), Kind.NUMBER, _to_filetime),
)

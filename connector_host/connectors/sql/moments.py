"""Codecs of moments: aware in the contract, and in the database with a zone, without one, or as a number.

What a column without a zone means is UTC, or the zone that the administrator names.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from connector_host.connectors.contract import AttributeType, Value
from connector_host.connectors.sql.columns import MICROSECOND_DIGITS, Codec, Neighbours, Parameters, Unfit

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector_host.connectors.survey import ColumnFacts

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 10**MICROSECOND_DIGITS
MIDDLE_YEAR = 5_000
Clock = TypeVar("Clock", datetime, time)
DAY = timedelta(days=1)
UNITS = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}


def aware(facts: ColumnFacts, parameters: Parameters) -> Codec:
    """Return the codec of a column that keeps the zone, or converts to its own."""
    digits = parameters.fraction_digits if facts.precision is None else facts.precision

    def encode(value: Value) -> object:
        return spelled(cut(_utc(value), digits))

    def spelled(moment: datetime) -> object:
        sent = moment.replace(tzinfo=None) if parameters.without_zone else moment
        return sent if parameters.native_moments else _iso(sent)

    def neighbours(value: Value) -> Neighbours:
        return _neighbours(value, digits, spelled)

    return Codec(AttributeType.DATE_TIME, encode, to_moment, to_moment, neighbours)


def naive(facts: ColumnFacts, parameters: Parameters, zone: str | None = None) -> Codec:
    """Return the codec of a column without a zone; its moments are in the named one, or in UTC."""
    digits = parameters.fraction_digits if facts.precision is None else facts.precision
    local: tzinfo = UTC if zone is None else ZoneInfo(zone)

    def encode(value: Value) -> object:
        moment = cut(_utc(value), digits)
        try:
            there = moment.astimezone(local).replace(tzinfo=None, fold=0)
            is_meant = there.replace(tzinfo=local).astimezone(UTC) == moment
        except OverflowError:
            raise Unfit(f"cannot keep this moment: clocks in {zone} show no year of 1 to 9999 then") from None
        if not is_meant:
            # The second of two hours that the clock shows alike: it would read back an hour off.
            raise Unfit(f"cannot keep this moment: clocks in {zone} show it twice when summer time ends")
        return spelled(there)

    def spelled(there: datetime) -> object:
        return there if parameters.native_moments else _iso(there)

    def neighbours(value: Value) -> Neighbours:
        return _neighbours(value, digits, spelled, local)

    def decode(raw: object) -> datetime:
        return to_moment(raw, local)

    return Codec(AttributeType.DATE_TIME, encode, decode, to_moment, neighbours, zone=local)


def earliest(zone: tzinfo, moment: datetime) -> datetime:
    """Return the earliest moment that any from this one on reads as, from what a clock in the zone shows.

    What is shown twice reads as the first time, so a clock that is put back within a day of the moment takes it along.
    """
    try:
        before, after = ((moment + day).astimezone(zone).utcoffset() or timedelta() for day in (-DAY, DAY))
    except OverflowError:  # the ends of the calendar
        return moment
    return moment - max(before - after, timedelta())


def midnight(_: ColumnFacts, parameters: Parameters) -> Codec:
    """Return the codec of a date, which the contract knows as its midnight."""
    expected = "takes a date, given as its midnight such as 2026-11-23T00:00:00Z"

    def encode(value: Value) -> object:
        # Midnight in the offset that the sender wrote: a date has no zone to be moved to.
        if not isinstance(value, datetime) or value.timetz().replace(tzinfo=None) != time():
            raise Unfit(expected)
        return spelled(value.date())

    def spelled(day: date) -> object:
        return day if parameters.native_moments else day.isoformat()

    def neighbours(value: Value) -> Neighbours:
        # The date that the sender wrote, as it is stored: 12:00 lies between it and the next one.
        if not isinstance(value, datetime):
            raise Unfit(expected)
        day = value.date()
        if value.time() == time():
            return Neighbours(spelled(day), spelled(day))
        return Neighbours(spelled(day), None if day == date.max else spelled(day + timedelta(days=1)))

    return Codec(AttributeType.DATE_TIME, encode, to_moment, to_moment, neighbours)


def epoch(inner: Codec, unit: str) -> Codec:
    """Return the codec of moments that a column of whole numbers counts from 1970 in UTC."""
    if inner.type is not AttributeType.INTEGER:
        raise Unfit("has no whole numbers, so they cannot count from 1970")
    step = UNITS[unit]

    def encode(value: Value) -> object:
        return inner.encode((_utc(value) - EPOCH) // step)

    def decode(raw: object) -> datetime:
        count = inner.decode(raw)
        try:
            return EPOCH + int(str(count)) * step
        except OverflowError:
            raise Unfit("holds a number beyond the years 1 to 9999") from None

    def neighbours(value: Value) -> Neighbours:
        return inner.compared((_aware(value) - EPOCH) // step)

    return Codec(AttributeType.DATE_TIME, encode, decode, to_moment, neighbours)


def _neighbours(
    value: Value, digits: int, spelled: Callable[[datetime], object], zone: tzinfo | None = None
) -> Neighbours:
    """Return the moments beside a value in a column of so many digits, and without a zone where one is given.

    The value is cut as it is when it is written, so that who wrote it finds it again.
    """
    moment = cut(_aware(value), digits)
    try:
        there = moment.astimezone(UTC) if zone is None else moment.astimezone(zone).replace(tzinfo=None, fold=0)
        below = cut(there, digits)
        if zone is not None and there.replace(tzinfo=zone).astimezone(UTC) != moment:
            above = _after_twice(there, zone)
            below = above - _step(digits)
        else:
            above = below if below == there else below + _step(digits)
    except OverflowError:
        last = datetime.max.replace(tzinfo=UTC if zone is None else None)
        is_early = moment.year < MIDDLE_YEAR
        first = datetime.min.replace(tzinfo=last.tzinfo)
        return Neighbours(None, spelled(first)) if is_early else Neighbours(spelled(cut(last, digits)), None)
    return Neighbours(spelled(below), spelled(above))


def _after_twice(there: datetime, zone: tzinfo) -> datetime:
    """Return what the clock shows when the hour that it shows twice is over; the column's moments mean the first."""
    start = there.replace(microsecond=0)

    def is_once(seconds: int) -> bool:
        shown = (start + timedelta(seconds=seconds)).replace(tzinfo=zone)
        return shown.utcoffset() == shown.replace(fold=1).utcoffset()

    return start + timedelta(seconds=bisect_left(range(86_400), x=True, key=is_once))


def to_moment(raw: object, zone: tzinfo | None = None) -> datetime:
    """Return an aware datetime in UTC; what has no zone is in the given one, or in UTC."""
    if type(raw) is datetime and raw.tzinfo is UTC:  # this runs for every row of an import
        return raw
    match raw:
        case datetime():
            moment = raw
        case date():
            moment = datetime.combine(raw, time())
        case str():
            try:
                moment = datetime.fromisoformat(raw)
            except ValueError:
                raise Unfit("holds something else than a date and time") from None
        case _:
            raise Unfit("holds something else than a date and time")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone or UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Unfit("holds a date and time beyond the years 1 to 9999") from None


def _iso(moment: datetime) -> str:
    """Return the text that every database reads; a fraction is given only where there is one."""
    return moment.isoformat(" ")


def _aware(value: Value) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Unfit("takes a date and time with its zone such as 2026-11-23T17:30:00Z")
    return value


def _utc(value: Value) -> datetime:
    try:
        return _aware(value).astimezone(UTC)
    except OverflowError:
        raise Unfit("takes a date and time of the years 1 to 9999 in UTC") from None


def cut(moment: Clock, digits: int) -> Clock:
    """Drop digits that the column does not keep: databases round them, each in its own way."""
    unit = _step(digits).microseconds or MICROSECONDS
    return moment.replace(microsecond=moment.microsecond // unit * unit)


def _step(digits: int) -> timedelta:
    return timedelta(microseconds=10 ** max(0, MICROSECOND_DIGITS - digits))

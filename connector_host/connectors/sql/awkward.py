"""Awkward values: for each column what is legal there, and what databases cut, round, fold or shift all the same.

Also the plain values that fill the other columns of a row which exists only to be tried on. Nothing here writes.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from connector_host.connectors.contract import AttributeType, Value
from connector_host.connectors.sql.codecs import DOUBLE_DIGITS, SINGLE_DIGITS
from connector_host.connectors.sql.columns import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector_host.connectors.sql.columns import Parameters
    from connector_host.connectors.sql.shapes import SqlColumn

TEXT_MAX = 4_000
"""Characters that are tried at the most; a statement of megabytes would prove little more."""
FREE_DIGITS = 30
"""Digits that are tried where a decimal column declares none."""
RANDOM = 12
"""Characters by which a value differs from whatever other users have."""
DOCUMENTS = {"json": '{"a": "é", "b": [1, 2.50]}', "jsonb": '{"a": "é", "b": [1, 2.50]}', "xml": "<a b='é'>x</a>"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One value to be written and read back."""

    what: str
    """What is special about it, for a person."""
    value: Value
    reads_as: Value | None = None
    """Its canonical spelling, where that is another: a UUID in small letters."""

    @property
    def wanted(self) -> Value:
        """Return what it is to read back as."""
        return self.value if self.reads_as is None else self.reads_as


def trials(column: SqlColumn, parameters: Parameters, zone: str | None, *, is_anchor: bool) -> tuple[Trial, ...]:
    """Return what is to be tried on a column; `zone` is the one that the administrator names for it."""
    facts, kind = column.discovered.facts, column.discovered.kind
    match column.attribute.type:
        case AttributeType.BOOLEAN:
            return (Trial("true", value=True), Trial("false", value=False))
        case AttributeType.INTEGER:
            numbers = [int(number) for number in facts.allowed] or [kind.low, kind.high]
            return tuple(Trial(str(number), number) for number in numbers)
        case AttributeType.DECIMAL:
            return tuple(_numbers(column, parameters))
        case AttributeType.DATE_TIME:
            return tuple(_days() if kind.family is Family.DATE else _moments(zone))
        case AttributeType.STRING:
            return tuple(_strings(column, is_anchor=is_anchor))


def plain(column: SqlColumn) -> Value:
    """Return a value that nothing is special about, and that no other row has where there is room for it."""
    facts = column.discovered.facts
    match column.attribute.type:
        case AttributeType.BOOLEAN:
            return True
        case AttributeType.INTEGER:
            return int(facts.allowed[0]) if facts.allowed else secrets.randbelow(column.discovered.kind.high) or 1
        case AttributeType.DECIMAL:
            return Decimal(0)
        case AttributeType.DATE_TIME:
            return datetime(2026, 1, 15, tzinfo=UTC)
        case AttributeType.STRING:
            return _plain_text(column)


def _plain_text(column: SqlColumn) -> str:
    facts = column.discovered.facts
    match column.discovered.kind.family:
        case Family.UUID | Family.BINARY_UUID:
            return str(uuid.uuid4())
        case Family.TIME:
            return "12:00:00"
        case _:
            free = DOCUMENTS.get(facts.declared.lower()) or _letters()[: facts.length]
            return facts.allowed[0] if facts.allowed else free


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _strings(column: SqlColumn, *, is_anchor: bool) -> Iterator[Trial]:
    facts = column.discovered.facts
    if column.discovered.kind.family in (Family.UUID, Family.BINARY_UUID):
        canonical = str(uuid.uuid4())
        yield Trial("a UUID in capitals", canonical.upper(), canonical)
    elif column.discovered.kind.family is Family.TIME:
        yield Trial("midnight", "00:00:00")
        yield Trial("a time with six digits after the second", "23:59:59.123457")
    elif facts.allowed:
        yield from (Trial(f"the allowed value {value!r}", value) for value in facts.allowed)
    elif document := DOCUMENTS.get(facts.declared.lower()):
        yield Trial("a document", document)
    else:
        yield from _texts(min(facts.length or TEXT_MAX, TEXT_MAX))
        if not is_anchor:
            yield Trial("the empty text", "")


def _texts(length: int) -> Iterator[Trial]:
    """Yield texts of at most so many characters; those that would lose what is special about them are left out."""
    yield Trial(f"{length} letters in both cases", _filled("aB", length))
    yield Trial(f"{length} letters beyond ASCII", _filled("éßŁжλ中", length))
    for what, special in (
        ("signs of four bytes", "🙂🏔"),
        ("an accent apart from its letter", "e\u0301"),
        ("quotation marks and backslashes", "'\"`\\%_"),
        ("a line break and a tab", "x\r\n\tx"),
    ):
        if len(special) <= length:
            yield Trial(what, (special + _letters())[:length])
    if length > len("  "):
        yield Trial("blanks at both ends", f" {_letters()[: length - 2]} ")


def _filled(pattern: str, length: int) -> str:
    start = _letters() if length > 2 * RANDOM else ""
    return (start + pattern * length)[:length]


def _letters() -> str:
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(RANDOM))


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _numbers(column: SqlColumn, parameters: Parameters) -> Iterator[Trial]:
    facts = column.discovered.facts
    match column.discovered.kind.family:
        case Family.SINGLE if facts.scale is None:
            largest, fine = Decimal("3.40282E+38"), Decimal("0.123457")
        case Family.DOUBLE if facts.scale is None:
            largest, fine = Decimal("1.79769313486231E+308"), Decimal("0.123456789012345")
        case _:
            scale = (facts.scale or 0) if facts.precision is not None else 5
            kept = {Family.SINGLE: SINGLE_DIGITS, Family.DOUBLE: DOUBLE_DIGITS}.get(
                column.discovered.kind.family, parameters.decimal_digits or FREE_DIGITS * 10
            )
            digits = min(facts.precision or FREE_DIGITS, kept)
            largest, fine = Decimal((0, (9,) * digits, -scale)), Decimal((0, (1,), -scale))
    digits = len(largest.as_tuple().digits)
    yield Trial(f"the largest number of {digits} digits", largest)
    yield Trial(f"the smallest number of {digits} digits", largest.copy_negate())
    yield Trial("the finest fraction" if fine != 1 else "1", fine)


# ── moments ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _moments(zone: str | None) -> Iterator[Trial]:
    yield Trial(
        "a moment in summer with six digits after the second", datetime(2026, 6, 15, 10, 30, 59, 123_457, tzinfo=UTC)
    )
    yield Trial("a moment in winter", datetime(2026, 1, 15, 23, 59, 59, tzinfo=UTC))
    # A session that takes UTC for its own local time moves these: no clock there ever shows them.
    yield Trial("an hour that clocks skip in Europe", datetime(2026, 3, 29, 2, 30, tzinfo=UTC))
    yield Trial("an hour that clocks skip in America", datetime(2026, 3, 8, 2, 30, tzinfo=UTC))
    if zone is not None and (change := _spring(zone)) is not None:
        yield Trial(f"the second before summer time in {zone}", change - timedelta(seconds=1))
        yield Trial(f"the first moment of summer time in {zone}", change)
    yield Trial("a moment before 1970", datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC))
    yield Trial("a moment after 2038", datetime(2100, 2, 28, 12, 0, tzinfo=UTC))


def _spring(zone: str) -> datetime | None:
    """Return the moment at which the clocks of a zone skip an hour; None where they never do."""
    hours = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(1, 8_760))
    local, hour = ZoneInfo(zone), timedelta(hours=1)
    zero = timedelta()
    return next(
        (
            one
            for one in hours
            if (one.astimezone(local).utcoffset() or zero) > ((one - hour).astimezone(local).utcoffset() or zero)
        ),
        None,
    )


def _days() -> Iterator[Trial]:
    for year, month, day in ((1900, 1, 1), (2024, 2, 29), (9999, 12, 31)):
        yield Trial(f"{year}-{month:02}-{day:02}", datetime(year, month, day, tzinfo=UTC))

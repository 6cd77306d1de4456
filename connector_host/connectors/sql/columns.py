"""Codecs: between a value of the contract and what a column holds, both ways, without loss.

A codec is chosen by the column's family and by how its driver takes parameters. What does not fit is refused
here, before any SQL, with the expected type and the limit in the reason; the value is never repeated.
Nothing here knows a connection.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy.types import UserDefinedType

from connector_host.connectors.contract import AttributeType, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector_host.connectors.survey import ColumnFacts


class Family(StrEnum):
    """What kind of values a column holds, whatever its database calls the type."""

    TEXT = "text"
    PADDED_TEXT = "padded text"
    """CHAR(n): the database fills it with blanks, which are no part of the value."""
    INTEGER = "integer"
    DECIMAL = "decimal"
    SINGLE = "single"
    """Four bytes of floating point: six digits survive."""
    DOUBLE = "double"
    """Eight bytes of floating point: fifteen digits survive."""
    BOOLEAN = "boolean"
    MOMENT = "moment"
    """A date and time with its zone."""
    NAIVE_MOMENT = "naive moment"
    """A date and time without a zone: taken as UTC."""
    DATE = "date"
    TIME = "time"
    UUID = "uuid"
    BINARY = "binary"
    MULTI_VALUED = "multi-valued"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Kind:
    """A family, and the range of its whole numbers."""

    family: Family
    low: int = -(2**63)
    high: int = 2**63 - 1


def integers(bits: int, *, unsigned: bool = False) -> Kind:
    """Return the kind of whole numbers that are kept in so many bits."""
    if unsigned:
        return Kind(Family.INTEGER, 0, 2**bits - 1)
    return Kind(Family.INTEGER, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


ATTRIBUTE_TYPES: dict[Family, AttributeType] = {
    Family.TEXT: AttributeType.STRING,
    Family.PADDED_TEXT: AttributeType.STRING,
    Family.UUID: AttributeType.STRING,
    Family.TIME: AttributeType.STRING,
    Family.INTEGER: AttributeType.INTEGER,
    Family.DECIMAL: AttributeType.DECIMAL,
    Family.SINGLE: AttributeType.DECIMAL,
    Family.DOUBLE: AttributeType.DECIMAL,
    Family.BOOLEAN: AttributeType.BOOLEAN,
    Family.MOMENT: AttributeType.DATE_TIME,
    Family.NAIVE_MOMENT: AttributeType.DATE_TIME,
    Family.DATE: AttributeType.DATE_TIME,
}
"""Families that can be attributes; the others are left out with a reason."""

TEXTS = (Family.TEXT, Family.PADDED_TEXT)
"""Families that any text may be compared with."""

MICROSECOND_DIGITS = 6
SINGLE_DIGITS = 6
DOUBLE_DIGITS = 15


class Unfit(ValueError):
    """A value cannot be in the column; the text says what the column takes instead."""


class AsDriver(UserDefinedType[object]):
    """A column type that leaves values to our codecs and parameters to the server's own inference."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return nothing useful: these tables are never created."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a driver takes what is not text or an integer."""

    native_booleans: bool = True
    """Whether it takes bool; a number is sent instead."""
    native_moments: bool = True
    """Whether it takes datetime without harm; ISO text is sent instead (sql-connectors.md §3.3.3, §3.3.4)."""
    native_decimals: bool = True
    """Whether it takes Decimal; text is sent instead."""
    decimal_digits: int | None = None
    """Significant digits that the database keeps in any decimal column; None is as declared."""
    fraction_digits: int = MICROSECOND_DIGITS
    """Digits after the second that survive in the database."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One column's way between values of the contract and values of the driver."""

    type: AttributeType
    encode: Callable[[Value], object]
    """To a parameter; raises Unfit."""
    decode: Callable[[object], Value]
    """From a result that is not null; raises Unfit where the column holds what its type does not allow."""
    parse: Callable[[str], Value]
    """From text, an anchor's for one; raises Unfit."""

    def normalised(self, value: Value) -> Value:
        """Return the value as it will read back; raises Unfit."""
        return self.decode(self.encode(value))

    def from_anchor(self, text: str) -> Value:
        """Return the value whose canonical text this is; raises Unfit where there is none.

        MariaDB finds row 1 for `1abc` and `01` (sql-connectors.md §3.3.1), so only the canonical text will do.
        """
        value = self.parse(text)
        if to_text(value) != text:
            raise Unfit("is not the canonical text of a value")
        return value


def to_text(value: Value) -> str:
    """Return the canonical text of a value: what an anchor looks like as SCIM `id`."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return str(value)


def codec_for(kind: Kind, facts: ColumnFacts, parameters: Parameters) -> Codec:
    """Return the codec of a column; its family must be one of ATTRIBUTE_TYPES."""
    if kind.family is Family.INTEGER:
        return _integer(kind, facts)
    return _MAKERS[kind.family](facts, parameters)


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _text(facts: ColumnFacts, _: Parameters) -> Codec:
    def encode(value: Value) -> str:
        if not isinstance(value, str):
            raise Unfit("takes text")
        _refuse_unstorable(value)
        if facts.length is not None and len(value) > facts.length:
            raise Unfit(f"takes text of at most {facts.length} characters")
        if facts.allowed and value not in facts.allowed:
            raise Unfit(f"takes one of {', '.join(facts.allowed)}")
        return value

    return Codec(AttributeType.STRING, encode, _as_text, _storable)


def _padded_text(facts: ColumnFacts, parameters: Parameters) -> Codec:
    whole = _text(facts, parameters)
    return Codec(whole.type, whole.encode, lambda raw: _as_text(raw).rstrip(" "), whole.parse)


def _as_text(raw: object) -> str:
    match raw:
        case str():
            return raw
        case bytes() | bytearray() | memoryview():
            raise Unfit("holds bytes instead of text")
        case _:
            return str(raw)


def _storable(text: str) -> str:
    _refuse_unstorable(text)
    return text


def _refuse_unstorable(text: str) -> None:
    """Refuse what drivers cut, mistake or crash on (sql-connectors.md §3.3.7, §3.3.17)."""
    if "\0" in text:
        raise Unfit("takes text without the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unfit("takes text of whole Unicode characters, not halves of surrogate pairs") from None


def _uuid(_: ColumnFacts, __: Parameters) -> Codec:
    def canonical(value: object) -> str:
        try:
            return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))
        except ValueError:
            raise Unfit("takes a UUID") from None

    # Always bound as text: MariaDB's ODBC driver swaps the bytes of uuid.UUID (sql-connectors.md §3.3.5).
    return Codec(AttributeType.STRING, canonical, canonical, canonical)


def _time(_: ColumnFacts, __: Parameters) -> Codec:
    def parse(text: object) -> time:
        try:
            return text if isinstance(text, time) else time.fromisoformat(str(text))
        except ValueError:
            raise Unfit("takes a time of day such as 17:30:00") from None

    def canonical(value: object) -> str:
        return parse(value).isoformat()

    return Codec(AttributeType.STRING, canonical, canonical, canonical)


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _integer(kind: Kind, facts: ColumnFacts) -> Codec:
    expected = f"takes a whole number from {kind.low} to {kind.high}"

    def encode(value: Value) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not kind.low <= value <= kind.high:
            raise Unfit(expected)
        if facts.allowed and str(value) not in facts.allowed:
            raise Unfit(f"takes one of {', '.join(facts.allowed)}")
        return value

    def decode(raw: object) -> int:
        if isinstance(raw, int | Decimal | float) and raw == int(raw):
            return int(raw)
        if isinstance(raw, str):
            return parse(raw)
        raise Unfit("holds something else than a whole number")

    def parse(text: str) -> int:
        try:
            return encode(int(text))
        except ValueError:
            raise Unfit(expected) from None

    return Codec(AttributeType.INTEGER, encode, decode, parse)


def _decimal(facts: ColumnFacts, parameters: Parameters) -> Codec:
    expected = _decimal_words(facts, parameters)

    def check(number: Decimal) -> Decimal:
        _, digits, exponent = number.normalize().as_tuple()
        if not isinstance(exponent, int):
            raise Unfit(expected)
        if facts.scale is not None and -exponent > facts.scale:
            raise Unfit(expected)
        whole = len(digits) + exponent
        if facts.precision is not None and whole > facts.precision - (facts.scale or 0):
            raise Unfit(expected)
        if parameters.decimal_digits is not None and len(digits) > parameters.decimal_digits:
            raise Unfit(expected)
        return number

    def encode(value: Value) -> object:
        number = check(_as_decimal(value, expected))
        return number if parameters.native_decimals else format(number, "f")

    def decode(raw: object) -> Decimal:
        return _as_decimal(raw, "holds something else than a number")

    return Codec(AttributeType.DECIMAL, encode, decode, lambda text: check(_as_decimal(text, expected)))


def _decimal_words(facts: ColumnFacts, parameters: Parameters) -> str:
    if facts.precision is not None:
        return f"takes a number of at most {facts.precision} digits, {facts.scale or 0} of them after the point"
    if parameters.decimal_digits is not None:
        return f"takes a number of at most {parameters.decimal_digits} digits: this database keeps no more"
    return "takes a number"


def _as_decimal(value: object, otherwise: str) -> Decimal:
    """Return the number exactly; a float counts as the shortest text that stands for it."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float | str):
        raise Unfit(otherwise)
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise Unfit(otherwise) from None
    if not number.is_finite():
        raise Unfit(otherwise)
    return number


def _floating(digits: int) -> Callable[[ColumnFacts, Parameters], Codec]:
    expected = f"takes a number of at most {digits} significant digits"

    def encode(value: Value) -> float:
        number = _as_decimal(value, expected)
        rounded = float(number)
        if len(number.normalize().as_tuple().digits) > digits or not math.isfinite(rounded):
            raise Unfit(expected)
        return rounded

    def decode(raw: object) -> Decimal:
        number = _as_decimal(raw, "holds something else than a number")
        return Decimal(f"{number:.{digits}g}") if digits == SINGLE_DIGITS else number

    def parse(text: str) -> Decimal:
        return decode(encode(_as_decimal(text, expected)))

    return lambda _, __: Codec(AttributeType.DECIMAL, encode, decode, parse)


# ── booleans ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _boolean(_: ColumnFacts, parameters: Parameters) -> Codec:
    def encode(value: Value) -> bool | int:
        if not isinstance(value, bool):
            raise Unfit("takes true or false")
        return value if parameters.native_booleans else int(value)

    def decode(raw: object) -> bool:
        match raw:
            case bool() | int() | Decimal():
                return raw != 0
            case bytes():  # MySQL's bit(1)
                return int.from_bytes(raw, "big") != 0
            case str() if raw.lower() in _BOOLEAN_WORDS:
                return _BOOLEAN_WORDS[raw.lower()]
            case _:
                raise Unfit("holds something else than true or false")

    return Codec(AttributeType.BOOLEAN, encode, decode, decode)


_BOOLEAN_WORDS = {"1": True, "0": False, "true": True, "false": False, "t": True, "f": False}
"""How drivers spell what they do not know as booleans; psqlODBC says '1' (sql-connectors.md §3.3.7)."""


# ── moments ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _moment(*, zoned: bool) -> Callable[[ColumnFacts, Parameters], Codec]:
    def make(facts: ColumnFacts, parameters: Parameters) -> Codec:
        digits = parameters.fraction_digits if facts.precision is None else facts.precision

        def encode(value: Value) -> object:
            moment = _cut(_aware(value), digits)
            moment = moment if zoned else moment.replace(tzinfo=None)
            return moment if parameters.native_moments else _iso(moment)

        return Codec(AttributeType.DATE_TIME, encode, _to_moment, _to_moment)

    return make


def _iso(moment: datetime) -> str:
    """Return the text that every database reads; a fraction is given only where there is one."""
    return moment.isoformat(" ").removesuffix(".000000")


def _aware(value: Value) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Unfit("takes a date and time with its zone such as 2026-11-23T17:30:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Unfit("takes a date and time of the years 1 to 9999 in UTC") from None


def _cut(moment: datetime, digits: int) -> datetime:
    """Drop digits that the column does not keep: databases round them, each in its own way."""
    unit = 10 ** max(0, MICROSECOND_DIGITS - digits)
    return moment.replace(microsecond=moment.microsecond // unit * unit)


def _to_moment(raw: object) -> datetime:
    """Return an aware datetime in UTC; what has no zone is UTC."""
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
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _date(_: ColumnFacts, parameters: Parameters) -> Codec:
    expected = "takes a date, given as its midnight such as 2026-11-23T00:00:00Z"

    def encode(value: Value) -> object:
        # Midnight in the offset that the sender wrote: a date has no zone to be moved to.
        if not isinstance(value, datetime) or value.timetz().replace(tzinfo=None) != time():
            raise Unfit(expected)
        return value.date() if parameters.native_moments else value.date().isoformat()

    return Codec(AttributeType.DATE_TIME, encode, _to_moment, _to_moment)


_MAKERS: dict[Family, Callable[[ColumnFacts, Parameters], Codec]] = {
    Family.TEXT: _text,
    Family.PADDED_TEXT: _padded_text,
    Family.UUID: _uuid,
    Family.TIME: _time,
    Family.DECIMAL: _decimal,
    Family.SINGLE: _floating(SINGLE_DIGITS),
    Family.DOUBLE: _floating(DOUBLE_DIGITS),
    Family.BOOLEAN: _boolean,
    Family.MOMENT: _moment(zoned=True),
    Family.NAIVE_MOMENT: _moment(zoned=False),
    Family.DATE: _date,
}

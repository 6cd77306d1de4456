"""Codecs: between a value of the contract and what a column holds, both ways, without loss.

A codec is chosen by the column's family, by how its driver takes parameters, and by what the administrator says of
the column. What does not fit is refused here, before any SQL, with the expected type and the limit in the reason;
the value is never repeated. Nothing here knows a connection.
"""

from __future__ import annotations

import json
import sys
from datetime import time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from connector_host.connectors.contract import AttributeType, Value, to_text
from connector_host.connectors.sql import moments, neighbours, uuids
from connector_host.connectors.sql.columns import (
    EIGHT_BYTES_MAX,
    Codec,
    Family,
    Kind,
    Neighbours,
    Parameters,
    Unfit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector_host.connectors.survey import ColumnFacts
    from connector_host.settings import ColumnSettings

SINGLE_DIGITS = 6
DOUBLE_DIGITS = 15
SINGLE_MAX = 3.40282e38
"""The largest number of six digits in four bytes."""


def codec_for(kind: Kind, facts: ColumnFacts, parameters: Parameters, meant: ColumnSettings | None = None) -> Codec:
    """Return the codec of a column; its family must be one of ATTRIBUTE_TYPES.

    `meant` is what the administrator says that the column's values mean. Raises Unfit where they cannot mean that.
    """
    if kind.family is Family.BINARY_UUID:
        return uuids.of_bytes("standard" if meant is None or meant.uuid is None else meant.uuid)
    if kind.family is Family.INTEGER:
        codec = _integer(kind, facts)
    elif kind.family is Family.NAIVE_MOMENT and meant is not None and meant.zone is not None:
        return moments.naive(facts, parameters, meant.zone)
    else:
        codec = _MAKERS[kind.family](facts, parameters)
    if meant is None:
        return codec
    if meant.zone is not None:
        raise Unfit("has no date and time without a zone, so no zone can be given")
    if meant.uuid is not None:
        raise Unfit("is not binary, so it keeps no UUID in bytes")
    if meant.epoch is not None:
        return moments.epoch(codec, meant.epoch)
    return codec if meant.true is None or meant.false is None else _words(codec, meant.true, meant.false)


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────


DOCUMENTS = frozenset({"json", "jsonb"})


def _text(facts: ColumnFacts, parameters: Parameters) -> Codec:
    is_document = parameters.checks_documents and facts.declared in DOCUMENTS
    allowed, length, empty_text = facts.allowed, facts.length, parameters.empty_text

    def encode(value: Value) -> str:
        if not isinstance(value, str):
            raise Unfit("takes text")
        if "\0" in value or not value.isascii():
            _refuse_unstorable(value)
        if not value and not empty_text:
            raise Unfit("takes no empty text, since this database keeps null instead; leave it out, or send null")
        if allowed and value not in allowed:
            raise Unfit(f"takes one of {', '.join(allowed)}")
        if length is not None and len(value) > length:
            raise Unfit(f"takes text of at most {length} characters")
        if is_document:
            _refuse_no_document(value)
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


def _refuse_no_document(text: str) -> None:
    """Refuse what is no JSON; how deep it may be and which letters it may hold, the database knows best."""
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except RecursionError:
        return
    except ValueError:
        raise Unfit('takes JSON, in which text stands in quotation marks: {"a": 1}, or "a"') from None


def _refuse_constant(word: str) -> None:
    """Refuse NaN and Infinity, which only Python takes for JSON."""
    raise ValueError(word)


def _time(facts: ColumnFacts, parameters: Parameters) -> Codec:
    kept = parameters.fraction_digits if facts.precision is None else facts.precision
    digits = min(kept, parameters.clock_digits)

    def parse(given: object) -> time:
        try:
            return moments.cut(_clock(given), digits)
        except ValueError:
            raise Unfit("takes a time of day such as 17:30:00") from None

    def canonical(value: object) -> str:
        return parse(value).isoformat()

    return Codec(AttributeType.STRING, canonical, canonical, canonical)


def _clock(given: object) -> time:
    """Return a time of day; PyMySQL hands out how long it is since midnight. Raises ValueError for any other time."""
    match given:
        case time():
            return given
        case timedelta():
            if given.days:
                raise ValueError
            return (moments.EPOCH + given).time()
        case str() if given.startswith("24"):  # midnight to later versions of Python, and to some databases
            raise ValueError
        case _:
            return time.fromisoformat(str(given))


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _integer(kind: Kind, facts: ColumnFacts) -> Codec:
    expected = f"takes a whole number from {kind.low} to {kind.high}"

    def check(value: Value) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not kind.low <= value <= kind.high:
            raise Unfit(expected)
        if facts.allowed and str(value) not in facts.allowed:
            raise Unfit(f"takes one of {', '.join(facts.allowed)}")
        return value

    def decode(raw: object) -> int:
        if isinstance(raw, int | Decimal | float) and raw == int(raw):
            # MariaDB's ODBC driver hands out four bytes without a sign as if they had one.
            return int(raw) + kind.high + 1 if raw < 0 and kind.low == 0 else int(raw)
        if isinstance(raw, str):
            return parse(raw)
        raise Unfit("holds something else than a whole number")

    def parse(text: str) -> int:
        try:
            return check(int(text))
        except ValueError:
            raise Unfit(expected) from None

    def beside(value: Value) -> Neighbours:
        found = neighbours.whole(_as_decimal(value, expected), kind)
        return Neighbours(_sendable(found.below), _sendable(found.above))

    return Codec(AttributeType.INTEGER, lambda value: _sendable(check(value)), decode, parse, beside)


def _sendable(number: object) -> object:
    """Return a whole number as every driver takes it: pyodbc takes no int of more than eight bytes with a sign."""
    return Decimal(number) if isinstance(number, int) and number > EIGHT_BYTES_MAX else number


def _decimal(facts: ColumnFacts, parameters: Parameters) -> Codec:
    expected = _decimal_words(facts, parameters)

    def check(number: Decimal) -> Decimal:
        _, digits, exponent = number.normalize(neighbours.EXACT).as_tuple()
        if not isinstance(exponent, int):
            raise Unfit(expected)
        if not number:  # fits everywhere, also where no digit may stand before the point
            return number
        if facts.scale is not None and -exponent > facts.scale:
            raise Unfit(expected)
        whole = len(digits) + exponent
        if facts.precision is not None and whole > facts.precision - (facts.scale or 0):
            raise Unfit(expected)
        if parameters.decimal_digits is not None and len(digits) > parameters.decimal_digits:
            raise Unfit(expected)
        return number

    def encode(value: Value) -> object:
        return _as_kept(check(_as_decimal(value, expected)), facts, parameters)

    def decode(raw: object) -> Decimal:
        if type(raw) is Decimal and raw.is_finite():  # this runs for every row of an import
            return raw
        return _as_decimal(raw, "holds something else than a number")

    return Codec(
        AttributeType.DECIMAL,
        encode,
        decode,
        lambda text: check(_as_decimal(text, expected)),
        lambda value: _decimals_beside(_as_decimal(value, expected), facts, parameters),
    )


def _as_kept(number: Decimal, facts: ColumnFacts, parameters: Parameters) -> object:
    """Return a number with as many digits as the column hands out again: the text of an anchor tells 2 from 2.00."""
    if not parameters.native_decimals:
        return format(number.normalize(neighbours.EXACT), "f")
    if facts.scale is None:
        return number
    return number.quantize(Decimal(1).scaleb(-facts.scale), context=neighbours.EXACT)


def _decimals_beside(number: Decimal, facts: ColumnFacts, parameters: Parameters) -> Neighbours:
    if parameters.decimal_digits is not None and not parameters.native_decimals:
        # Kept in eight bytes of floating point, whatever was declared.
        return neighbours.double(number)
    if facts.precision is None:
        return Neighbours(number, number)
    return neighbours.fixed(number, facts.precision, facts.scale or 0)


def _decimal_words(facts: ColumnFacts, parameters: Parameters) -> str:
    if facts.precision is not None and facts.scale is not None and facts.scale < 0:
        return f"takes a number of at most {facts.precision} digits, in steps of {10**-facts.scale}"
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
    limit, spelled = (SINGLE_MAX, "3.4e38") if digits == SINGLE_DIGITS else (sys.float_info.max, "1.7e308")

    def decode(raw: object) -> Decimal:
        number = _as_decimal(raw, "holds something else than a number")
        return Decimal(f"{number:.{digits}g}") if digits == SINGLE_DIGITS else number

    def build(facts: ColumnFacts, _: Parameters) -> Codec:
        expected = f"takes a number of at most {digits} significant digits, up to {spelled}"
        if facts.scale is not None:
            expected += f", {facts.scale} of them after the point"

        def encode(value: Value) -> float:
            number = _as_decimal(value, expected).normalize(neighbours.EXACT)
            rounded = float(number)
            _, kept, exponent = number.as_tuple()
            # DOUBLE(10,2) of MySQL rounds what has more digits after the point.
            is_fine = facts.scale is not None and int(exponent) < -facts.scale
            if len(kept) > digits or abs(rounded) > limit or is_fine:
                raise Unfit(expected)
            return rounded

        def beside(value: Value) -> Neighbours:
            number = _as_decimal(value, expected)
            return neighbours.single(number, digits) if digits == SINGLE_DIGITS else neighbours.double(number)

        return Codec(
            AttributeType.DECIMAL, encode, decode, lambda text: decode(encode(_as_decimal(text, expected))), beside
        )

    return build


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


def _words(inner: Codec, true: str, false: str) -> Codec:
    """Return a codec of booleans that are kept as two values of the column: 'Y' and 'N', 1 and 0, 'X' and ' '."""
    try:
        kept = {True: inner.parse(true), False: inner.parse(false)}
        parameters = {meaning: inner.encode(value) for meaning, value in kept.items()}
    except Unfit as unfit:
        raise Unfit(f"{unfit}, so the configured words for true and false cannot be its values") from None
    meanings = {to_text(value).strip(): meaning for meaning, value in kept.items()}

    def encode(value: Value) -> object:
        if not isinstance(value, bool):
            raise Unfit("takes true or false")
        return parameters[value]

    def decode(raw: object) -> bool:
        found = meanings.get(to_text(inner.decode(raw)).strip())
        if found is None:
            raise Unfit("holds something else than the configured words for true and false")
        return found

    return Codec(AttributeType.BOOLEAN, encode, decode, decode)


_MAKERS: dict[Family, Callable[[ColumnFacts, Parameters], Codec]] = {
    Family.TEXT: _text,
    Family.PADDED_TEXT: _padded_text,
    Family.UUID: lambda _, __: uuids.of_text(),
    Family.TIME: _time,
    Family.DECIMAL: _decimal,
    Family.SINGLE: _floating(SINGLE_DIGITS),
    Family.DOUBLE: _floating(DOUBLE_DIGITS),
    Family.BOOLEAN: _boolean,
    Family.MOMENT: moments.aware,
    Family.NAIVE_MOMENT: moments.naive,
    Family.DATE: moments.midnight,
}

"""Raw JSON values as values of an attribute's type, forgiving where directories still send an older type.

A cloud directory goes on sending the type that it discovered first ("True", "5") after a column's type changed, so a
value is taken where its meaning is certain, and refused with attribute and expected type where it is not.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from connector_host.connectors.contract import Attribute, AttributeType, Value
from connector_host.connectors.errors import InvalidValue
from connector_host.scim.entra import single_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector_host.scim.flows import Slot

_TRUTH: Final = Attribute("active", AttributeType.BOOLEAN)
"""What a state is on the wire."""
TRUTH: Final[Mapping[str, bool]] = {"true": True, "false": False, "1": True, "0": False}
COMPOUND: Final = (dict, list)
"""What JSON has besides single values; `dict | list` would be made anew each time that somebody asks."""
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?\s?([Zz]|[+-]\d\d:?\d\d)?)?")
_DIGITS_MAX: Final = 400
"""Digits of a number, before or after its point; beyond that even the largest column of any database overflows."""
_MOMENT_CHARS: Final = 100


def coerce(slot: Slot, raw: object) -> Value | None:
    """Return the value that the slot's column takes, or None where the raw value is null or empty.

    Raises InvalidValue that names the SCIM path and the expected type, length or choice, never the value.
    """
    return coerce_value(slot.attribute, slot.path, raw)


def coerce_truth(path: str, raw: object) -> bool | None:
    """Return what is said about a state such as `active`, or None where nothing is; raises InvalidValue."""
    truth = coerce_value(_TRUTH, path, raw)
    return None if truth is None else bool(truth)


def coerce_value(attribute: Attribute, path: str, raw: object) -> Value | None:
    """Return the value that the attribute takes, or None where the raw value is null or empty; raises InvalidValue."""
    bare = raw if isinstance(raw, str) else single_value(raw)
    if is_empty(bare):
        return None
    return _READERS[attribute.type](attribute, path, bare)


def is_empty(raw: object) -> bool:
    """Return whether a value says nothing: null, empty text, or a list or object of nothing but such."""
    if isinstance(raw, COMPOUND):
        return all(is_empty(part) for part in (raw.values() if isinstance(raw, dict) else raw))
    return raw is None or raw == ""


def _text(attribute: Attribute, path: str, raw: object) -> Value:
    match raw:
        case str():
            text = raw
        case bool():
            text = "true" if raw else "false"
        case int():
            text = str(raw)
        case Decimal():
            text = format(raw, "f") if abs(raw.adjusted()) < _DIGITS_MAX else str(raw)
        case _:
            raise InvalidValue(path, "expected text.")
    if "\x00" in text:
        raise InvalidValue(path, "text must not contain the character NUL.")
    text = _canonical(attribute, path, text)
    if attribute.max_length is not None and len(text) > attribute.max_length:
        raise InvalidValue(path, f"expected text of at most {attribute.max_length} characters, got {len(text)}.")
    return text


def _canonical(attribute: Attribute, path: str, text: str) -> str:
    """Return the text as the connected system spells it, where it takes certain values only."""
    choices = attribute.canonical_values
    if not choices or text in choices:
        return text
    if not attribute.case_exact:
        for choice in choices:
            if choice.casefold() == text.casefold():
                return choice
    raise InvalidValue(path, f"expected one of {', '.join(choices)}.")


def _boolean(_: Attribute, path: str, raw: object) -> Value:
    match raw:
        case bool():
            return raw
        case str() if raw.strip().lower() in TRUTH:
            return TRUTH[raw.strip().lower()]
        case int() | Decimal() if raw in (0, 1):
            return bool(raw)
        case _:
            raise InvalidValue(path, "expected true or false.")


def _integer(_: Attribute, path: str, raw: object) -> Value:
    if isinstance(raw, bool):
        return int(raw)
    if isinstance(raw, str) and (truth := {"true": 1, "false": 0}.get(raw.strip().lower())) is not None:
        return truth
    number = _number(raw)
    if number is None or number != number.to_integral_value():
        raise InvalidValue(path, "expected a whole number.")
    return int(number)


def _decimal(_: Attribute, path: str, raw: object) -> Value:
    number = None if isinstance(raw, bool) else _number(raw)
    if number is None:
        raise InvalidValue(path, "expected a number.")
    return number


def _number(raw: object) -> Decimal | None:
    """Return the number, or None where it is none, or so large or so small that no column holds it."""
    match raw:
        case int() | Decimal():
            number = Decimal(raw)
        case str() if len(raw) <= _DIGITS_MAX and _NUMBER.fullmatch(raw.strip()):
            try:
                number = Decimal(raw.strip())
            except InvalidOperation:
                return None
        case _:
            return None
    return number if number.is_finite() and abs(number.adjusted()) <= _DIGITS_MAX else None


def _moment(_: Attribute, path: str, raw: object) -> Value:
    """Read RFC 7643 §2.3.5; a moment without an offset is UTC, as .NET's utcNow() writes it."""
    if isinstance(raw, str) and len(raw) <= _MOMENT_CHARS and _MOMENT.fullmatch(raw.strip()):
        try:
            moment = datetime.fromisoformat(raw.strip().upper().replace(" +", "+").replace(" Z", "Z"))
            aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            # In the offset that the sender wrote: a column of dates keeps the date that was meant. It must be a moment
            # of the years 1 to 9999 in UTC, too.
            return aware.astimezone(UTC).astimezone(aware.tzinfo)
        except (ValueError, OverflowError):
            pass
    raise InvalidValue(path, "expected a date and time such as 2026-11-23T08:30:00Z.")


_READERS: Final[Mapping[AttributeType, Callable[[Attribute, str, object], Value]]] = {
    AttributeType.STRING: _text,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.INTEGER: _integer,
    AttributeType.DECIMAL: _decimal,
    AttributeType.DATE_TIME: _moment,
}


def to_wire(slot: Slot, value: Value | None) -> Value | None:
    """Return a value of the column as the slot's type on the wire has it."""
    if slot.is_existence:
        return True
    if slot.state is not None:
        return not slot.state.is_on(value)
    if value is None or slot.wire is slot.attribute.type:
        return value
    return _as_truth(value) if slot.wire is AttributeType.BOOLEAN else _as_text(value)


def _as_truth(value: Value) -> bool:
    return TRUTH.get(value.strip().lower(), False) if isinstance(value, str) else bool(value)


def _as_text(value: Value) -> str:
    """Return what the RFC defines as text, where the column is something else."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)

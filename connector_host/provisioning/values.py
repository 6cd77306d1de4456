"""The values that attributes of a source hold, and how they read as text, truth, number and date.

Knows neither expressions nor SCIM.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import TypeAlias

Scalar: TypeAlias = str | bool | int | float | Decimal | datetime
"""One value; a datetime is always aware."""

Value: TypeAlias = Scalar | tuple["Scalar | Mapping[str, Scalar | None]", ...] | None
"""One value, several (a tuple), or none. An absent attribute and a null are the same thing to a source."""

Values: TypeAlias = Mapping[str, Value]
"""Attribute name to value."""


def is_empty(value: Value) -> bool:
    """Return whether there is nothing in it: null, the empty text, no values, NaN or ∞, which JSON lacks."""
    if isinstance(value, float | Decimal):
        return not isfinite(value) if isinstance(value, float) else not value.is_finite()
    return value is None or value in ("", ())


def to_text(value: Scalar) -> str:
    """Return the value as the expression language writes it: `True`, `42`, `3/16/2020 7:00:00 AM`."""
    match value:
        case bool():
            return "True" if value else "False"
        case datetime():
            return date_text(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def date_text(moment: datetime) -> str:
    """Return a moment in UTC as `M/d/yyyy h:mm:ss tt`, the form that the language's dates have as text."""
    at = in_utc(moment)
    return f"{at.month}/{at.day}/{at.year:04} {at.hour % 12 or 12}:{at:%M:%S} {'PM' if at.hour >= 12 else 'AM'}"  # noqa: PLR2004 - noon


def in_utc(moment: datetime) -> datetime:
    """Return the moment in UTC; one that would lie outside the years 1 to 9999 there keeps its digits."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def to_number(value: Scalar) -> Decimal | None:
    """Return the value as a number, or None where it is none; truth values are 1 and 0."""
    if isinstance(value, datetime):
        return None
    try:
        number = Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def to_truth(value: Scalar) -> bool | None:
    """Return the value as a truth value: text by its spelling, numbers by being non-zero; None where it is neither."""
    match value:
        case bool():
            return value
        case str() if value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        case datetime():
            return None
        case _:
            number = to_number(value)
            return None if number is None else number != 0

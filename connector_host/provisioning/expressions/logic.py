"""The functions that choose, test and calculate."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions.signatures import Function, Kind, Parameter, Scope, Thunk
from connector_host.provisioning.values import Scalar, Value, is_empty, to_number, to_text, to_truth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector_host.provisioning.expressions.syntax import Call


class Ignored(Exception):
    """Not an error, the way out of an expression: the attribute is to be left out of the flow."""


def compare(operator: str, left: Value, right: Value) -> bool:
    """Compare two values as the language does: numbers as numbers, dates as dates, all else as text, case counting.

    Beside a truth value text is what it means, as in a scoping filter: files and directories spell `true` as they like.
    Null equals the empty text, and is neither greater nor less than anything (Microsoft's IIF fails there instead).
    """
    if isinstance(left, tuple) or isinstance(right, tuple):
        raise ExpressionError("several values cannot be compared: use Item, Count or Join")
    if operator not in ("=", "<>") and (is_empty(left) or is_empty(right)):
        return False
    order = _order("" if left is None else left, "" if right is None else right)
    return {
        "=": order == 0,
        "<>": order != 0,
        "<": order < 0,
        "<=": order <= 0,
        ">": order > 0,
        ">=": order >= 0,
    }[operator]


def _order(left: Scalar, right: Scalar) -> int:
    if isinstance(left, bool) != isinstance(right, bool):
        left, right = _truth_of(left), _truth_of(right)
    if isinstance(left, int | Decimal | float) or isinstance(right, int | Decimal | float):
        numbers = to_number(left), to_number(right)
        if numbers[0] is not None and numbers[1] is not None:
            return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])
    if isinstance(left, datetime) and isinstance(right, datetime):
        return (left > right) - (left < right)
    texts = to_text(left), to_text(right)
    return (texts[0] > texts[1]) - (texts[0] < texts[1])


def _truth_of(value: Scalar) -> Scalar:
    """Return the truth value that a text spells; anything else is left as it is."""
    truth = to_truth(value) if isinstance(value, str) and to_number(value) is None else None
    return value if truth is None else truth


def _bit_and(_scope: Scope, left: int, right: int) -> int:
    return left & right


def _to_bool(_scope: Scope, value: Value) -> bool:
    if value is None or isinstance(value, tuple):
        return bool(value)
    return bool(to_truth(value))


def _not(_scope: Scope, value: Value) -> bool:
    return not (value is not None and not isinstance(value, tuple) and to_text(value).lower() == "true")


def _coalesce(_scope: Scope, arguments: Sequence[Thunk]) -> Value:
    return next((value for thunk in arguments if (value := thunk()) is not None), None)


def _ignore(_scope: Scope, value: Value) -> Value:
    if is_empty(value):
        raise Ignored
    return value


def _iif(_scope: Scope, arguments: Sequence[Thunk]) -> Value:
    condition, if_true, if_false = arguments
    return if_true() if _holds(condition()) else if_false()


def _holds(value: Value) -> bool:
    return value is not None and not isinstance(value, tuple) and to_truth(value) is True


def _switch(_scope: Scope, arguments: Sequence[Thunk]) -> Value:
    source = _key(arguments[0]())
    for key, value in zip(arguments[2::2], arguments[3::2], strict=True):
        if _key(key()) == source:
            return value()
    return arguments[1]()


def _key(value: Value) -> str:
    if isinstance(value, tuple):
        raise ExpressionError("Switch compares one value, not several")
    return "" if value is None else to_text(value)


def _pairs(call: Call) -> None:
    if len(call.arguments) % 2:
        raise ExpressionError("Switch takes a source, a default, and pairs of key and value", call.column)


def _is_null(_scope: Scope, value: Value) -> bool:
    return value is None


def _is_null_or_empty(_scope: Scope, value: Value) -> bool:
    return is_empty(value)


def _is_present(_scope: Scope, value: Value) -> bool:
    return not is_empty(value)


def _is_string(_scope: Scope, value: Value) -> bool:
    return isinstance(value, str)


_ANY = (Parameter("expression", Kind.ANY),)

FUNCTIONS: Final[Sequence[Function]] = (
    Function("BitAnd", (Parameter("value1", Kind.NUMBER), Parameter("value2", Kind.NUMBER)), Kind.NUMBER, _bit_and),
    Function("CBool", _ANY, Kind.TRUTH, _to_bool),
    Function("Not", _ANY, Kind.TRUTH, _not),
    Function("Coalesce", (Parameter("source", Kind.ANY, repeats=True),), Kind.ANY, _coalesce, lazy=True),
    Function("IgnoreFlowIfNullOrEmpty", _ANY, Kind.ANY, _ignore),
    Function(
        "IIF",
        (Parameter("condition", Kind.ANY), Parameter("valueIfTrue", Kind.ANY), Parameter("valueIfFalse", Kind.ANY)),
        Kind.ANY,
        _iif,
        lazy=True,
    ),
    Function(
        "Switch",
        (
            Parameter("source", Kind.ANY),
            Parameter("defaultValue", Kind.ANY, optional=True),
            Parameter("key, value", Kind.ANY, repeats=True),
        ),
        Kind.ANY,
        _switch,
        lazy=True,
        check=_pairs,
    ),
    Function("IsNull", _ANY, Kind.TRUTH, _is_null),
    Function("IsNullOrEmpty", _ANY, Kind.TRUTH, _is_null_or_empty),
    Function("IsPresent", _ANY, Kind.TRUTH, _is_present),
    Function("IsString", _ANY, Kind.TRUTH, _is_string),
)

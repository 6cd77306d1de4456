"""Running a compiled expression for one user: arguments become what the parameters ask for, nulls pass through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions import dotnet_dates
from connector_host.provisioning.expressions.signatures import Function, Kind, Parameter, Scope, bounded
from connector_host.provisioning.values import Scalar, Value, to_number, to_text, to_truth

if TYPE_CHECKING:
    from decimal import Decimal

    from connector_host.provisioning.expressions.syntax import Call

Step: TypeAlias = Callable[[Scope], Value]
"""One node of the tree, ready to run."""

NULLS_PASS: Final = frozenset({Kind.TEXT, Kind.NUMBER, Kind.DATE})
"""Kinds whose null makes the whole function null, unless it says otherwise."""


class Outcome(Enum):
    """What an expression may come to besides a value."""

    IGNORED = "ignored"


MAX_DIGITS: Final = 30
"""Digits of the largest number that is taken."""

IGNORED: Final = Outcome.IGNORED
"""The attribute is left out of the flow (IgnoreFlowIfNullOrEmpty)."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Values in order of preference, of which the first that no other user of the target has is to be taken."""

    values: tuple[str, ...]


Result: TypeAlias = Value | Outcome | Candidates


def call_step(function: Function, call: Call, arguments: Sequence[Step | None]) -> Step:
    """Return the step that runs a function over the steps of its arguments."""
    if function.lazy:
        return lambda scope: _lazily(function, scope, arguments)
    plan = list(_plan(function, arguments))
    strict = [
        position
        for position, (parameter, _) in enumerate(plan)
        if parameter.kind in NULLS_PASS and not (parameter.optional or parameter.repeats or function.takes_null)
    ]

    def run(scope: Scope) -> Value:
        scope.seconds_left()
        values = [_given(parameter, steps, scope, call) for parameter, steps in plan]
        if any(values[position] is None for position in strict):
            return None
        return cast("Value", function.body(scope, *values))

    return run


def _plan(function: Function, arguments: Sequence[Step | None]) -> list[tuple[Parameter, Sequence[Step | None]]]:
    """Return which steps fill which parameter; the last one takes all that are left if it repeats."""
    plan: list[tuple[Parameter, Sequence[Step | None]]] = []
    for position, parameter in enumerate(function.parameters):
        rest = arguments[position:] if parameter.repeats else arguments[position : position + 1]
        plan.append((parameter, rest))
    return plan


def _given(parameter: Parameter, steps: Sequence[Step | None], scope: Scope, call: Call) -> object:
    if parameter.repeats:
        return [_converted(step(scope), parameter, call) for step in steps if step is not None]
    step = steps[0] if steps else None
    return _converted(None if step is None else step(scope), parameter, call)


def _lazily(function: Function, scope: Scope, arguments: Sequence[Step | None]) -> Value:
    scope.seconds_left()
    thunks = [(lambda step=step: None if step is None else step(scope)) for step in arguments]
    return cast("Value", function.body(scope, thunks))


def _converted(value: Value, parameter: Parameter, call: Call) -> object:
    """Return the value as the parameter's kind; raises ExpressionError where it cannot be that."""
    match parameter.kind:
        case Kind.ANY:
            return value
        case Kind.MANY | Kind.ROLES:
            return value if isinstance(value, tuple) else () if value is None else (value,)
    single = _single(value, parameter, call)
    return None if single is None else _scalar(single, parameter, call)


def _single(value: Value, parameter: Parameter, call: Call) -> Scalar | None:
    if not isinstance(value, tuple):
        return value
    if len(value) > 1 or (value and isinstance(value[0], Mapping)):
        raise ExpressionError(f"{call.name}: {parameter.name} takes one value, not several", call.column)
    return cast("Scalar", value[0]) if value else None


def _scalar(value: Scalar, parameter: Parameter, call: Call) -> Scalar | None:
    converted: Scalar | None
    match parameter.kind:
        case Kind.NUMBER:
            if value == "":
                return None
            converted = _integer(to_number(value))
        case Kind.TRUTH:
            converted = to_truth(value)
        case Kind.DATE:
            if value == "":
                return None
            converted = value if isinstance(value, datetime) else dotnet_dates.read_freely(to_text(value))
        case _:
            return bounded(to_text(value))
    if converted is None:
        raise ExpressionError(f"{call.name}: {parameter.name} is not {parameter.kind}", call.column)
    return converted


def _integer(number: Decimal | None) -> int | None:
    """Return a number as a whole one; None where it is none, or absurdly large."""
    if number is None or number.adjusted() > MAX_DIGITS or number != number.to_integral_value():
        return None
    return int(number)

"""What a function of the language is: its parameters, what it returns, and the bounds that it works within."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from connector_host import clock
from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.values import Value, Values

if TYPE_CHECKING:
    from datetime import datetime

    from connector_host.provisioning.expressions.syntax import Call

MAX_OUTPUT_CHARS: Final = 100_000
"""The longest text that a function may make, so that no expression can exhaust the memory."""

TIME_LIMIT_S: Final = 0.5
"""The time that one evaluation may take, regular expressions included."""


class Kind(StrEnum):
    """What an argument or a result is, as far as it can be told before there is a user."""

    TEXT = "text"
    TRUTH = "true or false"
    NUMBER = "a number"
    DATE = "a date"
    MANY = "several values"
    ROLES = "role assignments"
    REFERENCE = "a reference to another object"
    ANY = "any value"


FITS: Final = {
    Kind.TEXT: {Kind.TEXT, Kind.TRUTH, Kind.NUMBER, Kind.DATE, Kind.REFERENCE, Kind.ANY},
    Kind.TRUTH: {Kind.TRUTH, Kind.TEXT, Kind.ANY},
    Kind.NUMBER: {Kind.NUMBER, Kind.TEXT, Kind.ANY},
    Kind.DATE: {Kind.DATE, Kind.TEXT, Kind.ANY},
    Kind.MANY: set(Kind),
    Kind.ROLES: {Kind.ROLES, Kind.ANY},
    Kind.ANY: set(Kind),
}
"""Which kinds may be given where one is asked for; the language converts between simple ones by itself."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an evaluation may see: the user, the time, and how much of its own time is left."""

    values: Values
    now: datetime
    deadline_s: float = field(default_factory=lambda: clock.monotonic_s() + TIME_LIMIT_S)

    def seconds_left(self) -> float:
        """Return what is left of the time limit; raises ExpressionError where nothing is."""
        left = self.deadline_s - clock.monotonic_s()
        if left <= 0:
            raise ExpressionError(f"the evaluation took longer than {TIME_LIMIT_S:g} s")
        return left


Thunk: TypeAlias = Callable[[], Value]
"""An argument that is evaluated only if it is asked for."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; the last one may repeat."""

    name: str
    kind: Kind = Kind.TEXT
    optional: bool = False
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language.

    `body` takes the scope and one converted value for each parameter (None for null or left out), and a sequence
    of the rest for one that repeats. Where a required text, number or date is null the result is null, and the body
    isn't called, unless `takes_null`. A `lazy` body takes the scope and a thunk for each argument instead.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Kind
    body: Callable[..., Any]  # each body has its own parameters; the result is a Value
    takes_null: bool = False
    lazy: bool = False
    check: Callable[[Call], None] | None = None
    """Looks at the constants among the arguments before there is a user; raises ExpressionError."""

    @property
    def required(self) -> int:
        """Return how many arguments must be given, empty ones before the last that is needed included."""
        return max((at for at, parameter in enumerate(self.parameters, 1) if not parameter.optional), default=0)


def bounded(text: str) -> str:
    """Return the text; raises ExpressionError where it is longer than the language allows."""
    within_bounds(len(text))
    return text


def within_bounds(length: int) -> None:
    """Raise ExpressionError where a text of this length would be longer than the language allows."""
    if length > MAX_OUTPUT_CHARS:
        raise ExpressionError(f"the result is longer than {MAX_OUTPUT_CHARS} characters")


def joined(parts: Sequence[str], separator: str = "") -> str:
    """Return the parts joined, having looked at the length first."""
    within_bounds(sum(map(len, parts)) + len(separator) * max(len(parts) - 1, 0))
    return separator.join(parts)

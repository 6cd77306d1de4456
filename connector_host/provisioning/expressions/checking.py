"""From the tree of an expression to something that runs, with all that can be known before there is a user checked.

Names, the number of arguments, their kinds, and the constants among them; each mistake has its column.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector_host import clock
from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions import dotnet_dates, logic, syntax
from connector_host.provisioning.expressions.catalogue import FUNCTIONS, UNIQUE
from connector_host.provisioning.expressions.evaluation import IGNORED, Candidates, Result, Step, call_step
from connector_host.provisioning.expressions.signatures import FITS, Function, Kind, Parameter, Scope
from connector_host.provisioning.values import is_empty, to_number, to_text
from connector_host.spellings import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from connector_host.provisioning.values import Values

CANDIDATES_MIN = 2
"""SelectUniqueValue chooses among two rules at the least."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was checked, ready to be evaluated for any number of users."""

    text: str
    kind: Kind
    """What it comes to, as far as that is known."""
    attributes: frozenset[str]
    """The attributes of the source that it reads."""
    functions: frozenset[str]
    """The functions that it calls."""
    steps: tuple[Step, ...] = field(repr=False)

    @property
    def redacted(self) -> bool:
        """Return whether its values are not to be shown in the provisioning log."""
        return "Redact" in self.functions

    @property
    def chooses(self) -> bool:
        """Return whether it offers candidates of which the target decides."""
        return UNIQUE in self.functions

    def evaluate(self, values: Values, now: datetime | None = None) -> Result:
        """Return what it comes to for this user: a value, IGNORED, or Candidates.

        Raises ExpressionError, without the values themselves, where it cannot be evaluated for this user.
        """
        scope = Scope(values, now or clock.now())
        try:
            if not self.chooses:
                return self.steps[0](scope)
            results = [step(scope) for step in self.steps]
        except logic.Ignored:
            return IGNORED
        texts = [to_text(value) for value in results if not isinstance(value, tuple) and value is not None]
        return Candidates(tuple(dict.fromkeys(text for text in texts if not is_empty(text))))


def compile_expression(text: str, *, attributes: Mapping[str, Kind] | None = None) -> Expression:
    """Return the expression, checked; `attributes` names what the source has, None if that isn't known.

    Raises ExpressionError with the column (from 1) of the first mistake.
    """
    checker = _Checker(attributes)
    node = syntax.parse(text)
    if isinstance(node, syntax.Call) and node.name == UNIQUE:
        steps, kind = checker.candidates(node), Kind.TEXT
    else:
        step, kind = checker.step(node)
        steps = (step,)
    return Expression(text, kind, frozenset(checker.read), frozenset(checker.called), steps)


class _Checker:
    """Walks the tree once and collects what it reads and calls."""

    def __init__(self, attributes: Mapping[str, Kind] | None) -> None:
        self._attributes = attributes
        self.read: set[str] = set()
        self.called: set[str] = set()

    def candidates(self, call: syntax.Call) -> tuple[Step, ...]:
        self.called.add(UNIQUE)
        rules = [argument for argument in call.arguments if argument is not None]
        if len(rules) < CANDIDATES_MIN or len(rules) != len(call.arguments):
            raise ExpressionError(
                f"{UNIQUE} chooses among {CANDIDATES_MIN} rules or more, none of them empty", call.column
            )
        return tuple(self.step(rule)[0] for rule in rules)

    def step(self, node: syntax.Node) -> tuple[Step, Kind]:
        match node:
            case syntax.Constant(value):
                return (lambda _scope: value), _kind_of(value)
            case syntax.AttributeOf():
                return self._attribute(node)
            case syntax.Comparison(operator, left, right):
                first, second = self.step(left)[0], self.step(right)[0]
                return (lambda scope: logic.compare(operator, first(scope), second(scope))), Kind.TRUTH
            case syntax.Call():
                return self._call(node)

    def _attribute(self, node: syntax.AttributeOf) -> tuple[Step, Kind]:
        name = node.name
        if self._attributes is not None and name not in self._attributes:
            raise ExpressionError(f"the source has no attribute {name}{_nearest(name, self._attributes)}", node.column)
        self.read.add(name)
        return (lambda scope: scope.values.get(name)), (self._attributes or {}).get(name, Kind.ANY)

    def _call(self, call: syntax.Call) -> tuple[Step, Kind]:
        function = FUNCTIONS.get(call.name)
        if function is None:
            raise ExpressionError(_unknown(call.name), call.column)
        self.called.add(call.name)
        _count(function, call)
        steps: list[Step | None] = []
        for position, argument in enumerate(_taken(function, call)):
            parameter = function.parameters[min(position, len(function.parameters) - 1)]
            steps.append(None if argument is None else self._argument(function, parameter, argument))
        if function.check is not None:
            function.check(call)
        return call_step(function, call, steps), function.returns

    def _argument(self, function: Function, parameter: Parameter, node: syntax.Node) -> Step:
        step, kind = self.step(node)
        if kind not in FITS[parameter.kind]:
            raise ExpressionError(
                f"{function.name}: {parameter.name} takes {parameter.kind}, this is {kind}", node.column
            )
        if isinstance(node, syntax.Constant):
            _constant(function, parameter, node)
        return step


def _kind_of(value: object) -> Kind:
    return Kind.TRUTH if isinstance(value, bool) else Kind.TEXT if isinstance(value, str) else Kind.NUMBER


def _unknown(name: str) -> str:
    if name == UNIQUE:
        return f"{UNIQUE} cannot be nested: it must be the outermost function"
    return f"there is no function {name}{_nearest(name, FUNCTIONS)}"


def _nearest(name: str, names: Collection[str]) -> str:
    close = nearest(name, names)
    return f" (names are case-sensitive; did you mean {close}?)" if close is not None else ""


def _taken(function: Function, call: syntax.Call) -> tuple[syntax.Node | None, ...]:
    """Return the arguments without the empty ones that go beyond the parameters."""
    repeats = bool(function.parameters) and function.parameters[-1].repeats
    return call.arguments if repeats else call.arguments[: len(function.parameters)]


def _count(function: Function, call: syntax.Call) -> None:
    """Check the number of arguments, and that none that is required was left empty."""
    given, parameters = len(call.arguments), function.parameters
    repeats = bool(parameters) and parameters[-1].repeats
    # Microsoft writes trailing commas for arguments that are left out: empty ones beyond the last are no mistake.
    surplus = [argument for argument in call.arguments[len(parameters) :] if argument is not None]
    if given < function.required or (surplus and not repeats):
        names = ", ".join(f"[{p.name}]" if p.optional else f"{p.name}…" if p.repeats else p.name for p in parameters)
        raise ExpressionError(f"{function.name} takes ({names}), this has {given} arguments", call.column)
    for parameter, argument in zip(parameters, call.arguments, strict=False):
        if argument is None and not parameter.optional and not function.lazy:
            raise ExpressionError(f"{function.name}: {parameter.name} is empty", call.column)


def _constant(function: Function, parameter: Parameter, node: syntax.Constant) -> None:
    """Check a constant against the kind of its parameter, as far as text could be anything."""
    try:
        if parameter.kind is Kind.DATE and isinstance(node.value, str):
            dotnet_dates.read_freely(node.value)
    except ExpressionError as failure:
        raise ExpressionError(f"{function.name}: {parameter.name}: {failure.reason}", node.column) from None
    if parameter.kind is Kind.NUMBER and to_number(node.value) is None:
        raise ExpressionError(f"{function.name}: {parameter.name} takes {parameter.kind}", node.column)

"""Replace and its five modes: plain text, a template, and regular expressions with or without a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions import patterns
from connector_host.provisioning.expressions.signatures import (
    Function,
    Kind,
    Parameter,
    Scope,
    bounded,
    within_bounds,
)
from connector_host.provisioning.expressions.syntax import Call, Constant

if TYPE_CHECKING:
    from collections.abc import Sequence

    import regex

_PATTERN, _GROUP = 2, 3
"""Where the pattern and the name of its group stand among the arguments."""


def _replace(  # noqa: PLR0913, PLR0917 - the documented parameters
    scope: Scope,
    source: str | None,
    old: str | None,
    pattern: str | None,
    group: str | None,
    new: str | None,
    other: str | None,
    template: str | None,
) -> str | None:
    if pattern and group and new is None:
        return source or _extracted(scope, pattern, group, other)
    if source is None:
        return None
    if old and template is not None:
        return _plainly(template, old, source)
    if old and new is not None:
        return _plainly(source, old, new)
    if pattern and new is not None:
        return _by_pattern(scope, source, pattern, group, new)
    raise ExpressionError("Replace needs oldValue or regexPattern, and what is to come in its place")


def _plainly(text: str, old: str, new: str) -> str:
    within_bounds(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _extracted(scope: Scope, pattern: str, group: str, other: str | None) -> str | None:
    if other is None:
        return None
    match = patterns.found(patterns.compiled(pattern), other, scope.seconds_left())
    return None if match is None else match[_known(group, match.re)]


def _by_pattern(scope: Scope, source: str, pattern: str, group: str | None, new: str) -> str:
    expression = patterns.compiled(pattern)
    name = _known(group, expression) if group else None
    total = 0

    def by(match: regex.Match[str]) -> str:
        nonlocal total
        piece = patterns.expanded(new, match) if name is None else _with_group(match, name, new)
        total += len(piece)
        within_bounds(total)
        return piece

    return bounded(patterns.replaced(expression, by, source, scope.seconds_left()))


def _with_group(match: regex.Match[str], name: str, new: str) -> str:
    start, end = match.span(name)
    if start < 0:
        return match[0]
    begin = match.start()
    return match[0][: start - begin] + new + match[0][end - begin :]


def _known(group: str, pattern: regex.Pattern[str]) -> str:
    if group not in pattern.groupindex:
        raise ExpressionError("Replace names a group that its regular expression doesn't have")
    return group


def _check(call: Call) -> None:
    pattern, group = (_constant(call, position) for position in (_PATTERN, _GROUP))
    if pattern is None:
        return
    try:
        expression = patterns.compiled(str(pattern.value))
        if group is not None and group.value:
            _known(str(group.value), expression)
    except ExpressionError as failure:
        raise ExpressionError(failure.reason, pattern.column) from None


def _constant(call: Call, position: int) -> Constant | None:
    argument = call.arguments[position] if position < len(call.arguments) else None
    return argument if isinstance(argument, Constant) else None


_OPTIONAL = (
    "oldValue",
    "regexPattern",
    "regexGroupName",
    "replacementValue",
    "replacementAttributeName",
    "template",
)

FUNCTIONS: Final[Sequence[Function]] = (
    Function(
        "Replace",
        (Parameter("source"), *(Parameter(name, optional=True) for name in _OPTIONAL)),
        Kind.TEXT,
        _replace,
        takes_null=True,
        check=_check,
    ),
)

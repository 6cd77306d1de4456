"""Which values of a multi-valued attribute a value filter selects: a few values in hand, never a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TESTS: Final[Mapping[CompareOperator, Callable[[str, str], bool]]] = {
    CompareOperator.eq: lambda held, asked: held == asked,
    CompareOperator.ne: lambda held, asked: held != asked,
    CompareOperator.co: lambda held, asked: asked in held,
    CompareOperator.sw: lambda held, asked: held.startswith(asked),
    CompareOperator.ew: lambda held, asked: held.endswith(asked),
    CompareOperator.gt: lambda held, asked: held > asked,
    CompareOperator.ge: lambda held, asked: held >= asked,
    CompareOperator.lt: lambda held, asked: held < asked,
    CompareOperator.le: lambda held, asked: held <= asked,
}


def selects(val_filter: FilterNode, element: Mapping[str, object]) -> bool:
    """Return whether the filter selects this element; its keys are lower case, text is compared without case."""
    match val_filter:
        case Not(expr=inner):
            return not selects(inner, element)
        case LogicalExpr(op=op, terms=terms):
            every = all if op is LogicalOperator.and_ else any
            return every(selects(term, element) for term in terms)
        case Present(attr_path=AttrPath(attr=name)):
            return element.get(name.lower()) not in (None, "")
        case Comparison(attr_path=AttrPath(attr=name), op=op, value=value):
            return _compares(op, element.get(name.lower()), value)
        case _:
            return False


def _compares(op: CompareOperator, held: object, asked: object) -> bool:
    """Compare as text; a missing value differs from everything but null."""
    if held is None or asked is None:
        return (held is asked) is (op is CompareOperator.eq)
    return _TESTS[op](str(held).lower(), str(asked).lower())

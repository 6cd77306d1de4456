"""The functions that work on several values, and on the roles that a directory assigns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions.signatures import Function, Kind, Parameter, Scope, bounded, joined
from connector_host.provisioning.expressions.syntax import Call, Constant
from connector_host.provisioning.values import Scalar, Value, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

ROLE_TYPE: Final = "WindowsAzureActiveDirectoryRole"
"""What the cloud service gives as the type of a role (Microsoft: customize application attributes)."""


def _count(_scope: Scope, values: tuple[object, ...]) -> int:
    return len(values)


def _item(_scope: Scope, values: tuple[Scalar, ...], index: int | None) -> Value:
    if index is None or index < 1:
        raise ExpressionError("Item counts from 1")
    return values[index - 1] if index <= len(values) else None


def _index_from_one(call: Call) -> None:
    index = call.arguments[1]
    if isinstance(index, Constant) and isinstance(index.value, int) and index.value < 1:
        raise ExpressionError("Item counts from 1", index.column)


def _join(_scope: Scope, separator: str | None, sources: Sequence[tuple[object, ...]]) -> str:
    parts = [_text(value) for source in sources for value in source if value is not None]
    return joined([part for part in parts if part], separator or "")


def _text(value: object) -> str:
    if isinstance(value, Mapping | list):
        raise ExpressionError("Join takes texts, not objects: use SingleAppRoleAssignment for roles")
    return to_text(value)  # type: ignore[arg-type] # what is no object is a scalar


def _unique(_scope: Scope, values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    # An object from a JSON source cannot be hashed; the same parts in any order make the same object.
    first: dict[str, Scalar] = {}
    for value in values:
        first.setdefault(_identity(value), value)
    return tuple(first.values())


def _identity(value: object) -> str:
    return f"{type(value).__name__} {json.dumps(value, sort_keys=True, default=str)}"


def _split(_scope: Scope, source: str, delimiter: str) -> tuple[str, ...]:
    if not delimiter:
        raise ExpressionError("Split needs a delimiter")
    if not source:
        return ()
    bounded(source)
    return tuple(part.strip() for part in source.split(delimiter))


def _roles(_scope: Scope, assignments: tuple[object, ...]) -> tuple[Mapping[str, Scalar], ...]:
    return tuple(_role(assignment) for assignment in assignments)


def _role(assignment: object) -> Mapping[str, Scalar]:
    value, display = _names(assignment)
    return {"primary": False, "type": ROLE_TYPE, "display": display, "value": value}


def _single(_scope: Scope, assignments: tuple[object, ...]) -> str | None:
    if len(assignments) > 1:
        raise ExpressionError("SingleAppRoleAssignment is for users with one role, this one has several")
    return _names(assignments[0])[0] if assignments else None


def _names(assignment: object) -> tuple[str, str]:
    """Return the value of a role and the name that people see; an assignment may be a text or an object."""
    if not isinstance(assignment, Mapping):
        return str(assignment), str(assignment)
    display = assignment.get("displayName") or assignment.get("display")
    value = assignment.get("value") or display or assignment.get("id")
    if value is None:
        raise ExpressionError("a role assignment has neither value, displayName nor id")
    return str(value), str(display or value)


_MANY = Parameter("attribute", Kind.MANY)
_ASSIGNMENTS = (Parameter("appRoleAssignments", Kind.MANY),)

FUNCTIONS: Final[Sequence[Function]] = (
    Function("Count", (_MANY,), Kind.NUMBER, _count),
    Function("Item", (_MANY, Parameter("index", Kind.NUMBER)), Kind.ANY, _item, takes_null=True, check=_index_from_one),
    Function(
        "Join",
        (Parameter("separator"), Parameter("source", Kind.MANY, repeats=True)),
        Kind.TEXT,
        _join,
        takes_null=True,
    ),
    Function("RemoveDuplicates", (_MANY,), Kind.MANY, _unique),
    Function("Split", (Parameter("source"), Parameter("delimiter")), Kind.MANY, _split),
    Function("AppRoleAssignmentsComplex", _ASSIGNMENTS, Kind.ROLES, _roles),
    Function("AssertiveAppRoleAssignmentsComplex", _ASSIGNMENTS, Kind.ROLES, _roles),
    Function("SingleAppRoleAssignment", _ASSIGNMENTS, Kind.TEXT, _single),
)

"""Who is in scope: filters of clauses, all of a filter and any of the filters (Microsoft: scoping filters).

A clause is false for a null or empty value, whatever it asks for, save for IS NULL. Regular expressions must match
the whole value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from connector_host.errors import ConfigurationError
from connector_host.provisioning.errors import ExpressionError, Refused
from connector_host.provisioning.expressions import patterns
from connector_host.provisioning.expressions.signatures import TIME_LIMIT_S, Kind
from connector_host.provisioning.settings.jobs import ClauseSettings, FilterSettings, JobSettings, Operator
from connector_host.provisioning.values import Scalar, Value, Values, is_empty, to_number, to_text, to_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

UNUSABLE: Final = {
    "appRoleAssignments": 'role assignments cannot be compared; use `assignment = "assigned"`',
    "userType": "Microsoft's service doesn't offer it, so the same job would mean something else there",
    "manager": "it is a reference to another user",
    "members": "it holds references to other objects",
    "IsMemberOf": "membership is not known to the source of a user",
    "accountExpires": "it is a date",
}
"""Attributes that no scoping filter may use, and why (Microsoft: known issues of application provisioning)."""

UNUSABLE_KINDS: Final = {
    Kind.DATE: "dates cannot be compared in a scoping filter",
    Kind.MANY: "it may have several values",
    Kind.ROLES: "it may have several values",
    Kind.REFERENCE: "it is a reference to another object",
}

_UNUSABLE: Final = {name.lower(): reason for name, reason in UNUSABLE.items()}

INTEGERS_ONLY: Final = frozenset(
    {Operator.GREATER_THAN, Operator.GREATER_THAN_OR_EQUALS, Operator.BITS_SET, Operator.BITS_NOT_SET}
)


DIGITS_MAX: Final = 100
"""Numbers with more digits than about so many are not compared: `1e1000000` would be written out."""


@dataclass(frozen=True, slots=True)
class Scoped:
    """Whether a user is to have an account, and why not if not."""

    wanted: bool
    reason: str = ""
    leaves: bool = False
    """Whether it is the scope or the assignment that keeps the user out, rather than the user being disabled."""


def judge(job: JobSettings, values: Values) -> Scoped:
    """Return whether this user is to have an enabled account; raises Refused where the source does not say that."""
    if doubt := doubt_of(job, values):
        raise Refused("ImportSkipped", f"{doubt}: nobody is disabled or enabled by a guess")
    name = job.enabled_attribute
    # A user without the attribute is not said to be disabled.
    if name is not None and name in values and not _truth(values[name]):
        return Scoped(wanted=False, reason="the user is disabled in the source")
    if job.assignment == "assigned" and not _assigned(values.get(job.assigned_attribute)):
        return Scoped(wanted=False, reason="the user is not assigned", leaves=True)
    if job.scope and not any(_passes(one, values) for one in job.scope):
        return Scoped(wanted=False, reason="no scoping filter lets the user in", leaves=True)
    return Scoped(wanted=True)


def doubt_of(job: JobSettings, values: Values) -> str:
    """Return why nobody can tell whether the source says that this user is enabled; empty where it is clear."""
    name = job.enabled_attribute
    if name is None or name not in values or _truth(values[name]) is not None:
        return ""
    return f"enabled_attribute: {name} is {'empty' if is_empty(values[name]) else 'neither true nor false'}"


def check_scope(
    filters: Sequence[FilterSettings],
    attributes: Mapping[str, Kind] | None,
    kinds: Mapping[str, Kind] | None = None,
) -> None:
    """Raise ConfigurationError, naming attribute and reason, where a filter cannot be used with this source.

    `attributes` is all that the source has, None if that isn't known; `kinds` is what is known of some of them.
    """
    for number, one in enumerate(filters, 1):
        for clause in one.clauses:
            if reason := _objection(clause, attributes, {**(attributes or {}), **(kinds or {})}):
                raise ConfigurationError(f"scope {one.title or number}: {clause.attribute}: {reason}.")


def check_switches(job: JobSettings, attributes: Mapping[str, Kind] | None) -> None:
    """Raise ConfigurationError where the attribute that enables or assigns users is none that the source has."""
    if attributes is None:
        return
    assigned = job.assigned_attribute if job.assignment == "assigned" else None
    wrong = [
        f"{setting}: {name}: the source has no such attribute."
        for setting, name in (("enabled_attribute", job.enabled_attribute), ("assigned_attribute", assigned))
        if name is not None and name not in attributes
    ]
    if wrong:
        raise ConfigurationError("\n".join(wrong))


def _objection(clause: ClauseSettings, attributes: Mapping[str, Kind] | None, kinds: Mapping[str, Kind]) -> str:
    if attributes is not None and clause.attribute not in attributes and _base(clause.attribute) not in _UNUSABLE:
        return "the source has no such attribute"
    return unusable(clause.attribute, kinds.get(clause.attribute, Kind.ANY)) or _objection_to_value(clause)


def unusable(attribute: str, kind: Kind) -> str:
    """Return why no scoping filter may use an attribute of this name and kind; empty where one may."""
    return _UNUSABLE.get(_base(attribute)) or UNUSABLE_KINDS.get(kind, "")


def _base(attribute: str) -> str:
    """Return the name that counts: `manager` of `urn:…:User:manager.displayName`, whatever its case."""
    return re.split(r"[.\[]", attribute.rpartition(":")[2] if attribute.startswith("urn:") else attribute)[0].lower()


def _objection_to_value(clause: ClauseSettings) -> str:
    if clause.operator in INTEGERS_ONLY and _integer(clause.value) is None:
        return f"{clause.operator} compares integers only"
    if clause.operator in (Operator.REGEX_MATCH, Operator.NOT_REGEX_MATCH):
        try:
            patterns.compiled(str(clause.value))
        except ExpressionError as failure:
            return failure.reason
    return ""


def _passes(one: FilterSettings, values: Values) -> bool:
    return all(_holds(clause, values.get(clause.attribute)) for clause in one.clauses)


def _holds(clause: ClauseSettings, value: Value) -> bool:
    if clause.operator is Operator.IS_NULL:
        return is_empty(value)
    if clause.operator is Operator.IS_NOT_NULL:
        return not is_empty(value)
    if is_empty(value) or value is None or isinstance(value, tuple):
        return False
    return _TESTS[clause.operator](value, clause.value)


def _matches(value: Scalar, pattern: object) -> bool:
    try:
        return patterns.compiled(str(pattern)).fullmatch(to_text(value), timeout=TIME_LIMIT_S) is not None
    except TimeoutError:
        raise ExpressionError("the regular expression of a scoping filter took too long on this value") from None


def _equals(value: Scalar, other: object) -> bool:
    # A file spells a truth value as it likes, so one that the job has without quotes is compared as what it means.
    return to_truth(value) is other if isinstance(other, bool) else to_text(value) == str(other)


def _numbers(value: Scalar, other: object) -> tuple[int, int] | None:
    """Return both as integers, or None where one of them is none."""
    left, right = _integer(value), _integer(other)
    return None if left is None or right is None else (left, right)


def _integer(value: object) -> int | None:
    if not isinstance(value, str | bool | int | float | Decimal | datetime):
        return None
    number = to_number(value)
    if number is None or number.adjusted() > DIGITS_MAX or number != number.to_integral_value():
        return None
    return int(number)


def _greater(value: Scalar, other: object) -> bool:
    return (pair := _numbers(value, other)) is not None and pair[0] > pair[1]


def _not_less(value: Scalar, other: object) -> bool:
    return (pair := _numbers(value, other)) is not None and pair[0] >= pair[1]


def _bits(value: Scalar, other: object) -> bool:
    return (pair := _numbers(value, other)) is not None and pair[0] & pair[1] == pair[1]


def _no_bits(value: Scalar, other: object) -> bool:
    return (pair := _numbers(value, other)) is not None and pair[0] & pair[1] != pair[1]


_TESTS: Final[Mapping[Operator, Callable[[Scalar, object], bool]]] = {
    Operator.BITS_SET: _bits,
    Operator.BITS_NOT_SET: _no_bits,
    Operator.ENDS_WITH: lambda value, other: to_text(value).endswith(str(other)),
    Operator.EQUALS: _equals,
    Operator.GREATER_THAN: _greater,
    Operator.GREATER_THAN_OR_EQUALS: _not_less,
    Operator.INCLUDES: lambda value, other: str(other) in to_text(value),
    Operator.IS_FALSE: lambda value, _other: to_truth(value) is False,
    Operator.IS_TRUE: lambda value, _other: to_truth(value) is True,
    Operator.NOT_EQUALS: lambda value, other: not _equals(value, other),
    Operator.NOT_REGEX_MATCH: lambda value, other: not _matches(value, other),
    Operator.REGEX_MATCH: _matches,
}


def _truth(value: Value) -> bool | None:
    return None if value is None or isinstance(value, tuple) else to_truth(value)


def _assigned(value: Value) -> bool:
    if is_empty(value) or value is None:
        return False
    return isinstance(value, tuple) or to_truth(value) is not False

"""A state of a user that a column tells by its value: disabled or not, deleted or not.

The value may be a boolean, a text, a number, a time ("since when") or null. One of the two states is told by its mark
and the other is everything else, so that a row which holds something unforeseen is still in exactly one state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from connector_host import clock
from connector_host.connectors.contract import (
    Attribute,
    AttributeType,
    Comparator,
    Compare,
    Condition,
    Not,
    Present,
    Value,
)
from connector_host.connectors.errors import InvalidValue
from connector_host.errors import ConfigurationError
from connector_host.scim.coercion import coerce_value


class Moving(Enum):
    """Marks that are no fixed value."""

    NOW = "{now}"
    NULL = "{null}"


Mark: TypeAlias = Value | Moving

MOVING: Final = {mark.value: mark for mark in Moving}


@dataclass(frozen=True, slots=True)
class State:
    """A state that is on while the column holds `on`, and off otherwise, which is written as `off`."""

    attribute: Attribute
    on: Mark
    off: Mark

    def is_on(self, value: Value | None) -> bool:
        """Return whether a row that holds this value is in the state."""
        if self.on is Moving.NULL:
            return value is None or value == ""
        if self.on is Moving.NOW:
            return value is not None
        if isinstance(self.on, str) and isinstance(value, str) and not self.attribute.case_exact:
            return self.on.lower() == value.lower()
        return value == self.on

    def condition(self) -> Condition:
        """Return the condition that a row is in the state; says the same as `is_on`."""
        name = self.attribute.name
        if self.on is Moving.NULL:
            return Not(Present(name))
        if isinstance(self.on, Moving):
            return Present(name)
        return Compare(name, Comparator.EQ, self.on)

    def value(self, *, on: bool) -> Value | None:
        """Return what to write so that the state is on, or off."""
        mark = self.on if on else self.off
        if mark is Moving.NULL:
            return None
        return clock.now() if isinstance(mark, Moving) else mark


def make_state(attribute: Attribute, key: str, on: bool | int | str, off: bool | int | str) -> State:  # noqa: FBT001 - values of the configuration
    """Return the state; raise ConfigurationError naming the key where the column cannot hold one of the marks."""
    return State(attribute, _mark(attribute, key, on), _mark(attribute, key, off))


def _mark(attribute: Attribute, key: str, given: bool | int | str) -> Mark:  # noqa: FBT001 - a value of the configuration
    mark = MOVING.get(given) if isinstance(given, str) else None
    if mark is Moving.NOW and attribute.type is not AttributeType.DATE_TIME:
        raise ConfigurationError(f"{key}: column {attribute.name} is {attribute.type}, so it cannot hold the time.")
    if mark is Moving.NULL and not attribute.nullable:
        raise ConfigurationError(f"{key}: column {attribute.name} is NOT NULL, so it cannot hold null.")
    if mark is not None:
        return mark
    try:
        value = coerce_value(attribute, f"column {attribute.name}", given)
    except InvalidValue as failure:
        raise ConfigurationError(f"{key}: {failure}") from failure
    if value is None:
        raise ConfigurationError(f'{key}: column {attribute.name} cannot be told by empty text; write "{{null}}".')
    return value

"""Single exports, as an administrator types them: from a JSON document to an export by attribute names."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from connector_host.connectors.contract import Add, AttributeType, Delete, Export, Modify, Value
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.contract import ObjectType


def addition(described: ObjectType, document: Mapping[str, Any]) -> Export:
    """Return the creation of an object with these values; raises ConfigurationError where one is of another type."""
    return Add(values_of(described, document))


def modification(described: ObjectType, anchor: str, document: Mapping[str, Any]) -> Export:
    """Return the change of an object; null clears an attribute, and what is not named stays as it is."""
    values = values_of(described, document)
    return Modify(anchor, lambda _: values)


def deletion(anchor: str) -> Export:
    """Return the deletion of an object."""
    return Delete(anchor)


def values_of(described: ObjectType, document: Mapping[str, Any]) -> dict[str, Value | None]:
    """Return JSON's values as those of the attributes; whether they fit is for the connector to say."""
    values: dict[str, Value | None] = {}
    for name, given in document.items():
        attribute = described.by_name.get(name)
        if attribute is None:
            raise ConfigurationError(f"{name}: there is no such attribute; there are: {', '.join(described.by_name)}.")
        try:
            values[name] = None if given is None else _value(attribute.type, given)
        except (ValueError, InvalidOperation):
            raise ConfigurationError(f"{name}: takes a value of the type {attribute.type.value}.") from None
    return values


def _value(kind: AttributeType, given: object) -> Value:
    match kind, given:
        case AttributeType.BOOLEAN, bool():
            return given
        case AttributeType.INTEGER, int() if not isinstance(given, bool):
            return given
        case AttributeType.DECIMAL, int() | str() | Decimal() if not isinstance(given, bool):
            return Decimal(given)
        case AttributeType.DATE_TIME, str():
            return datetime.fromisoformat(given)
        case AttributeType.STRING, str():
            return given
        case _:
            raise ValueError

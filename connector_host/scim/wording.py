"""A connector's error in the words of the client: the SCIM path that it wrote, beside the connector's own name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.connectors.errors import Conflict, ConnectorError, Immutable, InvalidValue

if TYPE_CHECKING:
    from connector_host.scim.flows import Flows


def in_scim_words(failure: ConnectorError, flows: Flows) -> ConnectorError:
    """Return the error with its attributes named by SCIM path; any other error is returned as it is."""
    match failure:
        case Conflict(attributes=names):
            return Conflict([_path(name, flows) for name in names])
        case InvalidValue(attribute=name, reason=reason):
            return InvalidValue(_path(name, flows), reason)
        case Immutable(attribute=name, reason=reason):
            return Immutable(_path(name, flows), reason)
        case _:
            return failure


def _path(name: str, flows: Flows) -> str:
    """Return the path of the column with this name; what is a path already, or has none, stays as it is."""
    path = next((slot.path for slot in flows.slots if slot.attribute.name == name), name)
    return path if path.endswith(name) else f"{path} ({name})"

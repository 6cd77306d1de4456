"""What a SCIM service answered, made sure of: text that can be kept, users with an id, no more of them than it says.

Whoever answers may be wrong, or hostile: an answer about one user must fail that user alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connector_host.provisioning.errors import Incompliant, Refused
from connector_host.provisioning.state.tables import KEY_CHARS

if TYPE_CHECKING:
    from connector_host.provisioning.resources import Resource

INCOMPLIANT: Final = "SystemForCrossDomainIdentityManagementServiceIncompatible"


def parsed(text: bytes) -> Resource | None:
    """Return the JSON object of an answer, None where it is none."""
    try:
        document = whole(json.loads(text), text) if text else None
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def whole(document: Any, text: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return what was parsed of a text with `?` for each half of a surrogate pair, which no database can keep."""
    if b"\\u" not in text:
        return document
    return json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))


def listed(document: Resource | None, attribute: str) -> list[Resource]:
    """Return the users of a ListResponse to a search by one attribute (RFC 7644 §3.4.2).

    Raises Incompliant where it is no ListResponse, and Refused where nobody could tell by it who was found.
    """
    total = (document or {}).get("totalResults")
    if document is None or not isinstance(total, int) or isinstance(total, bool):
        raise Incompliant(INCOMPLIANT, "a query was not answered by a ListResponse")
    resources = document.get("Resources") or []
    if not isinstance(resources, list) or not all(isinstance(one, dict) for one in resources):
        raise Refused(INCOMPLIANT, "what a query found is no list of users")
    # To believe that there is nobody, or only one, would make a user twice or change somebody else.
    if total > len(resources) == 0:
        raise Refused(INCOMPLIANT, f"a query found {total} users and showed none")
    if total > len(resources) == 1:
        raise Refused("DuplicateTargetEntries", f"{total} users of the target have this {attribute}")
    return [identified(one) for one in resources]


def identified(resource: Resource) -> Resource:
    """Return a user whose id is text that the state can keep; raises Refused where it is not (RFC 7643 §3.1)."""
    name = resource.get("id")
    text = str(name) if isinstance(name, str | int) and not isinstance(name, bool) else ""
    if not text or len(text) > KEY_CHARS or "\0" in text:
        raise Refused(INCOMPLIANT, f"a user of the target has no id of at most {KEY_CHARS} characters")
    return {**resource, "id": text}

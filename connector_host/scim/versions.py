"""Entity tags: whether the state that a client knows is the state there is (RFC 7644 §3.14, RFC 9110 §13.1).

Weak comparison is used throughout, since SCIM's versions are weak (RFC 7644 §3.14).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from connector_host.scim.errors import ScimError

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector_host.connectors.contract import Entry, Revision, Values

_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')


def names_version(header: str, version: str) -> bool:
    """Return whether an If-Match or If-None-Match header names this version; `*` names every one."""
    if header.strip() == "*":
        return True
    wanted = set(_TAG.findall(header))
    return any(tag in wanted for tag in _TAG.findall(version))


def guarded(revise: Revision, if_match: str, version_of: Callable[[Entry], str]) -> Revision:
    """Return the revision with its If-Match header in front, checked against the locked entry."""
    if not if_match:
        return revise
    guard = demand(if_match, version_of)

    def revise_if_matching(entry: Entry) -> Values:
        guard(entry)
        return revise(entry)

    return revise_if_matching


def demand(if_match: str, version_of: Callable[[Entry], str]) -> Callable[[Entry], None]:
    """Return a guard that raises ScimError 412 where the entry is no longer what the client knows."""

    def guard(entry: Entry) -> None:
        if not names_version(if_match, version_of(entry)):
            raise changed_since()

    return guard


def changed_since() -> ScimError:
    """Return the error for a user that is no longer what the client knows."""
    return ScimError(412, "The user was changed since it was read: read it again, then repeat the change.")

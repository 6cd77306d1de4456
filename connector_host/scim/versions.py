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


def guarded(revise: Revision, guard: Callable[[Entry], None] | None) -> Revision:
    """Return the revision with a guard in front, which sees the locked entry."""
    if guard is None:
        return revise

    def revise_if_matching(entry: Entry) -> Values:
        guard(entry)
        return revise(entry)

    return revise_if_matching


def demand(if_match: str, if_none_match: str, version_of: Callable[[Entry], str]) -> Callable[[Entry], None]:
    """Return a guard that raises ScimError 412 where the entry is not what the headers ask for."""

    def guard(entry: Entry) -> None:
        demand_version(version_of(entry), if_match, if_none_match)

    return guard


def demand_version(version: str, if_match: str, if_none_match: str) -> None:
    """Raise ScimError 412 where an If-Match header does not name the version, or an If-None-Match header does."""
    if if_match and not names_version(if_match, version):
        raise ScimError(412, "The user was changed since it was read: read it again, then repeat the change.")
    if if_none_match and names_version(if_none_match, version):
        raise ScimError(412, "The user is there, in a version that If-None-Match excludes; nothing was changed.")

"""What the agent lets through to the connector host, whatever the relay asks: SCIM's methods on SCIM's paths."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

_TARGET: Final = re.compile(
    r"(?P<path>/ecma2host_[A-Za-z0-9][A-Za-z0-9_-]{0,63}/scim(?:/[^?#\s\x00-\x1f\x7f]*)?)(?:\?.*)?"
)
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_DOTS: Final = frozenset({".", ".."})
_PLAIN: Final = re.compile(r"/ecma2host_[A-Za-z0-9][A-Za-z0-9_-]{0,63}/scim(?:/[A-Za-z0-9_/-]*+)?(?:\?[\x21-\x7e]*+)?")
"""A path without dots, and without what may be another spelling of them."""


def refusal(method: str, target: str) -> str | None:
    """Return why this request is not for the connector host, or None where it may pass.

    A path that climbs (`..`, in any spelling) is refused, so that what passed the check is what the host sees.
    """
    if method not in METHODS:
        return f"The method {method[:20]!r} is none of SCIM's: {', '.join(sorted(METHODS))}."
    if _PLAIN.fullmatch(target):
        return None
    match = _TARGET.fullmatch(target)
    if match is None or not _PRINTABLE.fullmatch(target):
        return "The path is none of the connector host's: it begins with /ecma2host_NAME/scim."
    if _DOTS.intersection(re.split(r"[/\\]", unquote(match["path"]))):
        return "The path has a segment that climbs to another one."
    return None

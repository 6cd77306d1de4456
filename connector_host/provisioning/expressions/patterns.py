"""Regular expressions that strangers wrote: .NET's group syntax, with a time limit on every match.

Uses the library `regex`, which can be told how long a match may take; the standard library's cannot be stopped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import regex

from connector_host.provisioning.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PATTERN_CHARS: Final = 1_000
MAX_REPEAT: Final = 1_000
"""The largest count in `{n,m}`: larger ones make patterns that take long to compile."""

_COUNTS = re.compile(r"\{(\d*)(?:,(\d*))?\}")
_REFERENCE = re.compile(r"\$(?:\$|\{(\w{1,64})\}|(\d{1,2}))")


@lru_cache(maxsize=512)
def compiled(pattern: str) -> regex.Pattern[str]:
    """Return the pattern, case-sensitive; raises ExpressionError where it is none, or too large."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ExpressionError(f"a regular expression has {MAX_PATTERN_CHARS} characters at the most")
    if _work(pattern) > MAX_REPEAT:
        raise ExpressionError(f"the counts in a regular expression multiply to {MAX_REPEAT} at the most")
    try:
        return regex.compile(pattern, cache_pattern=False)
    except (regex.error, RecursionError, OverflowError) as failure:
        raise ExpressionError(f"the regular expression cannot be read: {failure}") from None


def found(pattern: regex.Pattern[str], text: str, seconds: float) -> regex.Match[str] | None:
    """Return the first match; raises ExpressionError where finding it takes too long."""
    try:
        return pattern.search(text, timeout=seconds)
    except TimeoutError:
        raise _too_long() from None


def replaced(pattern: regex.Pattern[str], by: Callable[[regex.Match[str]], str], text: str, seconds: float) -> str:
    """Return the text with each match replaced; raises ExpressionError where that takes too long."""
    try:
        return pattern.sub(by, text, timeout=seconds)
    except TimeoutError:
        raise _too_long() from None


def expanded(template: str, match: regex.Match[str]) -> str:
    """Return a .NET replacement text with `${name}`, `$1` and `$$` filled in; unknown groups stay as they are."""

    def fill(reference: re.Match[str]) -> str:
        if reference[0] == "$$":
            return "$"
        group = reference[1] or reference[2]
        try:
            return match[int(group) if group.isdigit() else group] or ""
        except IndexError:
            return reference[0]

    return _REFERENCE.sub(fill, template)


def _work(pattern: str) -> int:
    """Return a bound on how far nested counts can blow a pattern up: their product."""
    product = 1
    for low, high in _COUNTS.findall(pattern):
        product *= max(int(low or 0), int(high or 0), 1) if len(low) < 5 and len(high or "") < 5 else MAX_REPEAT + 1  # noqa: PLR2004 - digits
    return product


def _too_long() -> ExpressionError:
    return ExpressionError("the regular expression took too long on this value")

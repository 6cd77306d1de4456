"""Regular expressions that strangers wrote: .NET's group syntax, with a time limit on every match.

Uses the library `regex`, which can be told how long a match may take; the standard library's cannot be stopped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import regex

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions.signatures import within_bounds
from connector_host.provisioning.expressions.subtractions import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_PATTERN_CHARS: Final = 1_000
MAX_REPEAT: Final = 1_000
"""The largest count in `{n,m}`: larger ones make patterns that take long to compile."""

_COUNTS = re.compile(r"\{(\d*)(?:,(\d*))?\}")
_REFERENCE = re.compile(r"\$(?:[$&`'+_]|\{(\w{1,64})\}|(\d{1,2}))")


@lru_cache(maxsize=512)
def compiled(pattern: str) -> regex.Pattern[str]:
    """Return the pattern, case-sensitive; raises ExpressionError where it is none, or too large."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ExpressionError(f"a regular expression has {MAX_PATTERN_CHARS} characters at the most")
    if _work(pattern) > MAX_REPEAT:
        raise ExpressionError(f"the counts in a regular expression multiply to {MAX_REPEAT} at the most")
    try:
        return regex.compile(translated(pattern), cache_pattern=False)
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
    """Return a .NET replacement text filled in; groups that there are not stay as they are written.

    Microsoft, substitutions in regular expressions: `${name}`, `$1`, `$$`, `$&` the match, `` $` `` what is before it,
    `$'` what is behind it, `$+` the last group that took part, `$_` the whole text.
    """
    total = 0

    def fill(reference: re.Match[str]) -> str:
        nonlocal total
        piece = _filled(reference, match)
        total += len(piece)
        within_bounds(total)  # before they are joined: a template of `$_$_…` would make the text thousands of times
        return piece

    return _REFERENCE.sub(fill, template)


def _filled(reference: re.Match[str], match: regex.Match[str]) -> str:
    if reference[1] is None and reference[2] is None:
        return _SPECIAL[reference[0]](match)
    group = reference[1] or reference[2]
    try:
        return match[int(group) if group.isdigit() else group] or ""
    except IndexError:
        return reference[0]


_SPECIAL: Final[Mapping[str, Callable[[regex.Match[str]], str]]] = {
    "$$": lambda _match: "$",
    "$&": lambda match: match[0],
    "$`": lambda match: match.string[: match.start()],
    "$'": lambda match: match.string[match.end() :],
    "$+": lambda match: match[match.lastindex or 0] or "",
    "$_": lambda match: match.string,
}


def _work(pattern: str) -> int:
    """Return a bound on how far nested counts can blow a pattern up: their product."""
    product = 1
    for low, high in _COUNTS.findall(pattern):
        product *= max(int(low or 0), int(high or 0), 1) if len(low) < 5 and len(high or "") < 5 else MAX_REPEAT + 1  # noqa: PLR2004 - digits
    return product


def _too_long() -> ExpressionError:
    return ExpressionError("the regular expression took too long on this value")

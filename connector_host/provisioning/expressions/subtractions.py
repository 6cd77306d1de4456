"""Subtraction in .NET's character classes, `[a-z-[aeiou]]`, as the library `regex` can read it: `(?:(?![aeiou])[a-z])`.

Microsoft, character classes in .NET regular expressions: a subtraction stands last in its class and may hold another
one; negation concerns the class that it is taken from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from connector_host.provisioning.errors import ExpressionError

_ESCAPE: Final = re.compile(r"\\(?:[pP]\{[^}]*\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|c.|.)", re.DOTALL)
_SEVERAL: Final = re.compile(r"\\[dDsSwWpP]")
"""An escape that stands for several characters, and so begins no range."""
_OUTSIDE: Final = re.compile(r"\(\?#[^)]*\)?|\\.|[^\[]", re.DOTALL)
"""What is no class: a comment, an escape, any other character."""


@dataclass(frozen=True, slots=True)
class _Class:
    text: str
    """As the library reads it."""
    end: int
    """Where the pattern goes on."""
    subtracts: bool


def translated(pattern: str) -> str:
    """Return the pattern without subtractions; raises ExpressionError where one is not the last of its class."""
    parts: list[str] = []
    place = 0
    while place < len(pattern):
        if outside := _OUTSIDE.match(pattern, place):
            parts.append(outside[0])
            place = outside.end()
            continue
        found = _class(pattern, place)
        parts.append(f"(?:{found.text})" if found.subtracts else found.text)
        place = found.end
    return "".join(parts)


def _class(pattern: str, start: int) -> _Class:
    """Return the class that begins here; one without an end is left to the library to refuse."""
    place = start + (2 if pattern.startswith("[^", start) else 1)
    begin = place
    while place < len(pattern):
        if pattern[place] == "]" and place > begin:
            return _Class(pattern[start : place + 1], place + 1, subtracts=False)
        if pattern.startswith("-[", place) and place > begin:
            return _subtracted(pattern, start, place)
        several = _SEVERAL.match(pattern, place) is not None
        place = _after_one(pattern, place)
        if several or not pattern.startswith("-", place) or pattern.startswith("-]", place):
            continue
        if pattern.startswith("-[", place):
            return _subtracted(pattern, start, place)
        place = _after_one(pattern, place + 1)
    return _Class(pattern[start:], len(pattern), subtracts=False)


def _after_one(pattern: str, place: int) -> int:
    escape = _ESCAPE.match(pattern, place)
    return escape.end() if escape else place + 1


def _subtracted(pattern: str, start: int, dash: int) -> _Class:
    taken = _class(pattern, dash + 1)
    if not pattern.startswith("]", taken.end):
        raise ExpressionError(
            f"the regular expression subtracts at position {dash + 1}, which has to be last in a class: write ]]"
        )
    return _Class(f"(?!{taken.text}){pattern[start:dash]}]", taken.end + 1, subtracts=True)

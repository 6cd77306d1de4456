"""The text of a filter as a syntax tree: scim2-models' grammar, asked once for each shape of filter.

A directory asks the same filter for every user, with another value each time. So the literals are taken out, what is
left is parsed once and kept, and the literals are put back into its tree.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Final

from scim2_models import SCIMException, ScimFilter
from scim2_models.path import Comparison, FilterNode, LogicalExpr, ValuePath
from scim2_models.path import Not as NotNode

from connector_host.scim import entra
from connector_host.scim.errors import invalid_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LITERAL: Final = re.compile(r'"(?:[^"\\\x00-\x1F]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*+"')
"""A string literal, exactly as the grammar has it (RFC 7644 §3.4.2.2 refers to JSON)."""
_ONE: Final = re.compile(r'([A-Za-z][A-Za-z0-9_.:$-]*+ eq )"([^"\\\x00-\x1F]*+)"')
"""How a directory looks somebody up: one comparison with one text that needs no escapes."""
_LONG_NUMBER: Final = re.compile(r"(?<=\s)-?(?=[\d.]{17,}+)\d++\.\d++(?=[\s)\]]|$)")
"""A number with more digits than eight bytes of floating point keep."""
_RANGE: Final = re.compile(r"number out of range: (\S+)")
"""The one mistake in which the library repeats a value."""


def parse(text: str) -> FilterNode:
    """Parse a filter; values without quotes, as Microsoft's sample sends them, are taken for `eq`."""
    try:
        if (one := _ONE.fullmatch(text)) is not None:
            return _filled(_template(f'{one[1]}"0"'), [one[2]])
    except SCIMException:
        return _parse_as_it_is(text)
    text = _with_every_digit(text)
    literals = entra.QUOTED.findall(text)
    if not all(_LITERAL.fullmatch(literal) for literal in literals):
        return _parse_as_it_is(text)
    try:
        # A directory asks the same filter for every user: what differs is the literals, so the rest is parsed once.
        return _filled(_template(entra.QUOTED.sub(_numbered(), text)), [_unescaped(literal) for literal in literals])
    except SCIMException:
        return _parse_as_it_is(text)


def _with_every_digit(text: str) -> str:
    """Return the filter with long numbers in quotes: the grammar would make floats of them, which lose digits."""
    if _LONG_NUMBER.search(text) is None:
        return text
    parts = entra.QUOTED.split(text)
    return "".join(part if part.startswith('"') else _LONG_NUMBER.sub(r'"\g<0>"', part) for part in parts)


def _parse_as_it_is(text: str) -> FilterNode:
    try:
        return ScimFilter(text).ast
    except SCIMException as failure:
        quoted = entra.with_quotes(text)
        if quoted != text:
            try:
                return ScimFilter(quoted).ast
            except SCIMException:
                pass
        raise invalid_filter(_mistake(text, failure)) from failure


@lru_cache(maxsize=512)
def _template(text: str) -> FilterNode:
    return ScimFilter(text).ast


def _numbered() -> Callable[[re.Match[str]], str]:
    """Return what puts `"0"`, `"1"` and so on in the place of literals."""
    numbers = count()
    return lambda _: f'"{next(numbers)}"'


def _unescaped(literal: str) -> str:
    return str(json.loads(literal)) if "\\" in literal else literal[1:-1]


def _filled(node: FilterNode, literals: Sequence[str]) -> FilterNode:
    """Return a template with its literals: every text in it is the number of one."""
    match node:
        case Comparison(attr_path=path, op=op, value=str() as number):
            return Comparison(path, op, literals[int(number)])
        case NotNode(expr=inner):
            return NotNode(_filled(inner, literals))
        case LogicalExpr(op=op, terms=terms):
            return LogicalExpr(op, tuple(_filled(term, literals) for term in terms))
        case ValuePath(attr_path=path, val_filter=inner, sub_attr=sub):
            return ValuePath(path, _filled(inner, literals), sub)
        case _:
            return node


def _mistake(text: str, failure: SCIMException) -> str:
    """Say where the mistake is; the library takes the end of the filter for its last word."""
    if getattr(getattr(failure.__cause__, "token", None), "type", "") == "$END":
        return f"The filter cannot be read: it ends too early, at column {len(text) + 1}."
    if (number := _RANGE.match(str(failure.detail))) is not None:
        at = entra.QUOTED.sub(lambda literal: " " * len(literal[0]), text).find(number[1])
        return f"The filter cannot be read: number out of range{f' at column {at + 1}' if at >= 0 else ''}."
    return f"The filter cannot be read: {failure.detail}."

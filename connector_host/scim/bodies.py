"""Request bodies: JSON within bounds, with numbers kept exactly."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from connector_host.scim.errors import invalid_syntax

_NUMBER_CHARS: Final = 1_000
"""The longest number: the widest decimal column of any database that is served takes a few hundred digits."""


def _exact(text: str) -> Decimal:
    """Return the number as it is written; raise ScimError where it is longer than any column, or no exponent fits."""
    if len(text) > _NUMBER_CHARS:
        raise invalid_syntax(f"The body holds a number of more than {_NUMBER_CHARS} characters.")
    try:
        return Decimal(text)
    except InvalidOperation as failure:
        raise invalid_syntax("The body holds a number whose exponent is beyond all reason.") from failure


_DECODER: Final = msgspec.json.Decoder(float_hook=_exact)
_DEPTH_MAX: Final = 32
"""Levels of a document; SCIM's own have five at the most."""


def read_body(body: bytes) -> object:
    """Return the document; raise ScimError invalidSyntax where it is no JSON, or nested beyond all reason."""
    try:
        document: object = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError) as failure:
        raise invalid_syntax("The body is not JSON.") from failure
    if body.count(b"{") + body.count(b"[") <= _DEPTH_MAX:
        return document  # it cannot be deeper than it has beginnings
    level: list[object] = [document]
    for _ in range(_DEPTH_MAX):
        level = [
            part
            for outer in level
            for part in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(part, dict | list)
        ]
        if not level:
            return document
    raise invalid_syntax(f"The body is nested deeper than {_DEPTH_MAX} levels.")

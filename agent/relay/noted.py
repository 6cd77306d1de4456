"""What is remembered of a write of which nobody knows what became of it: a row of the store, and news among nodes."""

from __future__ import annotations

from typing import Final

import msgspec

MOST: Final = 1_000
"""Writes of one tenant that are remembered: the last ones."""


class Noted(msgspec.Struct, frozen=True, array_like=True):
    """One write whose outcome is unknown."""

    tenant: str
    key: str
    """A digest: neither a store nor another node's memory tells what the client chose."""
    record: str
    """The record of outcomes that can tell what became of it."""
    ends_s: int
    """Until when it is remembered, in seconds since 1970."""

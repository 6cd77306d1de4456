"""What was probably meant by a name that nobody here knows."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelled most like this one, whatever the case; None where none is near."""
    spelled = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), spelled, n=1, cutoff=0.6)
    return spelled[near[0]] if near else None


def advice(name: str, known: Iterable[str]) -> str:
    """Return the name that was probably meant, or all that there are; nothing where there is none."""
    names = list(known)
    if (near := nearest(name, names)) is not None:
        return f"Did you mean {near}?"
    return f"There are: {', '.join(names)}." if names else ""

"""How a value that was read back differs from the one that was written, in words that repeat neither."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector_host.connectors.contract import Value

SECOND = timedelta(seconds=1)


def cut(written: Value, read: Value | None) -> str:
    """Return what of the value is lost where the rest is as it was; empty where it is not so."""
    match written, read:
        case str(), str() if read == written.rstrip(" "):
            return "loses blanks at its end"
        case str(), str() if read == written.strip(" "):
            return "loses blanks at its ends"
        case str(), str() if written.startswith(read) and read:
            return f"keeps {len(read)} of {len(written)} characters"
        case datetime(), datetime() if abs(written - read) < SECOND:
            return f"keeps {_digits(read)} digits after the second"
        case _:
            return ""


def changed(written: Value, read: Value | None) -> str:
    """Return how the value comes back."""
    match written, read:
        case _, None:
            return "comes back as no value"
        case str(), str():
            return f"comes back {_other_text(written, read)}"
        case bool(), _:
            return "comes back as its opposite"
        case datetime(), datetime():
            return f"comes back {abs(read - written)} {'later' if read > written else 'earlier'}"
        case _:
            return "comes back as another number"


def _other_text(written: str, read: str) -> str:
    if read.casefold() == written.casefold():
        ascii_letters = {letter for letter in read if letter.isascii()}
        if not ascii_letters & set(ascii_lowercase):
            return "in capitals"
        return "in another case" if ascii_letters & set(ascii_uppercase) else "in small letters"
    if unicodedata.normalize("NFC", read) == unicodedata.normalize("NFC", written):
        return "with accents and letters composed otherwise (another Unicode normal form)"
    if read.count("?") > written.count("?"):
        return "with question marks instead of letters"
    return f"as another text, of {len(read)} instead of {len(written)} characters"


def _digits(moment: datetime) -> int:
    return len(f"{moment.microsecond:06}".rstrip("0"))

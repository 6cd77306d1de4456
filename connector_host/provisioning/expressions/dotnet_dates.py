"""Dates by .NET's custom format strings, in the invariant culture: read, written, and the free form that CDate takes.

Microsoft: custom date and time format strings; DateTimeStyles. Text without a zone is taken as UTC.
"""

from __future__ import annotations

import re
from calendar import day_abbr, day_name, month_abbr, month_name
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.values import in_utc

MAX_FORMAT_CHARS: Final = 200

_LONG, _SHORT = 4, 3
"""Letters of a format that ask for a name: in full, or in three letters."""

STANDARD: Final = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "O": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ssZ",
}
"""The standard formats: one letter that stands for a custom one."""

STYLES: Final = frozenset(
    {
        "None", "AllowLeadingWhite", "AllowTrailingWhite", "AllowInnerWhite", "AllowWhiteSpaces",
        "NoCurrentDateDefault", "AdjustToUniversal", "AssumeLocal", "AssumeUniversal", "RoundtripKind",
    }
)  # fmt: skip
DEFAULT_STYLES: Final = frozenset({"RoundtripKind", "AllowLeadingWhite", "AllowTrailingWhite"})

_TOKEN = re.compile(
    r"'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|\\(?P<escaped>.)|%(?=[a-zA-Z])"
    r"|(?P<token>d{1,4}|f{1,7}|F{1,7}|g+|h{1,2}|H{1,2}|K|m{1,2}|M{1,4}|s{1,2}|t{1,2}|y{1,5}|z{1,3}|Z)|(?P<other>.)",
    re.DOTALL,
)
_ZONE = r"(?P<zone>Z|[+-]\d{1,2}(?::?\d{2})?)"
_PIECES: Final = {
    "d": r"(?P<day>\d{1,2})", "dd": r"(?P<day>\d{2})", "ddd": "(?:[A-Za-z]{3})", "dddd": "(?:[A-Za-z]{6,9})",
    "h": r"(?P<hour12>\d{1,2})", "hh": r"(?P<hour12>\d{2})", "H": r"(?P<hour>\d{1,2})", "HH": r"(?P<hour>\d{2})",
    "m": r"(?P<minute>\d{1,2})", "mm": r"(?P<minute>\d{2})", "s": r"(?P<second>\d{1,2})", "ss": r"(?P<second>\d{2})",
    "M": r"(?P<month>\d{1,2})", "MM": r"(?P<month>\d{2})", "MMM": "(?P<month_name>[A-Za-z]{3})",
    "MMMM": "(?P<month_name>[A-Za-z]{3,9})", "t": "(?P<half>[AaPp])", "tt": "(?P<half>[AaPp])[Mm]",
    "y": r"(?P<year2>\d{1,2})", "yy": r"(?P<year2>\d{2})", "yyy": r"(?P<year>\d{3,4})", "yyyy": r"(?P<year>\d{4})",
    "yyyyy": r"(?P<year>\d{5})", "K": f"{_ZONE}?", "z": _ZONE, "zz": _ZONE, "zzz": _ZONE, "Z": "(?P<zulu>Z)",
}  # fmt: skip
"""What each token takes when it is read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a format: a token, or text that stands for itself."""

    text: str
    literal: bool


def styles(text: str | None) -> frozenset[str]:
    """Return the DateTimeStyles by name; raises ExpressionError where one is unknown."""
    names = frozenset(name.strip().removeprefix("DateTimeStyles.") for name in (text or "").split(",") if name.strip())
    if unknown := names - STYLES:
        raise ExpressionError(f"{min(unknown)!r} is none of .NET's DateTimeStyles")
    return names or DEFAULT_STYLES


@lru_cache(maxsize=256)
def tokens(pattern: str) -> tuple[Piece, ...]:
    """Return the pieces of a format; raises ExpressionError where it is empty, too long, or asks for the era."""
    pattern = STANDARD.get(pattern, pattern)
    if not pattern or len(pattern) > MAX_FORMAT_CHARS:
        raise ExpressionError(f"a date format has 1 to {MAX_FORMAT_CHARS} characters")
    pieces: list[Piece] = []
    for match in _TOKEN.finditer(pattern):
        name, text = match.lastgroup, match[match.lastgroup] if match.lastgroup else ""
        if name == "token" and text.startswith("g"):
            raise ExpressionError("a date format cannot ask for the era (g)")
        if name is not None:
            pieces.append(Piece(text, literal=name != "token"))
    return tuple(pieces)


def parse(text: str, pattern: str, chosen: frozenset[str] = DEFAULT_STYLES) -> datetime:
    """Return the moment in UTC that a text holds, by exactly this format; raises ExpressionError where it is none."""
    everywhere = "AllowWhiteSpaces" in chosen
    if everywhere or "AllowLeadingWhite" in chosen:
        text = text.lstrip()
    if everywhere or "AllowTrailingWhite" in chosen:
        text = text.rstrip()
    match = _reader(pattern, everywhere or "AllowInnerWhite" in chosen).fullmatch(text)
    if match is None:
        raise ExpressionError("the date does not have the format that the expression names")
    return _moment({name: value for name, value in match.groupdict().items() if value})


@lru_cache(maxsize=256)
def _reader(pattern: str, inner_white: bool) -> re.Pattern[str]:  # noqa: FBT001 - a cache key
    seen: set[str] = set()
    parts: list[str] = []
    for piece in tokens(pattern):
        part = re.escape(piece.text) if piece.literal else _piece(piece.text)
        for name in re.findall(r"\?P<(\w+)>", part):
            if name in seen:
                raise ExpressionError("a date format names the same part twice")
            seen.add(name)
        parts.append(part)
    return re.compile((r"\s*" if inner_white else "").join(parts))


def _piece(token: str) -> str:
    if token[0] == "f":
        return rf"(?P<fraction>\d{{{len(token)}}})"
    if token[0] == "F":
        return rf"(?P<fraction>\d{{0,{len(token)}}})"
    return _PIECES[token]


def _moment(found: dict[str, str]) -> datetime:
    hour = int(found.get("hour") or found.get("hour12") or 0)
    if "half" in found:
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    try:
        moment = datetime(
            _year(found), _month(found), int(found.get("day", "1")), hour, int(found.get("minute", "0")),
            int(found.get("second", "0")), int(found.get("fraction", "0")[:6].ljust(6, "0")),
            tzinfo=_zone(found.get("zone")),
        )  # fmt: skip
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ExpressionError("there is no such date") from None


def _year(found: dict[str, str]) -> int:
    if "year2" in found:
        two = int(found["year2"])
        return two + (2000 if two < 50 else 1900)  # noqa: PLR2004 - the invariant calendar's two-digit years end in 2049
    return int(found.get("year", "1"))


def _month(found: dict[str, str]) -> int:
    if "month_name" not in found:
        return int(found.get("month", "1"))
    wanted = found["month_name"].lower()
    names = [name.lower() for name in month_name], [name.lower() for name in month_abbr]
    for table in names:
        if wanted in table:
            return table.index(wanted)
    raise ValueError(wanted)


def _zone(text: str | None) -> timezone:
    if text in (None, "Z"):
        return UTC
    digits = text.lstrip("+-").replace(":", "") if text else ""
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text and text.startswith("-") else offset)


def render(moment: datetime, pattern: str) -> str:
    """Return the moment, in UTC, as this format writes it; raises ExpressionError where the format is none."""
    at = in_utc(moment)
    return "".join(piece.text if piece.literal else _written(at, piece.text) for piece in tokens(pattern))


def _written(at: datetime, token: str) -> str:  # noqa: PLR0911 - one line for each letter of the format
    width = len(token)
    match token[0]:
        case "d":
            return {_LONG: day_name[at.weekday()], _SHORT: day_abbr[at.weekday()]}.get(width, f"{at.day:0{width}}")
        case "M":
            return {_LONG: month_name[at.month], _SHORT: month_abbr[at.month]}.get(width, f"{at.month:0{width}}")
        case "y":
            return f"{at.year % 100:0{width}}" if width < 3 else f"{at.year:0{width}}"  # noqa: PLR2004 - letters
        case "h":
            return f"{at.hour % 12 or 12:0{width}}"
        case "H" | "m" | "s":
            return f"{ {'H': at.hour, 'm': at.minute, 's': at.second}[token[0]]:0{width}}"
        case "f":
            return f"{at.microsecond:06}0"[:width]
        case "F":
            return f"{at.microsecond:06}0"[:width].rstrip("0")
        case "t":
            return ("PM" if at.hour >= 12 else "AM")[:width]  # noqa: PLR2004 - noon
        case "z":
            return {1: "+0", 2: "+00", 3: "+00:00"}[width]
        case _:
            return "Z"


FREE_FORMS: Final = (
    "M/d/yyyy h:mm:ss tt", "M/d/yyyy h:mm tt", "M/d/yyyy H:mm:ss", "M/d/yyyy H:mm", "M/d/yyyy",
    "yyyy-MM-ddzzz", "yyyyMMddHHmmssK", "yyyyMMddHHmmss.FFFFFFFK", "yyyy-MM-ddTHH:mm:ss.FFFFFFFK",
    "yyyy-MM-dd HH:mm:ss.FFFFFFFK",
    "ddd, dd MMM yyyy HH:mm:ss 'GMT'", "d MMM yyyy", "MMMM d, yyyy",
)  # fmt: skip


def read_freely(text: str) -> datetime:
    """Return the moment in UTC that a text holds in any of the usual forms; raises ExpressionError where it is none."""
    text = text.strip()
    for pattern in FREE_FORMS:
        if (match := _reader(pattern, False).fullmatch(text)) is not None:  # noqa: FBT003 - a cache key
            return _moment({name: value for name, value in match.groupdict().items() if value})
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except ValueError:
        raise ExpressionError("the text is no date in a form that CDate knows") from None
    except OverflowError:
        raise ExpressionError("there is no such date") from None

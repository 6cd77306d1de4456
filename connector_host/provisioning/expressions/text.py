"""The functions that work on text."""

from __future__ import annotations

import base64
import secrets
import string
import unicodedata
import uuid
from typing import TYPE_CHECKING, Final

from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions.signatures import Function, Kind, Parameter, Scope, bounded, joined
from connector_host.provisioning.values import Value, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

SPECIAL: Final = "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/"
"""Microsoft: password must meet complexity requirements, the list of special characters."""

RANDOM_CHARS_MAX: Final = 256

PLAIN: Final = {
    "æ": "ae", "Æ": "AE", "ø": "oe", "Ø": "Oe", "œ": "oe", "Œ": "OE", "ß": "ss",
    "ł": "l", "Ł": "L", "\u0131": "i", "đ": "d", "Đ": "D", "ð": "d", "þ": "th",
}  # fmt: skip
"""Letters that do not fall apart into a base and a mark (the documented table, and its nearest neighbours)."""

_UPPER_OE = {"Ø": "OE"}

SEPARATORS: Final = frozenset(
    {"Zs", "Zl", "Zp", "Cc", "Cf", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"}
)
"""Unicode categories that end a word for .NET's ToTitleCase; the apostrophe doesn't."""

DOTTED: Final = frozenset({"tr", "az"})
"""Languages whose i keeps its dot in upper case."""


def _append(_scope: Scope, source: str, suffix: str) -> str:
    return joined((source, suffix))


def _base64(_scope: Scope, source: str) -> str:
    return bounded(base64.b64encode(source.encode("utf-16-le", "surrogatepass")).decode())


def _utf8_hex(_scope: Scope, source: str) -> str:
    return bounded(source.encode("utf-8", "surrogatepass").hex().upper())


def _to_string(_scope: Scope, value: Value) -> str | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        raise ExpressionError("CStr takes one value, not several: use Item or Join")
    return bounded(to_text(value))


def _guid(_scope: Scope) -> str:
    return str(uuid.uuid4())


def _in_str(_scope: Scope, text: str, wanted: str, start: int | None, compare: str | None) -> int:
    if compare not in (None, "", "vbTextCompare", "vbBinaryCompare"):
        raise ExpressionError("InStr compares by vbTextCompare or vbBinaryCompare")
    if start is not None and start < 1:
        raise ExpressionError("InStr starts at 1")
    if compare == "vbTextCompare":
        text, wanted = text.lower(), wanted.lower()
    return text.find(wanted, (start or 1) - 1) + 1


def _left(_scope: Scope, text: str | None, length: int | None) -> str:
    if text is None or length is None:
        return ""
    return text if length < 0 else text[:length]


def _mid(_scope: Scope, text: str, start: int, length: int) -> str:
    if start < 1 or length < 0:
        raise ExpressionError("Mid starts at 1, and its length is not negative")
    return text[start - 1 : start - 1 + length]


def _plain(_scope: Scope, source: str) -> str:
    parts: list[str] = []
    for character in unicodedata.normalize("NFD", source):
        if unicodedata.combining(character) and parts and _is_latin(parts[-1]):
            continue  # the mark of a Latin letter; those of other scripts are part of the letter
        parts.append(_UPPER_OE.get(character) or PLAIN.get(character, character))
    return bounded(unicodedata.normalize("NFC", "".join(parts)))


def _is_latin(text: str) -> bool:
    return unicodedata.name(text[-1], "").startswith("LATIN")


def _proper_case(_scope: Scope, source: str, separators: str | None) -> str:
    out, begins = [], True
    for character in source:
        out.append(_capital(character) if begins else character.lower())
        begins = character in separators if separators else _separates(character)
    return bounded("".join(out))


def _separates(character: str) -> bool:
    return character != "'" and unicodedata.category(character) in SEPARATORS


def _random(  # noqa: PLR0913, PLR0917 - the documented parameters
    _scope: Scope, length: int, digits: int, special: int, capital: int, lower: int, avoid: str | None
) -> str:
    wanted = (
        (string.digits, digits),
        (SPECIAL, special),
        (string.ascii_uppercase, capital),
        (string.ascii_lowercase, lower),
    )
    least = [max(count, 0) for _, count in wanted]
    if not 1 <= length <= RANDOM_CHARS_MAX or sum(least) > length:
        raise ExpressionError(
            f"RandomString makes 1 to {RANDOM_CHARS_MAX} characters, and no fewer than its minimums together"
        )
    alphabets = ["".join(c for c in alphabet if c not in (avoid or "")) for alphabet, _ in wanted]
    chosen = [secrets.choice(_some(alphabet)) for alphabet, n in zip(alphabets, least, strict=True) for _ in range(n)]
    # What is left over comes from the classes that were asked for, else from letters and digits.
    rest = (
        "".join(alphabet for alphabet, n in zip(alphabets, least, strict=True) if n)
        or alphabets[0] + alphabets[2] + alphabets[3]
    )
    chosen += [secrets.choice(_some(rest)) for _ in range(length - len(chosen))] if len(chosen) < length else []
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _some(alphabet: str) -> str:
    if not alphabet:
        raise ExpressionError("RandomString is to avoid every character that it needs")
    return alphabet


def _redact(_scope: Scope, value: Value) -> Value:
    return value  # the provisioning log is what this function speaks to: see Expression.redacted


def _strip_spaces(_scope: Scope, source: str) -> str:
    return source.replace(" ", "")


def _lower(_scope: Scope, source: str, culture: str | None) -> str:
    if _language(culture) in DOTTED:
        source = source.replace("I", "\u0131").replace("İ", "i")
    return bounded(source.lower())


def _upper(_scope: Scope, source: str, culture: str | None) -> str:
    if _language(culture) in DOTTED:
        source = source.replace("i", "İ")
    # .NET maps each character to one: ß stays, where Python would write SS.
    return "".join(map(_capital, source))


def _capital(character: str) -> str:
    upper = character.upper()
    return upper if len(upper) == 1 else character


def _language(culture: str | None) -> str:
    return (culture or "").replace("_", "-").split("-")[0].lower()


def _word(_scope: Scope, text: str | None, number: int | None, delimiters: str | None) -> str:
    if text is None or number is None or number < 1:
        return ""
    table = str.maketrans(dict.fromkeys(delimiters or "", "\0"))
    words = [word for word in text.translate(table).split("\0") if word]
    return words[number - 1] if number <= len(words) else ""


def _texts(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name) for name in names)


def _numbers(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, Kind.NUMBER) for name in names)


_CULTURE = Parameter("culture", optional=True)

FUNCTIONS: Final[Sequence[Function]] = (
    Function("Append", _texts("source", "suffix"), Kind.TEXT, _append),
    Function("ConvertToBase64", _texts("source"), Kind.TEXT, _base64),
    Function("ConvertToUTF8Hex", _texts("source"), Kind.TEXT, _utf8_hex),
    Function("CStr", (Parameter("value", Kind.ANY),), Kind.TEXT, _to_string),
    Function("Guid", (), Kind.TEXT, _guid),
    Function(
        "InStr",
        (
            *_texts("value1", "value2"),
            Parameter("start", Kind.NUMBER, optional=True),
            Parameter("compareType", optional=True),
        ),
        Kind.NUMBER,
        _in_str,
    ),
    Function("Left", (*_texts("string"), *_numbers("numChars")), Kind.TEXT, _left, takes_null=True),
    Function("Mid", (*_texts("source"), *_numbers("start", "length")), Kind.TEXT, _mid),
    Function("NormalizeDiacritics", _texts("source"), Kind.TEXT, _plain),
    Function("PCase", (*_texts("source"), Parameter("wordSeparators", optional=True)), Kind.TEXT, _proper_case),
    Function(
        "RandomString",
        (
            *_numbers("length", "minimumNumbers", "minimumSpecialCharacters", "minimumCapital", "minimumLowerCase"),
            Parameter("charactersToAvoid", optional=True),
        ),
        Kind.TEXT,
        _random,
    ),
    Function("Redact", (Parameter("value", Kind.ANY),), Kind.ANY, _redact),
    Function("StripSpaces", _texts("source"), Kind.TEXT, _strip_spaces),
    Function("ToLower", (*_texts("source"), _CULTURE), Kind.TEXT, _lower),
    Function("ToUpper", (*_texts("source"), _CULTURE), Kind.TEXT, _upper),
    Function(
        "Word", (*_texts("string"), *_numbers("wordNumber"), *_texts("delimiters")), Kind.TEXT, _word, takes_null=True
    ),
)

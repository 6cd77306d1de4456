"""The configuration as it takes effect, with every secret taken out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from connector_host.mistakes import toml
from connector_host.setup.toml import bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connector_host.settings import Configuration

HIDDEN = "**********"


def effective(configuration: Configuration) -> dict[str, Any]:
    """Return every setting by the name that the file gives it; a password, wherever it stands, is hidden."""
    return {key: _shown(value) for key, value in configuration.model_dump(by_alias=True).items()}


def lines(document: Mapping[str, Any], table: str = "") -> Iterator[str]:
    """Yield the document as TOML: first what is simple, then each table; what is not set is left out."""
    simple = {key: value for key, value in document.items() if not isinstance(value, dict) and value is not None}
    if table and simple:
        yield f"[{table}]"
    yield from (f"{bare(key)} = {toml(value)}" for key, value in simple.items())
    if simple:
        yield ""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from lines(value, f"{table}.{bare(key)}" if table else bare(key))


def holds_secret(text: str) -> bool:
    """Return whether a URL or a connection string holds a password, or something like one."""
    return bool(_shown(text) != text)


def _shown(value: Any, key: str = "") -> Any:  # noqa: ANN401 - any value of a document
    """Return the value without its secrets; the jobs of the engine are read elsewhere, so only a key's name tells."""
    match value:
        case dict() if key == "refusals":  # what is done with passwords that a directory sends, and none of them
            return value
        case dict():
            return {name: _shown(inner, str(name)) for name, inner in value.items()}
        case list() | tuple():
            return [_shown(inner, key) for inner in value]
        case SecretStr() | str() if isinstance(value, SecretStr) or _SECRET_KEY.search(key):
            return HIDDEN
        case str():
            return _PARAMETER.sub(rf"\1{HIDDEN}", _LOGIN.sub(rf"\1{HIDDEN}@", value))
        case _:
            return value


_WORDS = r"(?:password|passwd|passphrase|pwd|secret|token|credential|api_?key)"
_SECRET_KEY: Final = re.compile(rf"(?:{_WORDS}s?|webhook)$", re.IGNORECASE)
"""Whoever knows the address of a webhook may post to it."""
_LOGIN: Final = re.compile(r"(://[^:/@]*:).*@")
"""Up to the last `@`: rather too much than half a password that holds one."""
_PARAMETER: Final = re.compile(
    rf"({_WORDS}\s*(?:=|%3D))(?:\{{[^}}]*\}}|%7B.*?%7D|(?:(?!%3B|%26)[^;&\s])*)", re.IGNORECASE
)
"""In the query of a URL or in an ODBC connection string, escaped or not."""

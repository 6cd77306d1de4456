"""The configuration as it takes effect, with every secret taken out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from connector_host.mistakes import toml

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
    yield from (f"{_key(key)} = {toml(value)}" for key, value in simple.items())
    if simple:
        yield ""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from lines(value, f"{table}.{_key(key)}" if table else _key(key))


def _shown(value: Any) -> Any:  # noqa: ANN401 - any value of a document
    match value:
        case dict():
            return {key: _shown(inner) for key, inner in value.items()}
        case SecretStr():
            return HIDDEN
        case str():
            return re.sub(r"(://[^/@:]*:)[^@/]*@", rf"\1{HIDDEN}@", value)
        case _:
            return value


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)

"""Mappings and names as a person types them, refused at once where they cannot work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError
from connector_host.scim.mappings import place
from connector_host.spellings import advice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def parse_mapping(text: str, columns: Sequence[str]) -> tuple[str, str]:
    """Return column and path of `COLUMN=PATH`; the path is empty where the column is to be unmapped.

    Raises ConfigurationError for a column that the table does not have, and for what is no path to one value.
    """
    column, equals, path = (part.strip() for part in text.partition("="))
    if not equals:
        raise ConfigurationError(f"{text!r} is no mapping; write COLUMN=PATH, for example Login=userName.")
    if column not in columns:
        raise ConfigurationError(f"The table has no column {column}. {advice(column, columns)}".rstrip())
    return column, place(column, path).path if path else ""


def merged(attributes: Mapping[str, str], mapping: tuple[str, str]) -> dict[str, str]:
    """Return the attributes with one more mapping, which takes its path from any other column that had it."""
    column, path = mapping
    kept = {other: taken for other, taken in attributes.items() if other != column and taken != path}
    return {**kept, column: path} if path else kept


def connector_name(table: str) -> str:
    """Return a name for a connector that fits into a URL, made from the table's."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", table).strip("-_")[:64] or "users"

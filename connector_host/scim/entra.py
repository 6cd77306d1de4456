"""Where Microsoft Entra departs from the RFC: one function each, with the source beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from connector_host.scim import vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.scim.flows import Flows, Multi, Row, SchemaFlow

QUOTED: Final = re.compile(r'("(?:[^"\\]|\\.)*+(?:"|\\?$))', re.DOTALL)
"""Quoted text of a filter; one that never ends runs to the end, so that no character is looked at twice."""
_UNQUOTED: Final = re.compile(
    r'\beq\s+(?!true\b|false\b|null\b|-?\d+(?:\.\d+)?(?:[\s)\]]|$))([^\s"()\[\]]+)', re.IGNORECASE
)
_CORE: Final = vocabulary.CORE.lower()
_MISSPELLED: Final = re.compile(r"^(urn:ietf:params:scim:schemas:extension:enterprise:2\.0)(User\b)", re.IGNORECASE)


def mended_urn(text: str) -> str:
    """Return the text with the enterprise URN as it should be: one official sample leaves out a colon.

    https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups
    """
    return _MISSPELLED.sub(r"\1:\2", text)


def primary_rows(node: Multi) -> tuple[Row, ...]:
    """Return what `[primary eq true]` and Entra's `[primary eq "True"]` select: the primary value, else the first.

    https://learn.microsoft.com/entra/identity/app-provisioning/application-provisioning-config-problem-scim-compatibility
    """
    primary = tuple(row for row in node.rows if row.selector == "primary")
    return primary or node.rows[:1]


def marks(node: Multi, row: Row) -> Mapping[str, str | bool]:
    """Return what tells a value from the others, and that it is the primary one where it passes for it."""
    return {**row.marks, "primary": True} if any(row is one for one in primary_rows(node)) else row.marks


def schema_at_top_level(flows: Flows, name: str) -> SchemaFlow | None:
    """Return the enterprise schema for one of its attributes that stands beside the core ones, as `department` does.

    One official sample sends them so; a name of the core schema is never taken for one.
    https://learn.microsoft.com/entra/identity/app-provisioning/customize-application-attributes
    """
    enterprise = vocabulary.ENTERPRISE.lower()
    is_theirs = name.lower() in vocabulary.DEFINED[enterprise] and name.lower() not in vocabulary.DEFINED[_CORE]
    return flows.schemas.get(enterprise) if is_theirs else None


def with_quotes(text: str) -> str:
    """Return a filter with the bare values of `eq` in quotes, as in the sample `filter=externalId eq jyoung`.

    https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups
    """
    parts = QUOTED.split(text)
    return "".join(part if part.startswith('"') else _UNQUOTED.sub(r'eq "\1"', part) for part in parts)


def single_value(raw: object) -> object:
    """Return the one value inside `[x]` and `{"value": x}`, the shapes in which Entra adds to a single value.

    https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups
    """
    while True:
        if isinstance(raw, list) and len(raw) == 1:
            raw = raw[0]
        elif isinstance(raw, dict) and raw.keys() == {"value"}:
            raw = raw["value"]
        else:
            return raw

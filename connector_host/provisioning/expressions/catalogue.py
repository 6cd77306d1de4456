"""Every function of the language by its name, as case-sensitive as the language is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector_host.provisioning.expressions import dates, lists, logic, replacing, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.provisioning.expressions.signatures import Function

FUNCTIONS: Final[Mapping[str, Function]] = {
    function.name: function for module in (text, replacing, dates, logic, lists) for function in module.FUNCTIONS
}

UNIQUE: Final = "SelectUniqueValue"
"""Stands outside of the catalogue: it chooses among values by asking the target, so it isn't a value by itself."""

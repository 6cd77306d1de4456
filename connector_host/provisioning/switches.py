"""What enables and disables a user of the target: one attribute, and which of its two values disables.

A link remembers by which one its user was enabled or disabled, so that another one in the settings is carried out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connector_host.provisioning.settings import DisableSettings


@dataclass(frozen=True, slots=True)
class Switch:
    """An attribute of the target, and the value of it that disables."""

    path: str
    """Empty where the target cannot disable."""
    disables: bool

    def turned(self, *, on: bool) -> dict[str, Any]:
        """Return the operation that enables or disables (RFC 7644 §3.5.2)."""
        return {"op": "replace", "path": self.path, "value": not self.disables if on else self.disables}


def switch_of(settings: DisableSettings) -> Switch:
    """Return the switch that a job's settings ask for."""
    return Switch(settings.path, settings.value)


def written(*switches: Switch) -> str:
    """Return what a link remembers: the switches that its user was disabled by, or enabled by, the job's own last."""
    return json.dumps([[one.path, one.disables] for one in switches])


def remembered(text: str) -> tuple[Switch, ...]:
    """Return the switches that a link remembers, none where it does not know."""
    return tuple(Switch(path, disables) for path, disables in json.loads(text)) if text else ()

"""What an administrator may not have meant: columns that are mapped and not there, and columns that are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.errors import Finding, Level

if TYPE_CHECKING:
    from connector_host.scim.flows import Flows


def find_oversights(flows: Flows) -> list[Finding]:
    """Return a finding for each such group of columns, or that everything fits."""
    findings = []
    if flows.missing:
        findings.append(
            Finding(
                Level.WARNING,
                "mapping",
                f"attributes or on_null name columns that the table does not expose: {', '.join(flows.missing)}.",
                "Correct the spelling, add them to columns, or leave the lines out.",
            )
        )
    marker = "" if flows.policies.delete.column is None else flows.policies.delete.column.lower()
    if unshown := [name for name in flows.hidden if name.lower() != marker]:
        findings.append(
            Finding(
                Level.WARNING,
                "mapping",
                f"Columns that SCIM cannot name, or must not carry, are no attributes: {', '.join(unshown)}.",
                "Map those that you need in attributes; passwords, groups and references are never provisioned.",
            )
        )
    return findings or [Finding(Level.OK, "mapping", "Every mapping and flow fits the table.")]

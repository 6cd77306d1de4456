"""Where Microsoft Entra departs from the RFC: one function each, with the source beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector_host.scim.flows import Multi, Row

_MISSPELLED: Final = re.compile(r"^(urn:ietf:params:scim:schemas:extension:enterprise:2\.0)(User\b)", re.IGNORECASE)


def mended_urn(text: str) -> str:
    """Return the text with the enterprise URN as it should be: one official sample leaves out a colon.

    https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups
    """
    return _MISSPELLED.sub(r"\1:\2", text)


def primary_rows(node: Multi) -> tuple[Row, ...]:
    """Return what `[primary eq true]` and Entra's `[primary eq "True"]` select: the primary value, else the only one.

    https://learn.microsoft.com/entra/identity/app-provisioning/application-provisioning-config-problem-scim-compatibility
    """
    primary = tuple(row for row in node.rows if row.selector == "primary")
    return primary or (node.rows if len(node.rows) == 1 else ())

"""A request that SCIM itself refuses, with everything that the error body needs (RFC 7644 §3.12)."""

from __future__ import annotations

from typing import Literal

from connector_host.errors import HostError

ScimType = Literal[
    "invalidFilter",
    "tooMany",
    "uniqueness",
    "mutability",
    "invalidSyntax",
    "invalidPath",
    "noTarget",
    "invalidValue",
    "invalidVers",
    "sensitive",
    "invalidCursor",
    "expiredCursor",
    "invalidCount",
]


class ScimError(HostError):
    """The request cannot be answered; the detail is for an administrator and never repeats a value."""

    def __init__(self, status: int, detail: str, scim_type: ScimType | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.scim_type = scim_type


def invalid_syntax(detail: str) -> ScimError:
    """Return the error for a body that is not what the operation takes."""
    return ScimError(400, detail, "invalidSyntax")


def invalid_path(detail: str) -> ScimError:
    """Return the error for a path that cannot be read."""
    return ScimError(400, detail, "invalidPath")


def invalid_filter(detail: str) -> ScimError:
    """Return the error for a filter that cannot be read or carried out."""
    return ScimError(400, detail, "invalidFilter")

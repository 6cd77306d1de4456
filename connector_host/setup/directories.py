"""Which directory will call: by its name for people, and the preset that its first requests need (DESIGN §2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Preset = Literal["strict", "entra", "okta"]


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that may call, as a person chooses it."""

    title: str
    preset: Preset
    reason: str
    """What the preset leaves out instead of refusing it; a comment in the file."""


DIRECTORIES: Final[Mapping[str, Directory]] = MappingProxyType(
    {
        "entra": Directory(
            "Microsoft Entra ID",
            "entra",
            "Entra's standard mapping sends manager and further values with every user: both are left out.",
        ),
        "okta": Directory(
            "Okta",
            "okta",
            "Okta sends a password and further values with every new user: they are left out and never stored.",
        ),
        "other": Directory("another SCIM client", "strict", "Whatever is refused is answered with the reason."),
    }
)

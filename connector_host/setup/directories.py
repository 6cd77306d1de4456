"""Which directory will call, and what its first requests hold that this product would refuse (DESIGN §2.2).

Each preset drops just that class, so that the first user arrives; every other class stays refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from connector_host.connectors.contract import RefusalKind

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that may call, as a person chooses it."""

    title: str
    drops: tuple[RefusalKind, ...]
    reason: str
    """Why these classes are dropped instead of refused; a comment in the file."""


DIRECTORIES: Final[Mapping[str, Directory]] = MappingProxyType(
    {
        "entra": Directory(
            "Microsoft Entra ID",
            (RefusalKind.REFERENCE,),
            "Entra's standard mapping sends manager with every user; remove it there, or leave it out here.",
        ),
        "okta": Directory(
            "Okta",
            (RefusalKind.PASSWORD,),
            "Okta sends a password with every new user; it is never stored.",
        ),
        "other": Directory("another SCIM client", (), "Whatever is refused is answered with the reason."),
    }
)

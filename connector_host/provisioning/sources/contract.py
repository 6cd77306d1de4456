"""What the engine asks of every source: its key, its attributes, and its users, all of them or since a mark.

attributes ──▶ name → kind             what can be mapped
read(mark) ──▶ batches of users, then the next mark
fetch(key) ──▶ one user, for a retry or on demand
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from connector_host.provisioning.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from connector_host.provisioning.expressions.signatures import Kind
    from connector_host.provisioning.values import Values

BATCH = 250
"""Users that a source hands over at once."""


class Presence(Enum):
    """Whether a user is still there."""

    HERE = "here"
    SOFT_DELETED = "soft deleted"
    """Gone for now, and might come back: the user is disabled."""
    GONE = "gone"
    """Gone for ever: the user is deleted."""


@dataclass(frozen=True, slots=True)
class SourceUser:
    """One user as the source has it."""

    key: str
    """What identifies the user for ever, as text; empty where the record is too spoilt to tell (see `flaw`)."""
    values: Values
    """Every attribute that has a value; empty for a user who is gone."""
    presence: Presence = Presence.HERE
    flaw: str = ""
    """Why the record cannot be believed, and where it stands, without any value of it; empty where all is well."""


def spoilt(flaw: str, key: str = "") -> SourceUser:
    """Return what stands for a record that cannot be read: its user is there, and more is not known."""
    return SourceUser(key, {}, flaw=flaw)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the users, in the source's order."""

    users: tuple[SourceUser, ...]
    mark: str | None = None
    """Where the source stands once this batch and all before it were read; on the last batch at the latest."""


class Source(Protocol):
    """One source. Every method may raise SourceFailed."""

    @property
    def gives_changes(self) -> bool:
        """Whether `read` with a mark gives no more than what has changed since."""

    @property
    def full_every(self) -> int:
        """Every how many cycles all must be read because changes don't name users who are gone; 0 is never."""

    async def attributes(self) -> Mapping[str, Kind] | None:
        """Return the attributes that users may have; None where only the users themselves could tell."""

    async def kinds(self) -> Mapping[str, Kind]:
        """Return the kinds of those attributes of which the source itself says something."""

    async def count(self) -> int | None:
        """Return about how many users there are, None where only reading them all would tell; for showing progress."""

    def read(self, mark: str | None) -> AsyncGenerator[Batch, None]:
        """Yield the users: all of them with None, else those that have changed since the mark.

        When all are read, a user who is not among them is gone, unless one of them is without a key.
        """

    async def fetch(self, key: str) -> SourceUser | None:
        """Return one user as it is now, None if there is no such user."""

    async def lacks(self, key: str) -> bool:
        """Return whether surely no user has this key; False where nobody can tell."""

    async def close(self) -> None:
        """Let go of connections."""


async def surely_lacks(source: Source, key: str) -> bool:
    """Return whether surely no user of the source has this key; False where it cannot be asked, too."""
    try:
        return await source.lacks(key)
    except SourceFailed:
        return False

"""What the state keeps, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Action(StrEnum):
    """What was done for a user, by the names of the provisioning log (Microsoft Graph: provisioningObjectSummary)."""

    CREATE = "create"
    UPDATE = "update"
    DISABLE = "disable"
    DELETE = "delete"
    STAGED_DELETE = "stageddelete"
    OTHER = "other"


class Status(StrEnum):
    """How it went."""

    SUCCESS = "success"
    FAILURE = "failure"
    SKIPPED = "skipped"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class JobState:
    """Where one job stands."""

    name: str
    salt: bytes
    fingerprint: str = ""
    mark: str | None = None
    cycle: int = 0
    since_full: int = 0
    open_kind: str | None = None
    initial_due: bool = True
    stopped: bool = False
    """Whether an administrator has stopped the job: it stays so until it is started."""
    switched_off: bool = False
    """Whether the job was in quarantine for too long: it stays so until it is restarted, or started."""
    quarantined_at: float | None = None
    quarantine_code: str | None = None
    quarantine_reason: str | None = None
    quarantine_attempts: int = 0
    unavailable_since: float | None = None
    """Since when source or target has been away; None where they are not."""
    unavailable_told: bool = False
    """Whether people have been told of that."""
    deletes_suspended: bool = False
    """Whether the last cycle took nobody for gone, since the source has records without a readable key."""
    next_run: float | None = None
    begun_at: float | None = None
    """When the last cycle began."""
    schedule: str = ""
    """By which schedule `next_run` was planned."""
    last_report: str | None = None

    @property
    def rests(self) -> bool:
        """Return whether no cycle is run."""
        return self.stopped or self.switched_off


@dataclass(frozen=True, slots=True)
class Link:
    """Which object of the target belongs to a user of the source, and what it was last given."""

    source_key: str
    target_id: str
    digests: Mapping[str, str]
    """SCIM path to the digest of the value that was last flowed there."""
    enabled: bool
    seen: int
    """The cycle that last saw the user in the source."""
    compared: int
    """The cycle that last compared the user with the target."""
    writes: int = 0
    """How often the target was written for this user."""
    switch: str = ""
    """By which attributes and values the user is enabled or disabled (see `switches`); empty is not known."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A user who could not be provisioned, and when it is tried again."""

    source_key: str
    attempts: int
    """How often; 0 where nothing is known to be wrong and an administrator wants the user looked at."""
    next_try: float
    code: str
    reason: str
    status: int | None = None


ALLOWED: Final = 0
"""Stands for the cycle of a staged action that an administrator has allowed; cycles are counted from 1."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A disable or delete that waits for the end of its cycle, or to be allowed."""

    source_key: str
    action: Action
    reason: str
    cycle: int
    """The cycle that staged it, or ALLOWED."""


@dataclass(frozen=True, slots=True)
class Modified:
    """One attribute of the target that was changed."""

    path: str
    old: Any  # JSON
    new: Any  # JSON


@dataclass(frozen=True, slots=True)
class Intent:
    """A write that is about to be sent to the target, and whose answer is not known yet."""

    source_key: str
    action: Action
    target_id: str | None
    modified: tuple[Modified, ...]
    cycle: int
    initiated_by: str
    at: float
    """When it was sent."""


@dataclass(frozen=True, slots=True)
class Step:
    """One of the five steps of provisioning a user, and how it went."""

    name: str
    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the provisioning log."""

    at: float
    job: str
    cycle: int
    change_id: str
    action: Action
    status: Status
    source_key: str
    target_id: str | None
    initiated_by: str
    duration_ms: float
    code: str | None = None
    reason: str | None = None
    modified: tuple[Modified, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(slots=True)
class Changes:
    """What one batch of users leaves behind, written in one transaction."""

    seen: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    unlinked: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    staged: list[Staged] = field(default_factory=list)
    unstaged: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    """Users of whose last write it is known what became of it: their intents are dropped."""
    log: list[LogEntry] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    """Users whose object of the target somebody else has now."""

    @property
    def still_staged(self) -> list[Staged]:
        """Return what is to be staged; of who has left the object to somebody else there is nothing to delete."""
        return [one for one in self.staged if one.source_key not in self.left]

    def leave(self, key: str) -> None:
        """Forget a user who is gone, and whose object of the target somebody else has now."""
        self.left.add(key)
        self.unlinked.append(key)
        self.unstaged.append(key)
        self.healed.append(key)

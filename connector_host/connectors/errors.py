"""What may go wrong between the host and a connected system, as facts that every room above can act on.

ConnectorError
├── NotFound          no object with this anchor
├── Conflict          another object holds a value that must be unique
├── InvalidValue      a value cannot be stored in this attribute
├── Immutable         the attribute cannot be changed
├── RefusedExport     a class of export that this product refuses (DESIGN §2.2)
├── Denied            the connected system does not allow its login to do this
├── Unavailable       nothing was done and it may work later (retry)
│   └── Busy          the same, because of load: lock, deadlock, time limit, full queue
└── InDoubt           nobody can tell whether the export was committed (DESIGN §2.5)

No message holds SQL text, a driver's words, or a value that somebody sent: those go to the log only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from connector_host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector_host.connectors.contract import Refusal


class ConnectorError(HostError):
    """The root of what a connector raises."""

    retry: ClassVar[bool] = False
    """Whether the same request may succeed later without anybody changing anything."""


class NotFound(ConnectorError):
    """There is no object with this anchor."""

    def __init__(self, anchor: str) -> None:
        super().__init__("There is no user with this id.")
        self.anchor = anchor


class Conflict(ConnectorError):
    """Another object already holds a value that the connected system keeps unique."""

    def __init__(self, attributes: Sequence[str]) -> None:
        """Take the names of the attributes that clash; empty where the system does not tell."""
        named = " and ".join(attributes) if attributes else "a unique attribute"
        super().__init__(f"Another user already has this value of {named}.")
        self.attributes = tuple(attributes)


class WrongRowCount(ConnectorError):
    """A write that is meant for one object met none or several; it was undone."""


class InvalidValue(ConnectorError):
    """A value cannot be stored in the attribute; the reason names the expected type or the limit."""

    def __init__(self, attribute: str, reason: str) -> None:
        super().__init__(f"{attribute}: {reason}" if attribute else reason)
        self.attribute = attribute
        self.reason = reason


class Immutable(ConnectorError):
    """The attribute cannot be changed: it is the anchor, or the connected system computes it."""

    def __init__(self, attribute: str, reason: str) -> None:
        super().__init__(f"{attribute}: {reason}")
        self.attribute = attribute
        self.reason = reason


class RefusedExport(ConnectorError):
    """The export holds values of a class that is refused here (DESIGN §2.2)."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(" ".join(refusal.sentence for refusal in refusals))
        self.refusals = tuple(refusals)


class Denied(ConnectorError):
    """The connected system does not allow its login to do this; only an administrator can mend it."""


class Unavailable(ConnectorError):
    """The connected system could not be reached, and nothing was done."""

    retry = True

    def __init__(self, reason: str, *, retry_after_s: int = 5) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Busy(Unavailable):
    """The connected system was locked or too slow this time, and nothing was done."""


class InDoubt(ConnectorError):
    """The connection was lost while the commit was on its way: it may or may not have happened."""

"""What may go wrong while users are provisioned, as facts that a cycle acts on.

ProvisioningError
├── ExpressionError       an expression cannot be compiled (it knows its column) or evaluated for this user
├── SourceFailed          the source could not be read; nothing may be concluded from what it didn't say
│   └── MarkTooOld        it cannot tell what has changed since the mark: all must be read
├── StateUnavailable      the state cannot be read or written at the moment
├── NothingStaged         there is nothing to allow
├── JobHeld               another engine leads the job
└── TargetError           the target said no, or said nothing; `code` is the error code of the provisioning log
    ├── Refused             this user cannot be written as it stands
    ├── TargetUnavailable   the target or the way to it is down; nothing is wrong with the user
    │   └── NotDone           and what was asked for was not done
    ├── CredentialsRefused  the token is not accepted: nothing will work until an administrator acts
    └── Incompliant         the answer is no SCIM: nothing will work until an administrator acts
"""

from __future__ import annotations

from connector_host.errors import HostError


class ProvisioningError(HostError):
    """The root of what this room raises."""


class ExpressionError(ProvisioningError):
    """An expression cannot be compiled, or not be evaluated for this user; the text holds no value of a user."""

    def __init__(self, reason: str, column: int | None = None) -> None:
        super().__init__(reason if column is None else f"column {column}: {reason}")
        self.reason = reason
        self.column = column


class SourceFailed(ProvisioningError):
    """The source could not be read to its end; `mend` is what an administrator may do about it."""

    def __init__(
        self, reason: str, mend: str = "Look at the source's address, login and key in the configuration."
    ) -> None:
        super().__init__(reason)
        self.mend = mend


class MarkTooOld(SourceFailed):
    """The source cannot tell what has changed since the mark."""


class StateUnavailable(ProvisioningError):
    """The state cannot be read or written at the moment."""


class JobHeld(ProvisioningError):
    """Another engine leads this job at the moment."""

    def __init__(self, job: str) -> None:
        super().__init__(f"The job {job} is led by another engine at the moment.")


class NothingStaged(ProvisioningError):
    """Deletes were to be allowed, and none is staged."""


class TargetError(ProvisioningError):
    """The target said no, or nothing that can be used."""

    def __init__(
        self, code: str, reason: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class Refused(TargetError):
    """This user cannot be written as it stands."""


class TargetUnavailable(TargetError):
    """The target, or the way to it, is down; nothing is wrong with the user. A write may have been carried out."""


class NotDone(TargetUnavailable):
    """As above, and the target has surely not done what it was asked for."""


class CredentialsRefused(TargetError):
    """The token is not accepted."""


class Incompliant(TargetError):
    """What answered is no SCIM service."""

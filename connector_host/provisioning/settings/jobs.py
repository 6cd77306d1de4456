"""One job: its source, its target, who is in scope, what flows where, when, and what happens when things go wrong."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from croniter import CroniterBadDateError, croniter
from pydantic import Field, SecretStr, field_validator, model_validator

from connector_host import clock
from connector_host.provisioning.settings.addresses import checked_https, is_loopback
from connector_host.provisioning.settings.sources import SourceSettings
from connector_host.settings import Settings
from connector_host.urls import split

Constant = bool | int | float | str


class Operator(StrEnum):
    """How a clause of a scoping filter compares (Microsoft: scoping filters)."""

    BITS_SET = "&"
    BITS_NOT_SET = "!&"
    ENDS_WITH = "ENDS_WITH"
    EQUALS = "EQUALS"
    GREATER_THAN = "Greater_Than"
    GREATER_THAN_OR_EQUALS = "Greater_Than_OR_EQUALS"
    INCLUDES = "Includes"
    IS_FALSE = "IS FALSE"
    IS_NOT_NULL = "IS NOT NULL"
    IS_NULL = "IS NULL"
    IS_TRUE = "IS TRUE"
    NOT_EQUALS = "NOT EQUALS"
    NOT_REGEX_MATCH = "NOT REGEX MATCH"
    REGEX_MATCH = "REGEX MATCH"


INTERVAL_MIN_MIN: Final = 0.1
"""Minutes: six seconds. Less would be one cycle after the other, with a whole reading of most sources each."""
INTERVAL_MIN_MAX: Final = 525_600
"""Minutes of a year."""
CRON_FIELDS_MAX: Final = 6
"""Minute to weekday, and the second; a year, which could be over, is none of them."""
ROLES: Final = "appRoleAssignments"
"""Which roles of an application a user has: in Graph no property of the user but a relationship, which neither a delta
query nor `$select` gives (Microsoft: user resource type, relationships)."""

WITHOUT_VALUE = frozenset({Operator.IS_FALSE, Operator.IS_TRUE, Operator.IS_NULL, Operator.IS_NOT_NULL})


class ClauseSettings(Settings):
    """One comparison; all clauses of a filter must hold."""

    attribute: str
    """The attribute of the source."""
    operator: Operator
    """How to compare."""
    value: bool | str | int | None = None
    """What to compare with; `true` and `false` without quotes equal their spelling in any case.
    None for IS NULL, IS NOT NULL, IS TRUE and IS FALSE."""

    @model_validator(mode="after")
    def _value_where_one_is_needed(self) -> ClauseSettings:
        if (self.value is None) != (self.operator in WITHOUT_VALUE):
            raise ValueError(f"{self.operator} takes {'no value' if self.operator in WITHOUT_VALUE else 'a value'}")
        return self


class FilterSettings(Settings):
    """One scoping filter; a user is in scope if one of the filters lets it in."""

    title: str = ""
    """What an administrator calls it."""
    clauses: tuple[ClauseSettings, ...] = Field(min_length=1)
    """All of these must hold."""


class MappingSettings(Settings):
    """What flows into one attribute of the target."""

    target: str
    """The SCIM path: `userName`, `name.givenName`, `emails[type eq "work"].value`, `urn:…:User:COLUMN`."""
    type: Literal["direct", "constant", "expression", "none"] = "direct"
    """Where the value comes from: attribute of the source, constant, expression, or nowhere (`default` only)."""
    source: str | None = None
    """With `direct`: the attribute of the source."""
    constant: Constant | None = None
    """With `constant`: the value."""
    expression: str | None = None
    """With `expression`: its text, of 10,000 characters at the most."""
    default: Constant | None = None
    """The value on creation where there would be none."""
    match: int | None = Field(default=None, ge=1)
    """The precedence of matching by this attribute, 1 first; None is not at all."""
    apply: Literal["always", "creation"] = "always"
    """Whether it flows with every update or on creation only."""
    clear_when_null: bool = False
    """Clear the attribute of the target when there is no value any more; otherwise nulls are passed over."""
    redact: bool = False
    """Keep its values out of the provisioning log."""

    @model_validator(mode="after")
    def _exactly_its_own_part(self) -> MappingSettings:
        given = {name for name in ("source", "constant", "expression") if getattr(self, name) is not None}
        wanted = set[str]() if self.type == "none" else {"source" if self.type == "direct" else self.type}
        if given != wanted:
            raise ValueError(f"a {self.type} mapping is given by {next(iter(wanted), 'default')!r} and nothing else")
        if self.type == "none" and (self.match is not None or self.clear_when_null):
            raise ValueError("a mapping of type none has no value to match by or to clear")
        if self.clear_when_null and self.apply == "creation":
            raise ValueError('clear_when_null clears with updates: leave it out, or leave out apply = "creation"')
        return self


class TargetSettings(Settings):
    """The SCIM service that is kept in step."""

    url: str
    """The tenant URL: the SCIM base URL, https unless the service is on this machine."""
    token: SecretStr | None = None
    """The secret token; give it by environment or by `token_file` rather than here."""
    token_file: Path | None = None
    """A file that holds the token and nothing else."""
    signing_key: Path | None = None
    """A private key (`connector-host signing new`) that signs every request (RFC 9421), for a target that demands it;
    None signs nothing."""
    trust: Path | None = None
    """The certificate authority of the service, PEM; None is the system's."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Requests that may be under way at the same time; of jobs that write to the same URL, the least holds for all."""
    requests_per_s: float | None = Field(default=None, gt=0)
    """The most requests a second; None is no limit. Shared as `concurrency` is."""
    timeout_s: float = Field(default=40.0, gt=0)
    """Seconds that one request may take."""
    attempts: int = Field(default=4, ge=1, le=10)
    """Times that a request is tried in one cycle where the target is busy or unreachable."""

    @staticmethod
    def paths() -> tuple[str, ...]:
        """Return the keys that are paths."""
        return ("token_file", "signing_key", "trust")

    @field_validator("url")
    @classmethod
    def _url_is_safe(cls, url: str) -> str:
        return checked_https(url, "https://HOST/…/scim")

    @model_validator(mode="after")
    def _one_token(self) -> TargetSettings:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("give the secret token by token_file, or by token, but not by both")
        return self


class ActionSettings(Settings):
    """What a job may do to the target."""

    create: bool = True
    """Create users that the target doesn't have."""
    update: bool = True
    """Change and disable users."""
    delete: bool = True
    """Delete users."""


class DisableSettings(Settings):
    """How a user of the target is disabled; set by the job on each user, so no mapping may write the same attribute."""

    path: str = "active"
    """The SCIM path; empty where the target cannot disable: users that would be disabled are then deleted."""
    value: bool = False
    """What disables; the opposite enables."""


class NotificationSettings(Settings):
    """Who is told when a job is quarantined, held back by its threshold, or well again."""

    webhook: str | None = None
    """A URL that takes a JSON document by POST; https unless it is on this machine."""
    email: str | None = None
    """The address that mail goes to."""
    sender: str | None = None
    """The address that mail comes from; None is the same as `email`."""
    smtp: str = "smtp://localhost:25"
    """The mail server: `smtp://host:25`, `smtp+starttls://user@host:587`, `smtps://user@host:465`. With a login it is
    encrypted, unless it is on this machine."""
    smtp_password_file: Path | None = None
    """A file that holds the password of the mail server."""

    @staticmethod
    def paths() -> tuple[str, ...]:
        """Return the keys that are paths."""
        return ("smtp_password_file",)

    @field_validator("webhook")
    @classmethod
    def _webhook_is_safe(cls, webhook: str | None) -> str | None:
        if webhook is not None:
            checked_https(webhook, "https://HOST/…")
        return webhook

    @field_validator("email", "sender")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        if address is not None and not re.fullmatch(r"[^@\s<>,;]+@[^@\s<>,;]+", address):
            raise ValueError("is no e-mail address")
        return address

    @field_validator("smtp")
    @classmethod
    def _is_a_mail_server(cls, smtp: str) -> str:
        parts = split(smtp, frozenset({"smtp", "smtp+starttls", "smtps"}))
        if parts is None:
            raise ValueError("is no mail server: write smtp://host:25, smtp+starttls:// or smtps://")
        if parts.password:
            raise ValueError("has a password in it: write it into a file and name that by smtp_password_file")
        if parts.username and parts.scheme == "smtp" and not is_loopback(smtp):
            raise ValueError("sends the password in the clear: write smtp+starttls:// or smtps://")
        return smtp

    @model_validator(mode="after")
    def _login_has_a_password(self) -> NotificationSettings:
        if urlsplit(self.smtp).username and self.smtp_password_file is None:
            raise ValueError("smtp names a login: give its password by smtp_password_file")
        return self


class QuarantineSettings(Settings):
    """When failures stop a job from running as usual (Microsoft: application provisioning quarantine status)."""

    evaluated_from: int = Field(default=5_000, ge=1)
    """Failures in a cycle below which their share is not looked at."""
    percent: float = Field(default=40.0, gt=0, le=100)
    """The share of failures that quarantines, in percent of the users looked at."""
    failures: int = Field(default=40_000, ge=1)
    """Failures in a cycle that quarantine, whatever their share."""
    disabled_after_days: int = Field(default=28, ge=1)
    """Days in quarantine after which the job is switched off."""


class JobSettings(Settings):
    """One provisioning job: `[jobs.NAME]`."""

    source: SourceSettings
    """Where the users come from."""
    target: TargetSettings
    """Where they go."""
    mappings: tuple[MappingSettings, ...] = Field(min_length=1)
    """What flows where; at least one of them has `match`."""
    scope: tuple[FilterSettings, ...] = ()
    """Scoping filters; none is everybody."""
    assignment: Literal["all", "assigned"] = "all"
    """Whether users need to be assigned besides being in scope."""
    assigned_attribute: str = ROLES
    """With `assigned`: the attribute of the source that has a value (other than false) for users that are assigned. Not
    `appRoleAssignments` of Graph, whose users come without it."""
    enabled_attribute: str | None = None
    """The attribute of the source that is false for a disabled user (of LDAP and Graph `accountEnabled`); None is that
    the source has none. True and false in any case, or numbers; a user with another value, or an empty one, is skipped
    (`ImportSkipped`), and one without the attribute counts as enabled."""
    out_of_scope: Literal["disable", "leave"] = "disable"
    """What happens to a user who leaves the scope or is unassigned: disabled, or left as it is."""
    disable: DisableSettings = DisableSettings()
    """How a user is disabled."""
    actions: ActionSettings = ActionSettings()
    """What the job may do."""
    interval_min: float = Field(default=40.0, ge=INTERVAL_MIN_MIN, le=INTERVAL_MIN_MAX)
    """Minutes from the start of one cycle to the start of the next; 0.1 at the least, a year at the most."""
    cron: str | None = None
    """A cron expression without a year instead of the interval, in UTC: `0 */2 * * 1-5`."""
    accidental_deletions: int | None = Field(default=None, ge=0)
    """The most deletes and disables of one cycle; more are staged until they are allowed. None is no limit, save that a
    source without any user never deletes or disables by itself."""
    quarantine: QuarantineSettings = QuarantineSettings()
    """When failures stop the job."""
    notify: NotificationSettings = NotificationSettings()
    """Who is told."""
    redact_log: bool = False
    """Keep every value out of the provisioning log; names of attributes stay."""

    @field_validator("enabled_attribute")
    @classmethod
    def _is_no_bits(cls, name: str | None) -> str | None:
        if name is not None and name.lower() == "useraccountcontrol":
            raise ValueError("holds flags, and is never false: write accountEnabled, which is read from them")
        return name

    @model_validator(mode="after")
    def _graph_tells_of_no_roles(self) -> JobSettings:
        if self.source.type == "graph" and self.assignment == "assigned" and self.assigned_attribute == ROLES:
            raise ValueError(
                f"assigned_attribute: users of Microsoft Graph come without {ROLES}: name a property that users who are"
                " to have an account have, such as employeeType, or choose them by a scope"
            )
        return self

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str | None) -> str | None:
        if cron is None:
            return cron
        if not croniter.is_valid(cron) or len(cron.split()) > CRON_FIELDS_MAX:
            raise ValueError("is no cron expression")
        try:
            croniter(cron, clock.now()).get_next()
        except CroniterBadDateError:
            raise ValueError("names a day that never comes") from None
        return cron

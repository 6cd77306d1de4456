"""Where the users of a job come from: one model a kind of source."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from connector_host.provisioning.settings.addresses import checked_https, database_parts, is_loopback
from connector_host.settings import Settings
from connector_host.urls import split

RELATIONSHIPS: Final = frozenset(
    {
        "appRoleAssignments", "createdObjects", "directReports", "licenseDetails", "memberOf", "oauth2PermissionGrants",
        "ownedDevices", "ownedObjects", "registeredDevices", "transitiveMemberOf",
    }
)  # fmt: skip
"""What `$select` gives no values for (Microsoft: user resource type, relationships)."""

SECRET_NAME: Final = re.compile(r"password|passwd|pwd", re.IGNORECASE)
SECRET_IN_ODBC: Final = re.compile(r"(?:^|;)\s*(?:pwd|password)\s*=", re.IGNORECASE)


class _Secret(Settings):
    """What every source with a login has: a secret out of one place."""

    secret: SecretStr | None = None
    """The password, token or client secret; give it by environment or by `secret_file` rather than here."""
    secret_file: Path | None = None
    """A file that holds the secret and nothing else."""

    @staticmethod
    def paths() -> tuple[str, ...]:
        """Return the keys that are paths."""
        return ("secret_file",)

    @model_validator(mode="after")
    def _one_secret(self) -> _Secret:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("secret and secret_file are both given: keep one of them")
        return self


class _File(Settings):
    """What the kinds of files share."""

    path: Path
    """The file; it is read from its beginning in each cycle, and may be replaced at any time."""
    key: str
    """The attribute that identifies a user for ever."""
    encoding: str = "utf-8-sig"
    """The file's encoding."""

    @staticmethod
    def paths() -> tuple[str, ...]:
        """Return the keys that are paths."""
        return ("path",)

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError("is no encoding that Python knows: write utf-8, cp1252, latin-1, …") from None
        return encoding


class CsvSettings(_File):
    """A CSV file with a heading line."""

    type: Literal["csv"]
    """`csv`"""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between values."""
    many_delimiter: str | None = Field(default=None, min_length=1)
    """What stands between the values of an attribute that has several; None is never."""


class NdjsonSettings(_File):
    """A file with one JSON object on each line; nested objects become `name.givenName`."""

    type: Literal["ndjson"]
    """`ndjson`"""


class SqlSettings(_Secret):
    """Any query of any database that SQLAlchemy reaches."""

    type: Literal["sql"]
    """`sql`"""
    database: str
    """The database as a SQLAlchemy URL without the password; a relative file of SQLite is relative to the folder of
    this file, and has to be there."""
    query: str
    """One SELECT that changes nothing; its columns are the attributes."""
    key: str
    """The column that identifies a user for ever."""
    mark: str | None = None
    """A column that only ever grows (a version, or the time of the last change): with it, incremental cycles read no
    more than what has changed. Rows that were deleted are found by a full read every `full_every` cycles."""
    full_every: int = Field(default=24, ge=1)
    """With `mark`: every how many cycles the whole query is read, which finds rows that are gone."""

    @field_validator("database")
    @classmethod
    def _has_no_password(cls, database: str) -> str:
        parts = database_parts(database, "postgresql+psycopg://USER@HOST/DATABASE")
        query = parse_qsl(database.partition("?")[2])
        if parts["password"] or any(_names_a_password(name, value) for name, value in query):
            raise ValueError("has a password in it: write it into a file and name that by secret_file")
        return database

    @field_validator("query")
    @classmethod
    def _only_reads(cls, query: str, others: ValidationInfo) -> str:
        from connector_host.databases import queries  # noqa: PLC0415 - a grammar that only a query needs

        backend = str(others.data.get("database", "")).partition(":")[0].partition("+")[0]
        if refusal := queries.refusal(query, backend):
            raise ValueError(refusal)
        return query


def _names_a_password(name: str, value: str) -> bool:
    """Return whether a part of a URL's query is a password, or an ODBC connection string that has one."""
    return bool(SECRET_NAME.fullmatch(name)) or (name == "odbc_connect" and bool(SECRET_IN_ODBC.search(value)))


class LdapSettings(_Secret):
    """LDAP or Active Directory."""

    type: Literal["ldap"]
    """`ldap`"""
    url: str
    """`ldaps://dc1.example.org`, or `ldap://` with `start_tls`; a login in the clear is for this machine only."""
    start_tls: bool = False
    """Encrypt a connection to `ldap://` before the login."""
    trust: Path | None = None
    """The certificate authority of the server, PEM; None is the system's."""
    login: str | None = None
    """The DN (or Active Directory name) to log in as; None is anonymous."""
    search_base: str
    """Where the users are."""
    filter: str = "(objectClass=person)"
    """Which entries are users."""
    key: str = "entryUUID"
    """The attribute that identifies a user for ever: `entryUUID`, or `objectGUID` in Active Directory."""
    attributes: tuple[str, ...] = ()
    """What to read of each entry; empty is all user attributes. `key` and `mark` are always read. `accountEnabled` is
    false where Active Directory's `userAccountControl` has the bit of disabled accounts: read with either of them."""
    mark: str | None = "modifyTimestamp"
    """The operational attribute that grows with each change: `modifyTimestamp`, or `uSNChanged` in Active Directory."""
    full_every: int = Field(default=24, ge=1)
    """Every how many cycles everything is read, which finds entries that are gone."""
    page_size: int = Field(default=500, ge=1, le=1_000)
    """Entries a page (RFC 2696)."""

    @staticmethod
    def paths() -> tuple[str, ...]:
        """Return the keys that are paths."""
        return ("secret_file", "trust")

    @field_validator("url")
    @classmethod
    def _is_a_directory(cls, url: str) -> str:
        if split(url, frozenset({"ldap", "ldaps"})) is None:
            raise ValueError("is no directory: write ldaps://HOST, or ldap://HOST with start_tls = true")
        return url

    @model_validator(mode="after")
    def _login_is_encrypted(self) -> LdapSettings:
        plain = self.url.startswith("ldap://")
        if self.start_tls and not plain:
            raise ValueError("url: ldaps:// is encrypted from its first byte: leave start_tls out, or write ldap://")
        if plain and not self.start_tls and self.login is not None and not is_loopback(self.url):
            raise ValueError("url: the login is sent in the clear: write ldaps://, or add start_tls = true")
        return self

    @property
    def reads_in_the_clear(self) -> bool:
        """Return whether what is read crosses a network unencrypted, where anybody could read and change it."""
        return self.url.startswith("ldap://") and not self.start_tls and not is_loopback(self.url)


class ScimSettings(_Secret):
    """Another SCIM service."""

    type: Literal["scim"]
    """`scim`"""
    url: str
    """The base URL, https unless the service is on this machine; `/Users` is added."""
    trust: Path | None = None
    """The certificate authority of the service, PEM; None is the system's."""
    key: str = "id"
    """The attribute that identifies a user for ever."""
    page_size: int = Field(default=100, ge=1)
    """Users a page."""
    changes: bool = False
    """Whether the service filters by `meta.lastModified`: incremental cycles then read only what has changed."""
    full_every: int = Field(default=24, ge=1)
    """With `changes`: every how many cycles everything is read, which finds users that are gone."""

    @staticmethod
    def paths() -> tuple[str, ...]:
        """Return the keys that are paths."""
        return ("secret_file", "trust")

    @field_validator("url")
    @classmethod
    def _url_is_safe(cls, url: str) -> str:
        return checked_https(url, "https://HOST/…/scim")


class GraphSettings(_Secret):
    """Microsoft Graph: `users/delta`, with the client credentials of an app registration."""

    type: Literal["graph"]
    """`graph`"""
    tenant: str
    """The directory (tenant) id."""
    client: str
    """The application (client) id."""
    attributes: tuple[str, ...] = (
        "userPrincipalName", "displayName", "givenName", "surname", "mail", "department", "jobTitle", "accountEnabled",
    )  # fmt: skip
    """What to read of each user (`$select`); `id` is always read."""
    key: Literal["id"] = "id"
    """The attribute that identifies a user for ever."""
    url: str = "https://graph.microsoft.com/v1.0"
    """The Graph of your cloud."""
    authority: str = "https://login.microsoftonline.com"
    """The token authority of your cloud."""
    trust: Path | None = None
    """The certificate authority of both, PEM; None is the system's."""

    @staticmethod
    def paths() -> tuple[str, ...]:
        """Return the keys that are paths."""
        return ("secret_file", "trust")

    @field_validator("attributes")
    @classmethod
    def _are_properties(cls, attributes: tuple[str, ...]) -> tuple[str, ...]:
        for name in attributes:
            if name in RELATIONSHIPS:
                raise ValueError(f"{name} is a relationship of users in Graph and no property: leave it out")
        return attributes

    @field_validator("url", "authority")
    @classmethod
    def _url_is_safe(cls, url: str) -> str:
        return checked_https(url, "https://HOST")


SourceSettings: TypeAlias = Annotated[
    CsvSettings | NdjsonSettings | SqlSettings | LdapSettings | ScimSettings | GraphSettings,
    Field(discriminator="type"),
]
"""One source's settings, told apart by `type`."""

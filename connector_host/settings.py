"""The configuration as frozen models: one TOML file, every key documented where it is declared.

Every key may also be set by an environment variable: CONNECTOR_HOST__HOST__PORT=9000 stands for `port` in `[host]`,
CONNECTOR_HOST__CONNECTORS__HR__DATABASE for `database` in `[connectors.HR]`; lists and tables are given as TOML values.
Relative paths are relative to the folder of the file.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT_PREFIX = "CONNECTOR_HOST__"

CONNECTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What fits into a URL without escaping; names are case-sensitive, as in the product that this one replaces."""

RefusalAction = Literal["reject", "drop"]


class Settings(BaseModel):
    """The root of what is frozen here: unknown keys are errors, and every key has a docstring."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True, validate_default=True
    )


class RefusalSettings(Settings):
    """What happens to an export of a class that is refused: `reject` answers 400, `drop` leaves the value out."""

    multi_valued: RefusalAction = "reject"
    """More values than the attribute has columns for."""
    reference: RefusalAction = "reject"
    """`manager`, `members`, `$ref`."""
    group: RefusalAction = "reject"
    """Non-empty `groups`; writes to `/Groups` are always refused."""
    password: RefusalAction = "reject"  # noqa: S105 - an action, not a secret
    """`password` and `export_password`; never stored, whatever stands here."""


class LimitSettings(Settings):
    """Bounds on what one request may ask for."""

    body_bytes: int = Field(default=1_048_576, ge=1_024)
    """The largest request body; a larger one is answered with 413."""
    page_size: int = Field(default=100, ge=1)
    """Entries on a page where the client does not say."""
    page_size_max: int = Field(default=1_000, ge=1)
    """The largest page, whatever the client asks for."""
    filter_chars: int = Field(default=8_192, ge=64)
    """The longest filter."""
    patch_operations: int = Field(default=100, ge=1)
    """Operations in one PATCH."""
    request_s: float = Field(default=30.0, gt=0)
    """Seconds that a request may take; an export that is not committed by then is answered as unknown (504)."""


class SqlSettings(Settings):
    """One SQL connector: `[connectors.NAME]` with `type = "sql"`."""

    type: Literal["sql"] = "sql"
    """Which connector serves this name; only the generic SQL connector ships."""
    database: str
    """The database as a SQLAlchemy URL without the password: `postgresql+psycopg://scim@db.example.org/hr`."""
    password: SecretStr | None = None
    """The database password; give it by environment or by `password_file` rather than here."""
    password_file: Path | None = None
    """A file that holds the database password and nothing else."""
    table: str
    """The table or view that holds one row for each user, spelled as the database spells it."""
    database_schema: str | None = Field(default=None, alias="schema")
    """The schema of the table; None is the login's own default."""
    anchor: str
    """The column that is the SCIM `id`: unique, not null, never changed."""
    accept_unenforced_anchor: bool = False
    """Serve although the database does not enforce that the anchor is unique and not null. The host then proves it
    on the rows at start, guards each create inside its transaction, and keeps warning (DESIGN §2.1)."""
    columns: tuple[str, ...] | None = None
    """The columns to expose; None exposes every column that SCIM can carry, new ones included."""
    attributes: dict[str, str] = Field(default_factory=dict)
    """Column name to SCIM attribute path: `Email = 'emails[type eq "work"].value'`. Columns that are not named here
    appear as `urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User:COLUMN`."""
    token_hashes: tuple[str, ...] = ()
    """SHA-256 of each valid bearer token, `sha256:` and 64 hex digits; several while a token is being replaced."""
    token_hash_file: Path | None = None
    """A file with more of them, one a line; `connector-host token new` writes it."""
    refusals: RefusalSettings = RefusalSettings()
    """What happens to each class of export that is refused."""
    limits: LimitSettings = LimitSettings()
    """Bounds on what one request may ask for."""
    readers: int = Field(default=4, ge=1, le=64)
    """Connections that answer reads."""
    writers: int = Field(default=2, ge=1, le=16)
    """Connections that carry out exports; SQLite always has one."""
    statement_s: float = Field(default=15.0, gt=0)
    """Seconds that one statement may take in the database."""
    rediscover_s: float = Field(default=60.0, ge=1)
    """Seconds after which the table's columns are looked at again, so that new ones appear by themselves."""

    @field_validator("token_hashes")
    @classmethod
    def _hashes_are_hashes(cls, hashes: tuple[str, ...]) -> tuple[str, ...]:
        for entry in hashes:
            if not re.fullmatch(r"sha256:[0-9a-f]{64}", entry):
                raise ValueError("is no hash of a token: write sha256: and 64 hex digits, or run connector-host token")
        return hashes

    @model_validator(mode="after")
    def _password_has_one_source(self) -> SqlSettings:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file are both given: keep one of them")
        return self


ConnectorSettings = Annotated[SqlSettings, Field()]
"""One connector's settings; becomes a union by `type` when a second connector ships."""


class HostSettings(Settings):
    """The service itself: `[host]`."""

    name: str = "localhost"
    """The host name that clients use; the certificate's subject must match it."""
    listen: str = "127.0.0.1"
    """The address to listen on; loopback is enough where the agent runs on the same machine."""
    port: int = Field(default=8585, ge=0, le=65_535)
    """The TLS port; 0 takes any free one, which the log then names."""
    certificate: Path
    """The certificate and its chain, PEM, leaf first."""
    key: Path
    """The private key of the certificate, PEM."""
    stop_s: float = Field(default=20.0, gt=0)
    """Seconds that requests in hand are given to end when the service stops."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses whose Forwarded headers are believed, so that `location` carries the address that the client used."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`json` for machines, `console` for people, `auto` decides by whether the output is a terminal."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to log."""
    log_values: bool = False
    """Whether the log may quote what drivers and libraries say, which can hold people's values. Keep it off, save
    while you look for a fault."""


class Configuration(Settings):
    """The whole file."""

    host: HostSettings
    """The service itself."""
    connectors: dict[str, ConnectorSettings] = Field(min_length=1)
    """The connected systems by name; the name is part of the URL."""

    @field_validator("connectors")
    @classmethod
    def _names_fit_a_url(cls, connectors: dict[str, SqlSettings]) -> dict[str, SqlSettings]:
        for name in connectors:
            if not CONNECTOR_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name for a connector: use letters, digits, _ and -, 64 at most")
        return connectors


def load(path: Path, environment: Mapping[str, str] | None = None) -> Configuration:
    """Read the file, lay the environment over it, and return the configuration.

    Raises ConfigurationError that names the file and every key that is wrong, all at once, without its value.
    """
    environment = os.environ if environment is None else environment
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise ConfigurationError(f"{path}: cannot be read ({failure.strerror}).") from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"{path}: is not TOML: {failure}.") from failure
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX):
            _overlay(document, name, text)
    try:
        configuration = Configuration.model_validate(document)
    except ValidationError as failure:
        raise ConfigurationError(_explain(path, failure)) from failure
    return _with_absolute_paths(configuration, path.resolve().parent)


def _overlay(document: dict[str, Any], name: str, text: str) -> None:
    """Put one environment variable into the document; keys are found without regard to case."""
    *parents, last = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
    table = document
    for part in parents:
        table = table.setdefault(_spelled(table, part), {})
        if not isinstance(table, dict):
            raise ConfigurationError(f"{name}: {part.lower()} is not a table of the configuration.")
    table[_spelled(table, last)] = _value(text)


def _spelled(table: Mapping[str, Any], part: str) -> str:
    """Return the key as the file spells it; connector names keep their case, other keys are lower case."""
    return next((key for key in table if key.lower() == part.lower()), part.lower())


def _value(text: str) -> object:
    """Read a variable as a TOML value where it is one, and as plain text where it is not."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(path: Path, failure: ValidationError) -> str:
    """Say every mistake on a line of its own: file, key, what is wrong."""
    lines = [
        f"{path}: {'.'.join(str(part) for part in error['loc'])}: {_words(error['type'], error['msg'])}"
        for error in failure.errors(include_input=False, include_url=False)
    ]
    return "\n".join(lines)


def _words(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "there is no such key."
        case "missing":
            return "is missing."
        case _:
            return message.removeprefix("Value error, ").rstrip(".") + "."


def _with_absolute_paths(settings: Configuration, folder: Path) -> Configuration:
    """Make every path of the file absolute, so that the working folder does not matter."""
    host = settings.host.model_copy(
        update={"certificate": folder / settings.host.certificate, "key": folder / settings.host.key}
    )
    connectors = {
        name: connector.model_copy(
            update={
                key: folder / path
                for key in ("password_file", "token_hash_file")
                if (path := getattr(connector, key)) is not None
            }
        )
        for name, connector in settings.connectors.items()
    }
    return settings.model_copy(update={"host": host, "connectors": connectors})

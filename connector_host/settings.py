"""The configuration as frozen models: one TOML file, every key documented where it is declared.

Every key may also be set by an environment variable: CONNECTOR_HOST__HOST__PORT=9000 stands for `port` in `[host]`,
CONNECTOR_HOST__CONNECTORS__HR__DATABASE for `database` in `[connectors.HR]`; lists and tables are given as TOML values.
Relative paths are relative to the folder of the file.
"""

from __future__ import annotations

import os
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from connector_host import mistakes
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

ENVIRONMENT_PREFIX = "CONNECTOR_HOST__"

FORMAT_VERSION = 1
"""The format of the file; one that names a later format is refused, not guessed at."""

CONNECTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What fits into a URL without escaping; names are case-sensitive, as in the product that this one replaces."""

RefusalAction = Literal["reject", "drop"]


class Settings(BaseModel):
    """The root of what is frozen here: unknown keys are errors, and every key has a docstring."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True, validate_default=True
    )


REFUSAL_PRESETS: Mapping[str, Mapping[str, RefusalAction]] = {
    "strict": {},
    "entra": {"multi_valued": "drop", "reference": "drop"},
    "okta": {"multi_valued": "drop", "reference": "drop", "password": "drop"},
}
"""What the first requests of each directory hold, as published by its vendor, is left out instead of refused."""


class RefusalSettings(Settings):
    """What happens to an export of a class that is refused: `reject` answers 400, `drop` leaves the value out."""

    preset: Literal["strict", "entra", "okta"] = "strict"
    """Which directory calls: `strict` rejects all four classes; `entra` drops multi-valued attributes and references;
    `okta` drops passwords, too. A class that is set below goes before the preset."""
    multi_valued: RefusalAction = "reject"
    """More values than the attribute has columns for."""
    reference: RefusalAction = "reject"
    """`manager`, `members`, `$ref`."""
    group: RefusalAction = "reject"
    """Non-empty `groups`; writes to `/Groups` are always refused."""
    password: RefusalAction = "reject"  # noqa: S105 - an action, not a secret
    """`password` and `export_password`; never stored, whatever stands here."""

    @model_validator(mode="before")
    @classmethod
    def _follow_the_preset(cls, given: object) -> object:
        preset = given.get("preset", "strict") if isinstance(given, dict) else "strict"
        chosen = REFUSAL_PRESETS.get(preset, {}) if isinstance(preset, str) else {}
        return {**chosen, **given} if isinstance(given, dict) else given


OnNull = Literal["clear", "ignore", "reject"]


class DisableFlow(Settings):
    """What `active` false does, where `active` is not simply a boolean column of the mapping."""

    action: Literal["none", "delete", "set"] = "none"
    """`none`: nothing of its own; `active` is what the mapping says, and without a mapping it is ignored.
    `delete`: the user is deleted. `set`: `column` is set to `inactive`, and back to `active`."""
    column: str | None = None
    """The column that is set."""
    inactive: bool | int | str = "{now}"
    """What `column` holds while the user is disabled: a boolean, text, number, `"{now}"` (the time) or `"{null}"`."""
    active: bool | int | str = "{null}"
    """What `column` is set to when the user is enabled."""

    @model_validator(mode="after")
    def _set_needs_a_column(self) -> DisableFlow:
        if (self.action == "set") != (self.column is not None):
            raise ValueError("column goes with action set: name the column that is set, or leave column out")
        if self.action == "set" and self.active == self.inactive:
            raise ValueError("active and inactive are the same: a disabled user could not be told from others")
        if self.action == "set" and self.active == "{now}":
            raise ValueError("active cannot be the time: an enabled user could not be told from a disabled one")
        return self


class DeleteFlow(Settings):
    """What DELETE does."""

    action: Literal["none", "delete", "set"] = "delete"
    """`none`: DELETE is answered as done and the row stays as it is. `delete`: the row is deleted. `set`: `column` is
    set to `deleted`, and the row is hidden from then on."""
    column: str | None = None
    """The column that is set; it is no attribute unless it is mapped."""
    deleted: bool | int | str = "{now}"
    """What `column` holds once the user is deleted: a boolean, a text, a number, `"{now}"` for the time, `"{null}"`."""
    present: bool | int | str = "{null}"
    """What `column` is set to when a deleted user comes back."""
    hidden: bool = True
    """Whether a deleted row is hidden from every read; false keeps it readable, as a disabled user is."""
    recreate: Literal["conflict", "restore"] = "conflict"
    """What creating a user does whose row is hidden: `conflict` refuses it where a unique value clashes (409);
    `restore` brings the row back and writes what the request says."""

    @model_validator(mode="after")
    def _set_needs_a_column(self) -> DeleteFlow:
        if (self.action == "set") != (self.column is not None):
            raise ValueError("column goes with action set: name the column that is set, or leave column out")
        if self.action == "set" and self.deleted == self.present:
            raise ValueError("deleted and present are the same: a deleted user could not be told from others")
        if self.action == "set" and self.present == "{now}":
            raise ValueError("present cannot be the time: a present user could not be told from a deleted one")
        if self.recreate == "restore" and not (self.action == "set" and self.hidden):
            raise ValueError("recreate restore needs action set and hidden: otherwise there is nothing to bring back")
        return self


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
    filter_depth: int = Field(default=16, ge=1, le=32)
    """How deep the expressions of a filter may be nested."""
    patch_operations: int = Field(default=100, ge=1)
    """Operations in one PATCH."""
    bulk_operations: int = Field(default=1_000, ge=1)
    """Operations in one Bulk request."""
    request_s: float = Field(default=30.0, gt=0)
    """Seconds that a request may take; an export that is not committed by then is answered as unknown (504)."""


class ColumnSettings(Settings):
    """What the values of one column mean, where the database cannot tell: `[connectors.NAME.column.COLUMN]`."""

    zone: str | None = Field(default=None, examples=["Europe/Berlin"])
    """The time zone of a column that keeps date and time without one; None is UTC."""
    true: str | None = Field(default=None, examples=["Y"])
    """The value that stands for true, where the column is a boolean to the directory: `true = "Y"`, `true = "1"`."""
    false: str | None = Field(default=None, examples=["N"])
    """The value that stands for false; goes with `true`."""
    epoch: Literal["s", "ms"] | None = None
    """The column counts seconds or milliseconds from 1970 in UTC, and is a date and time to the directory."""

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError("is no time zone that this machine knows: write one such as Europe/Berlin")
        return zone

    @model_validator(mode="after")
    def _says_one_thing(self) -> ColumnSettings:
        if (self.true is None) != (self.false is None) or (self.true is not None and self.true == self.false):
            raise ValueError("true and false are two different values: give both")
        if sum(said is not None for said in (self.zone, self.true, self.epoch)) > 1:
            raise ValueError("a column is a boolean, counts from 1970, or has a zone: keep one of them")
        return self


class ExportSettings(Settings):
    """Statements of your own in place of the generated ones: `[connectors.NAME.exports]`.

    `:Column` or `@Column` stands for a value, always bound. They run in order, in one transaction.
    """

    create: tuple[str, ...] = ()
    """Create a user. Where the database makes the anchor, the last statement hands it out as its first row's first
    column: `["CALL add_user(:Login, :Name, NULL)"]`."""
    update: tuple[str, ...] = ()
    """Change a user; every column has a value, the unchanged ones as they are."""
    delete: tuple[str, ...] = ()
    """Delete a user: the row must be gone from the table or view afterwards."""


class SqlSettings(Settings):
    """One SQL connector: `[connectors.NAME]` with `type = "sql"`."""

    type: Literal["sql"] = "sql"
    """Which connector serves this name; only the generic SQL connector ships."""
    database: str = Field(examples=["postgresql://scim@db.example.org/hr"])
    """The database as a SQLAlchemy URL without the password: `postgresql+psycopg://scim@db.example.org/hr`."""
    password: SecretStr | None = None
    """The database password; give it by environment or by `password_file` rather than here."""
    password_file: Path | None = None
    """A file that holds the database password and nothing else."""
    password_sealed_file: Path | None = Field(default=None, examples=["HR.password.sealed"])
    """A file with the database password, sealed for this machine; `connector-host init` and `secret set` write it."""
    table: str = Field(examples=["Employees"])
    """The table or view that holds one row for each user, spelled as the database spells it."""
    database_schema: str | None = Field(default=None, alias="schema")
    """The schema of the table; None is the login's own default."""
    anchor: str = Field(examples=["ContosoLogin"])
    """The column that is the SCIM `id`: unique, not null, never changed."""
    accept_unenforced_anchor: bool = False
    """Serve although the database does not enforce that the anchor is unique and not null. The host then proves it
    on the rows at start, guards each create inside its transaction, and keeps warning (DESIGN §2.1)."""
    columns: tuple[str, ...] | None = None
    """The columns to expose; None exposes every column that SCIM can carry, new ones included."""
    attributes: dict[str, str] = Field(default_factory=dict)
    """Column name to SCIM attribute path: `Email = 'emails[type eq "work"].value'`. Columns that are not named here
    appear as `urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User:COLUMN`."""
    column: dict[str, ColumnSettings] = Field(default_factory=dict)
    """What the values of single columns mean, by column name."""
    exports: ExportSettings = ExportSettings()
    """Statements of your own in place of the generated ones: stored procedures, or SQL over several tables."""
    token_hashes: tuple[str, ...] = ()
    """SHA-256 of each valid bearer token, `sha256:` and 64 hex digits; several while a token is being replaced."""
    token_hash_file: Path | None = None
    """A file with more of them, one a line; `connector-host token new` writes it."""
    refusals: RefusalSettings = RefusalSettings()
    """What happens to each class of export that is refused."""
    on_null: OnNull | dict[str, OnNull] = "clear"
    """What an explicit null, an empty text or list, and `remove` do: `clear` the column, `ignore` it, or `reject` the
    request. One word for all columns, or a table of column names to words, where `"*"` stands for all others."""
    disable: DisableFlow = DisableFlow()
    """What `active` false does."""
    delete: DeleteFlow = DeleteFlow()
    """What DELETE does."""
    etag: Literal["weak", "strong"] = "weak"
    """Whether versions are sent as weak or as strong entity tags; SCIM's own are weak (RFC 7644 §3.14)."""
    version_column: str | None = None
    """A column that changes with each change of the row, such as a rowversion; None takes the content itself."""
    limits: LimitSettings = LimitSettings()
    """Bounds on what one request may ask for."""
    readers: int = Field(default=4, ge=1, le=64)
    """Connections that answer reads."""
    writers: int = Field(default=2, ge=1, le=16)
    """Connections that carry out exports; SQLite always has one."""
    exports_per_s: float | None = Field(default=None, gt=0, examples=[20])
    """Exports in a second at the most, for a database that must be spared; None sets no limit."""
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
        given = [
            name for name in ("password", "password_file", "password_sealed_file") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given together: keep one of them")
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
    certificate: Path = Field(examples=["tls/certificate.pem"])
    """The certificate and its chain, PEM, leaf first."""
    key: Path = Field(examples=["tls/key.pem"])
    """The private key of the certificate, PEM."""
    header_bytes: int = Field(default=32_768, ge=1_024)
    """The longest request line and the longest header; the longest filter fits in, escaped for the URL."""
    stop_s: float = Field(default=20.0, gt=0)
    """Seconds that requests in hand are given to end when the service stops."""
    state: Path = Path("state")
    """The folder for what must outlive a restart: the outcomes of writes that came with an idempotency key."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses whose Forwarded headers are believed, so that `location` carries the address that the client used."""
    allow: tuple[str, ...] = Field(default=(), examples=[("10.0.0.0/8", "127.0.0.1")])
    """Addresses and networks that may call; empty is any. Behind a trusted proxy it is the client's own that counts."""
    client_authority: Path | None = Field(default=None, examples=["tls/clients.pem"])
    """An authority, PEM: only clients that show a certificate of it may connect. Keep in mind that the agent, and
    whoever asks for `/readyz`, then needs one, too."""
    lock_out_failures: int = Field(default=10, ge=0)
    """Wrong tokens that one address may give within `lock_out_s` before it has to wait as long; 0 locks nobody out."""
    lock_out_s: float = Field(default=60.0, gt=0)
    """Seconds that wrong tokens are counted for, and that an address is then locked out for."""
    metrics_port: int | None = Field(default=None, ge=0, le=65_535, examples=[9585])
    """The port for Prometheus metrics, plain HTTP on 127.0.0.1 only; left out, there are none."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`json` for machines, `console` for people, `auto` decides by whether the output is a terminal."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to log."""
    log_values: bool = False
    """Whether the log may quote what drivers and libraries say, which can hold people's values. Keep it off, save
    while you look for a fault."""

    @field_validator("allow")
    @classmethod
    def _are_networks(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for text in allow:
            try:
                ip_network(text, strict=False)
            except ValueError:
                raise ValueError(f"{text!r} is neither an address nor a network such as 10.0.0.0/8") from None
        return allow


class AuditSettings(Settings):
    """The audit trail: `[audit]`. One line for each export, on disk before its answer is sent."""

    enabled: bool = True
    """Whether exports are recorded. While they are, a trail that cannot be written stops exports, and nothing else."""
    folder: Path | None = Field(default=None, examples=["/var/log/connector-host/audit"])
    """Where its files are; left out, `audit` in the `state` folder of `[host]`."""
    rotate_bytes: int = Field(default=52_428_800, ge=4_096)
    """The size at which the next file is begun."""
    keep_files: int = Field(default=0, ge=0)
    """How many files are kept, the oldest go first; 0 keeps all of them."""
    values: bool = False
    """Whether the values that an export writes are recorded, beside the names of the attributes."""
    redact: tuple[str, ...] = Field(default=(), examples=[("Salary", "Birthday")])
    """Attributes whose values are never recorded, even where values are."""


class Configuration(Settings):
    """The whole file."""

    version: int = Field(default=FORMAT_VERSION, ge=1)
    """The format of this file; leave it out, or keep what `connector-host init` wrote."""
    host: HostSettings
    """The service itself."""
    connectors: dict[str, ConnectorSettings] = Field(min_length=1)
    """The connected systems by name; the name is part of the URL."""
    audit: AuditSettings = AuditSettings()
    """The record of every export."""
    provisioning: dict[str, Any] = Field(default_factory=dict)
    """Where the provisioning engine keeps its state; read by `connector-host provision`, see docs/provisioning.md."""
    jobs: dict[str, Any] = Field(default_factory=dict)
    """Provisioning jobs by name; read and checked by `connector-host provision`, see docs/provisioning.md."""

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
    document = read_document(path, environment)
    _refuse_later_format(path, document)
    try:
        configuration = Configuration.model_validate(document)
    except ValidationError as failure:
        raise ConfigurationError(explain(path, failure)) from failure
    return _with_absolute_paths(configuration, path.resolve().parent)


def _refuse_later_format(path: Path, document: Mapping[str, Any]) -> None:
    """Raise before a later format is misread: its other mistakes would only lead astray."""
    version = document.get("version", FORMAT_VERSION)
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ConfigurationError(
            f"{path}: version: the file has format {version}, this program reads up to {FORMAT_VERSION}. "
            "Install a newer connector-host, or write the file anew with `connector-host init`."
        )


def read_document(path: Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Read the file, lay the environment over it, and return what stands there, unchecked.

    Raises ConfigurationError where it cannot be read.
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
    return document


def _overlay(document: dict[str, Any], name: str, text: str) -> None:
    """Put one environment variable into the document; keys are found without regard to case."""
    *parents, last = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
    table = document
    for part in parents:
        table = table.setdefault(_spelled(table, part), {})
        if not isinstance(table, dict):
            raise ConfigurationError(f"{name}: {part.lower()} is not a table of the configuration.")
    key = (*parents, last)
    table[_spelled(table, last)] = _value(text, mistakes.field_at(Configuration, tuple(part.lower() for part in key)))


def _spelled(table: Mapping[str, Any], part: str) -> str:
    """Return the key as the file spells it; connector names keep their case, other keys are lower case."""
    return next((key for key in table if key.lower() == part.lower()), part.lower())


def _value(text: str, field: FieldInfo | None) -> object:
    """Read a variable as a TOML value where it is one, and as plain text where it is not, or where text is wanted."""
    if field is not None and field.annotation == SecretStr | None:
        return text
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    wants_text = field is not None and field.annotation in {str, str | None, Path, Path | None}
    return text if wants_text and not isinstance(value, str) else value


def explain(path: Path, failure: ValidationError, model: type[BaseModel] = Configuration) -> str:
    """Say every mistake on a line of its own: file, line, key, what is wrong, what was meant or an example."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    return mistakes.explain(path, failure, model, text)


def _with_absolute_paths(settings: Configuration, folder: Path) -> Configuration:
    """Make every path of the file absolute, so that the working folder does not matter."""
    host = settings.host.model_copy(
        update={
            "certificate": folder / settings.host.certificate,
            "key": folder / settings.host.key,
            "state": folder / settings.host.state,
            "client_authority": _beside(folder, settings.host.client_authority),
        }
    )
    audit = settings.audit.model_copy(update={"folder": _beside(folder, settings.audit.folder) or host.state / "audit"})
    connectors = {
        name: connector.model_copy(
            update={
                key: folder / path
                for key in ("password_file", "password_sealed_file", "token_hash_file")
                if (path := getattr(connector, key)) is not None
            }
        )
        for name, connector in settings.connectors.items()
    }
    return settings.model_copy(update={"host": host, "connectors": connectors, "audit": audit})


def _beside(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else folder / path

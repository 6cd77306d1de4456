"""One connector's settings: `[connectors.NAME]` and the tables below it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, field_validator, model_validator

from connector_host.settings.databases import refuse_uri
from connector_host.settings.frozen import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

RefusalAction = Literal["reject", "drop"]

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


class SigningSettings(Settings):
    """Requests that must be signed, so that a taken-over relay cannot forge one: `[connectors.NAME.signing]`."""

    keys: tuple[Path, ...] = Field(min_length=1, examples=[("engine.key.pub",)])
    """The signers' public keys, Ed25519, PEM, one a file, as `connector-host signing new` and `provisioning-agent sign
    new` write them."""
    urls: tuple[str, ...] = Field(min_length=1, examples=[("https://relay.example.org/t/acme/ecma2host_HR/scim",)])
    """The tenant URLs that signers use, as they stand in their configuration: each signature is for one of them."""
    required: Literal["writes", "all"] = "writes"
    """Whether only writes must be signed, or reads and searches, too."""
    window_s: float = Field(default=300.0, ge=10, le=3_600)
    """Seconds after which a signature is good no more. Within them a signed write is carried out once, and repeated, it
    is answered with what became of it."""

    @field_validator("urls")
    @classmethod
    def _are_tenant_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not re.fullmatch(r"https://[^/?#@\s]+(/[^?#\s]*)?/ecma2host_[^/?#\s]+/scim/?", url):
                raise ValueError(f"{url!r} is no tenant URL: write https://HOST/…/ecma2host_NAME/scim")
        return tuple(url.rstrip("/") for url in urls)


class ColumnSettings(Settings):
    """What the values of one column mean, where the database cannot tell: `[connectors.NAME.column.COLUMN]`."""

    type: Literal["text", "integer", "decimal", "boolean", "datetime", "date"] | None = None
    """What the values of a column of `query` are, where neither its table nor the database tells."""
    zone: str | None = Field(default=None, examples=["Europe/Berlin"])
    """The time zone of a column that keeps date and time without one; None is UTC."""
    true: str | None = Field(default=None, examples=["Y"])
    """The value that stands for true, where the column is a boolean to the directory: `true = "Y"`, `true = "1"`."""
    false: str | None = Field(default=None, examples=["N"])
    """The value that stands for false; goes with `true`."""
    epoch: Literal["s", "ms"] | None = None
    """The column counts seconds or milliseconds from 1970 in UTC, and is a date and time to the directory."""
    uuid: Literal["standard", "guid", "swapped"] | None = Field(default=None, examples=["standard"])
    """The column keeps UUIDs in 16 bytes, which are text to the directory: `standard` in the order in which they are
    written, `guid` as .NET and Windows order them, `swapped` as MySQL's `UUID_TO_BIN(…, 1)` does."""

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
        if sum(said is not None for said in (self.zone, self.true, self.epoch, self.uuid)) > 1:
            raise ValueError("a column is a boolean, a UUID, counts from 1970, or has a zone: keep one of them")
        return self


class ExportSettings(Settings):
    """Statements of your own in place of the generated ones, and beside them: `[connectors.NAME.exports]`.

    `:Column` or `@Column` stands for a value (`:"Full Name"` where it is no single word), always bound. They run in
    order, in one transaction.
    """

    create: tuple[str, ...] = ()
    """Create a user. Where the database makes the anchor, the last statement hands it out as its first row's first
    column: `["CALL add_user(:Login, :Name, NULL)"]`. What the client did not give is null, not the column's
    default: write `COALESCE(:Active, 1)` where it should be that."""
    update: tuple[str, ...] = ()
    """Change a user; every column has a value, the unchanged ones as they are."""
    delete: tuple[str, ...] = ()
    """Delete a user: the row must be gone from the table or view afterwards."""
    before_create: tuple[str, ...] = ()
    """What precedes a creation, by whichever statements, in its transaction. Unlike those above, the statements beside
    an export may meet any number of rows: `["DELETE FROM leavers WHERE login = :Login"]`."""
    after_create: tuple[str, ...] = ()
    """What follows a creation; the values are those of the new row, the anchor that the database made included."""
    before_update: tuple[str, ...] = ()
    """What precedes a change; every column has a value, as it is to be."""
    after_update: tuple[str, ...] = ()
    """What follows a change; the values are those of the changed row."""
    before_delete: tuple[str, ...] = ()
    """What precedes a deletion, such as that of rows which refer to the user; the values are those of the row."""
    after_delete: tuple[str, ...] = ()
    """What follows a deletion; the values are those of the row that is gone."""


class SqlSettings(Settings):
    """One SQL connector: `[connectors.NAME]` with `type = "sql"`."""

    type: Literal["sql"] = "sql"
    """Which connector serves this name; only the generic SQL connector ships."""
    database: str = Field(examples=["postgresql://scim@db.example.org/hr"])
    """The database as a SQLAlchemy URL without the password: `postgresql+psycopg://scim@db.example.org/hr`. A relative
    file of SQLite, `sqlite:///hr.db`, is relative to the folder of this file."""
    password: SecretStr | None = None
    """The database password; give it by environment or by `password_file` rather than here."""
    password_file: Path | None = None
    """A file that holds the database password and nothing else."""
    password_sealed_file: Path | None = Field(default=None, examples=["HR.password.sealed"])
    """A file with the database password, sealed for this machine; `connector-host init` and `secret set` write it."""
    table: str | None = Field(default=None, examples=["Employees"])
    """The table or view that holds one row for each user, spelled as the database spells it; or else `query`."""
    query: str | None = Field(default=None, examples=["SELECT p.id, p.name, c.mail FROM person p JOIN contact c ON …"])
    """A SELECT that gives one row for each user, in place of `table`; each of its columns has a name of its own. It
    is only read: `exports` says what writes, and `accept_unenforced_anchor` is needed, since a query has no keys."""
    database_schema: str | None = Field(default=None, alias="schema")
    """The schema of the table; None is the login's own default. A query names its schemas itself."""
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
    dry_run: Literal["off", "statements", "values"] = "off"
    """What becomes of a write with the header `Dry-Run: true`: `off` refuses it; `statements` executes and undoes it,
    and shows the statements with the names of their parameters; `values` shows the values, too."""
    token_hashes: tuple[str, ...] = ()
    """SHA-256 of each valid bearer token, `sha256:` and 64 hex digits; several while a token is being replaced."""
    token_hash_file: Path | None = None
    """A file with more of them, one a line; `connector-host token new` writes it."""
    signing: SigningSettings | None = None
    """Which requests must be signed, and by whom; None demands no signature."""
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
    """Connections that carry out exports: one while it keeps up, more behind slow commits or locks; SQLite has one."""
    exports_per_s: float | None = Field(default=None, gt=0, examples=[20])
    """Exports in a second at the most, for a database that must be spared; None sets no limit."""
    reads_per_s: float | None = Field(default=None, gt=0, examples=[50])
    """Statements that read in a second at the most, for a database that must be spared; None sets no limit."""
    statement_s: float = Field(default=15.0, gt=0)
    """Seconds that one statement may take in the database."""
    rediscover_s: float = Field(default=60.0, ge=1)
    """Seconds after which the table's columns are looked at again, so that new ones appear by themselves."""

    @field_validator("database")
    @classmethod
    def _has_a_place(cls, database: str) -> str:
        refuse_uri(database)
        return database

    @field_validator("token_hashes")
    @classmethod
    def _hashes_are_hashes(cls, hashes: tuple[str, ...]) -> tuple[str, ...]:
        for entry in hashes:
            if not re.fullmatch(r"sha256:[0-9a-f]{64}", entry):
                raise ValueError("is no hash of a token: write sha256: and 64 hex digits, or run connector-host token")
        return hashes

    @property
    def place(self) -> str:
        """Where the users live, as a name: the table, or what tells the query from others without its text."""
        if self.table is not None:
            return self.table
        return f"query {hashlib.sha256((self.query or '').encode()).hexdigest()[:16]}"

    @model_validator(mode="after")
    def _users_live_in_one_place(self) -> SqlSettings:
        if (self.table is None) == (self.query is None):
            raise ValueError("the users live in a table or in a query: give one of table and query")
        if self.table is not None:
            stated = [name for name, column in self.column.items() if column.type is not None]
            if stated:
                raise ValueError(f"column.{stated[0]}.type goes with query: a table tells the types of its columns")
            return self
        if self.database_schema is not None:
            raise ValueError("schema goes with table: write schemas into the query")
        if not self.accept_unenforced_anchor:
            raise ValueError(
                "a query has no keys, so nothing enforces its anchor: write accept_unenforced_anchor = true (it is "
                "proven on the rows at start and guarded at each creation), or make the query a view over one table"
            )
        deletes = self.delete.action == "delete" or self.disable.action == "delete"
        needed = ("create", "update", "delete") if deletes else ("create", "update")
        if lacking := [f"exports.{name}" for name in needed if not getattr(self.exports, name)]:
            raise ValueError(
                f"nobody can write to a query: write statements of your own in {' and '.join(lacking)}, such as "
                '["CALL add_person(:id, :name)"]'
            )
        return self

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

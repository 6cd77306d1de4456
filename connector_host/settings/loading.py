"""The whole file: read, laid over by the environment, checked all at once, with absolute paths."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from connector_host import mistakes
from connector_host.errors import ConfigurationError
from connector_host.settings.connectors import ConnectorSettings, SigningSettings, SqlSettings
from connector_host.settings.databases import placed_database
from connector_host.settings.frozen import Settings
from connector_host.settings.host import AuditSettings, HostSettings
from connector_host.small_files import read_small

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

ENVIRONMENT_PREFIX = "CONNECTOR_HOST__"

FORMAT_VERSION = 1
"""The format of the file; one that names a later format is refused, not guessed at."""

CONNECTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What fits into a URL without escaping; names are case-sensitive, as in the product that this one replaces."""


class Configuration(Settings):
    """The whole file."""

    version: int = Field(default=FORMAT_VERSION, ge=1, strict=True)
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

    @property
    def stop_max_s(self) -> float:
        """How long stopping may take: exports in hand have the time of a statement, other requests `stop_s`."""
        return self.host.stop_s + max(one.statement_s for one in self.connectors.values())

    @field_validator("connectors")
    @classmethod
    def _names_fit_a_url(cls, connectors: dict[str, SqlSettings]) -> dict[str, SqlSettings]:
        for name in connectors:
            if not CONNECTOR_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name for a connector: use letters, digits, _ and -, 64 at most")
        return connectors

    @field_validator("connectors")
    @classmethod
    def _can_be_shared(cls, connectors: dict[str, SqlSettings], info: ValidationInfo) -> dict[str, SqlSettings]:
        """Refuse what several workers cannot keep: fewer connections than workers, a guard within one process."""
        host = info.data.get("host")
        workers = host.workers if isinstance(host, HostSettings) else 1
        for name, one in connectors.items():
            for key in one.model_fields_set & {"readers", "writers"}:
                if getattr(one, key) < workers:
                    mend = f"write {workers} or more, or `workers = {getattr(one, key)}` in [host]"
                    raise ValueError(f"{name}.{key}: each of {workers} workers needs a connection of its own: {mend}")
            if workers > 1 and one.accept_unenforced_anchor and one.database.startswith("odbc"):
                raise ValueError(
                    f"{name}.accept_unenforced_anchor: over any ODBC data source such an anchor is guarded within one "
                    "process only: write `workers = 1` in [host]"
                )
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
        raise ConfigurationError(explain(path, failure, environment=environment)) from failure
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
        document = tomllib.loads(read_small(path).decode("utf-8-sig"))
    except FileNotFoundError as failure:
        mend = "Write one with `connector-host init`, or name it with --config."
        raise ConfigurationError(f"{path}: cannot be read ({failure.strerror}). {mend}") from failure
    except OSError as failure:
        mend = "Let the account that runs this read it."
        raise ConfigurationError(f"{path}: cannot be read ({failure.strerror}). {mend}") from failure
    except UnicodeDecodeError as failure:
        raise ConfigurationError(f"{path}: is not TOML: it is no text in UTF-8. Save it in UTF-8.") from failure
    except tomllib.TOMLDecodeError as failure:
        raise ConfigurationError(f"{path}: is not TOML: {failure}.") from failure
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX):
            _overlay(document, name, text)
    return document


def _overlay(document: dict[str, Any], name: str, text: str) -> None:
    """Put one environment variable into the document; keys are found without regard to case."""
    *parents, last = _parts(name)
    table = document
    for part in parents:
        table = table.setdefault(_spelled(table, part), {})
        if not isinstance(table, dict):
            raise ConfigurationError(f"{name}: {part.lower()} is not a table of the configuration.")
    key = (*parents, last)
    table[_spelled(table, last)] = _value(text, mistakes.field_at(Configuration, tuple(part.lower() for part in key)))


def _parts(name: str) -> list[str]:
    return name.removeprefix(ENVIRONMENT_PREFIX).split("__")


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


def explain(
    path: Path,
    failure: ValidationError,
    model: type[BaseModel] = Configuration,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Say every mistake on a line of its own: file and line, or variable; key, what is wrong, what was meant."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    environment = os.environ if environment is None else environment
    names = [name for name in environment if name.startswith(ENVIRONMENT_PREFIX)]
    variables = {tuple(part.lower() for part in _parts(name)): name for name in names}
    return mistakes.explain(path, failure, model, text, variables)


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
            | {
                "database": placed_database(connector.database, folder),
                "signing": _signing_beside(folder, connector.signing),
            }
        )
        for name, connector in settings.connectors.items()
    }
    return settings.model_copy(update={"host": host, "connectors": connectors, "audit": audit})


def _signing_beside(folder: Path, signing: SigningSettings | None) -> SigningSettings | None:
    if signing is None:
        return None
    return signing.model_copy(update={"keys": tuple(folder / key for key in signing.keys)})


def _beside(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else folder / path

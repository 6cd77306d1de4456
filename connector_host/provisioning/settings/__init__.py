"""The provisioning tables of the configuration, `[provisioning]` and `[jobs.NAME]`: each key documented in its place.

The rest of the file belongs to the host, which may or may not run on the same machine.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, field_validator

from connector_host.errors import ConfigurationError
from connector_host.provisioning.settings.addresses import database_parts
from connector_host.provisioning.settings.jobs import (
    ActionSettings,
    ClauseSettings,
    DisableSettings,
    FilterSettings,
    JobSettings,
    MappingSettings,
    NotificationSettings,
    QuarantineSettings,
    TargetSettings,
)
from connector_host.provisioning.settings.sources import (
    CsvSettings,
    GraphSettings,
    LdapSettings,
    NdjsonSettings,
    ScimSettings,
    SourceSettings,
    SqlSettings,
)
from connector_host.settings import CONNECTOR_NAME, Settings, explain, placed_database, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "ActionSettings",
    "ClauseSettings",
    "CsvSettings",
    "DisableSettings",
    "EngineSettings",
    "FilterSettings",
    "GraphSettings",
    "JobSettings",
    "LdapSettings",
    "MappingSettings",
    "NdjsonSettings",
    "NotificationSettings",
    "Provisioning",
    "QuarantineSettings",
    "ScimSettings",
    "SourceSettings",
    "SqlSettings",
    "TargetSettings",
    "load",
]


class EngineSettings(Settings):
    """The engine itself: `[provisioning]`."""

    state: str = "sqlite:///provisioning.sqlite"
    """Where links, marks, failures and the log are kept, as a SQLAlchemy URL; a relative file is relative to the folder
    of this file. Use `postgresql+psycopg://…` where several engines share the work."""
    log_days: int = Field(default=30, ge=1)
    """Days that the provisioning log is kept; of engines that share a state, the least holds for all."""

    @field_validator("state")
    @classmethod
    def _is_a_database(cls, state: str) -> str:
        example = "sqlite:///provisioning.sqlite or postgresql+psycopg://USER@HOST/DATABASE"
        database_parts(state, example)
        scheme, _, rest = state.partition("://")
        backend = scheme.partition("+")[0]
        if backend not in ("sqlite", "postgresql"):
            raise ValueError(f"the state is kept in SQLite or PostgreSQL: write {example}")
        if backend == "sqlite" and rest.partition("/")[2].partition("?")[0] in ("", ":memory:"):
            raise ValueError(f"a database in memory forgets who was provisioned: name a file ({example})")
        return state


class Provisioning(Settings):
    """What the engine reads of the file."""

    provisioning: EngineSettings = EngineSettings()
    """The engine itself."""
    jobs: dict[str, JobSettings] = Field(min_length=1)
    """The jobs by name; each has one source and one target."""

    @field_validator("jobs")
    @classmethod
    def _names_are_plain(cls, jobs: dict[str, JobSettings]) -> dict[str, JobSettings]:
        for name in jobs:
            if not CONNECTOR_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name for a job: use letters, digits, _ and -, 64 at most")
        return jobs


def load(path: Path, environment: Mapping[str, str] | None = None) -> Provisioning:
    """Read the provisioning tables of the file, with the environment laid over them; relative paths become absolute.

    Raises ConfigurationError that names the file and every key that is wrong, all at once, without its value.
    """
    document = read_document(path, os.environ if environment is None else environment)
    mine = {name: document[name] for name in ("provisioning", "jobs") if name in document}
    if "jobs" not in mine:
        raise ConfigurationError(f"{path}: there is no [jobs.NAME] table: nothing to provision.")
    try:
        settings = Provisioning.model_validate(mine)
    except ValidationError as failure:
        raise ConfigurationError(explain(path, failure, Provisioning, environment)) from failure
    return _with_absolute_paths(settings, path.resolve().parent)


def _with_absolute_paths(settings: Provisioning, folder: Path) -> Provisioning:
    state = placed_database(settings.provisioning.state, folder)
    return settings.model_copy(
        update={
            "provisioning": settings.provisioning.model_copy(update={"state": state}),
            "jobs": {name: _placed(job, folder) for name, job in settings.jobs.items()},
        }
    )


def _placed(job: JobSettings, folder: Path) -> JobSettings:
    return job.model_copy(
        update={name: _anchored(getattr(job, name), folder) for name in ("source", "target", "notify")}
    )


def _anchored(part: Any, folder: Path) -> Any:  # noqa: ANN401 - one of several models
    """Return the model with its paths made absolute; which keys are paths, the models say."""
    paths: dict[str, Path | str] = {
        name: folder / path for name in part.paths() if (path := getattr(part, name)) is not None
    }
    if isinstance(part, SqlSettings):
        paths["database"] = placed_database(part.database, folder)
    return part.model_copy(update=paths) if paths else part

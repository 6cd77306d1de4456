"""How to reach a database that is being described: its URL, and its password kept apart from it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from connector_host.errors import ConfigurationError
from connector_host.secret_files import read_secret_file
from connector_host.settings import SqlSettings, refuse_uri
from connector_host.setup.ecma2host.procedures import text_for
from connector_host.setup.plans import best_anchor
from connector_host.setup.secrets import opened
from connector_host.setup.tokens import connector_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.connectors.survey import TableSurvey
    from connector_host.settings import Configuration, ConnectorSettings
    from connector_host.setup.ecma2host.procedures import Statement

PASSWORD_VARIABLE = "CONNECTOR_HOST_DATABASE_PASSWORD"  # noqa: S105 - the name of a variable
_PASSWORD_KEYS = ("password", "passwd", "pwd", "PWD")


@dataclass(frozen=True, slots=True)
class Login:
    """Where a database is and who asks; the password never shows in a text."""

    url: str
    """Without the password."""
    password: str | None = field(repr=False)
    table: str | None = None
    schema: str | None = None

    @property
    def may_need_password(self) -> bool:
        """Return whether a person should be asked for a password: there is a login, and none was given."""
        url = make_url(self.url)
        return self.password is None and url.username is not None and url.get_backend_name() != "sqlite"


def read_url(text: str) -> URL:
    """Return the URL of a database; raises ConfigurationError, which does not repeat it, for what is none."""
    try:
        return make_url(text)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        raise ConfigurationError("The database is no URL such as postgresql://scim@db.example.org/hr.") from None


def of_url(text: str, password_file: Path | None, environment: Mapping[str, str] | None = None) -> Login:
    """Return the login for a URL that a person typed; the password comes from the file, the URL, or the environment.

    The path of a SQLite database is made absolute, since the service runs in another folder. Raises
    ConfigurationError for what is no URL, or no place that stays the same, or where the file cannot be read.
    """
    environment = os.environ if environment is None else environment
    url = read_url(text)
    try:
        refuse_uri(text)
    except ValueError as failure:
        raise ConfigurationError(f"The URL of the database {failure}.") from failure
    within, url = _taken_out(url)
    given = (
        read_secret_file(password_file, "--password-file")
        if password_file
        else within or environment.get(PASSWORD_VARIABLE)
    )
    if url.get_backend_name() == "sqlite" and not password_file and not within:
        given = None  # the variable is there for another database
    if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith(":"):
        url = url.set(database=str(Path(url.database).absolute()))
    return Login(url.render_as_string(hide_password=False), given or None)


def written_for(url: str, statements: Mapping[str, Statement]) -> dict[str, str]:
    """Return the statements as the database behind the URL writes them."""
    backend = make_url(url).get_backend_name()
    return {operation: text_for(one, backend) for operation, one in statements.items()}


def settings_of(configuration: Configuration, name: str | None) -> ConnectorSettings:
    """Return a connector's settings with its password opened; the only connector where no name is given."""
    return connector_of(configuration, name)[1]


def connector_of(configuration: Configuration, name: str | None) -> tuple[str, ConnectorSettings]:
    """Return a connector's name and its settings with the password opened; the only one where no name is given."""
    name, settings = connector_named(configuration, name)
    return name, opened(name, settings)


def of_settings(settings: ConnectorSettings) -> Login:
    """Return the login of a connector that is configured already."""
    password = settings.password.get_secret_value() if settings.password else None
    if settings.password_file:
        password = read_secret_file(settings.password_file, "password_file")
    return Login(settings.database, password, settings.table, settings.database_schema)


def settings_to_probe(settings: ConnectorSettings | None, login: Login, survey: TableSurvey) -> ConnectorSettings:
    """Return the settings of the connector whose table or query was surveyed, or plain ones for any other table.

    Raises ConfigurationError where a table has no column to tell its users apart by.
    """
    relation = survey.relation
    if settings is not None and (relation.kind == "query" or relation.name == settings.table):
        return settings
    best = best_anchor(survey)
    if best is None:
        raise ConfigurationError(f"probe: {survey.refusal}")
    return SqlSettings(
        database=login.url,
        password=None if login.password is None else SecretStr(login.password),
        table=relation.name,
        schema=relation.schema,
        anchor=best.column,
        accept_unenforced_anchor=True,
    )


def _taken_out(url: URL) -> tuple[str | None, URL]:
    """Return the password that the URL holds, in either place, and the URL without it."""
    password = url.password
    for key in _PASSWORD_KEYS:
        value = url.query.get(key)
        if isinstance(value, str):
            password = password or value
    return password, URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database,
        {key: value for key, value in url.query.items() if key not in _PASSWORD_KEYS},
    )  # fmt: skip

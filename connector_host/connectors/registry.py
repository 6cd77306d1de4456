"""From a connector's settings to the connector; the only module that names the ones that ship.

A connector's code is imported when it is first opened, so that commands which open none start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from connector_host.connectors.contract import Connector, Export, Importer, Rehearsal
    from connector_host.connectors.sql.known import Known
    from connector_host.connectors.survey import Relation, TableSurvey
    from connector_host.errors import Finding
    from connector_host.settings import ConnectorSettings


def open_connector(name: str, settings: ConnectorSettings, state: Path | None = None) -> Connector:
    """Return the connector; it connects when it is first asked, so a database that is down stops nobody here.

    What it knows of the columns' types outlives the process in the folder `state`, where one is given.
    Raises ConfigurationError where the database is not served, its driver is missing, or a secret cannot be read.
    """
    from connector_host.connectors.sql.connector import SqlConnector  # noqa: PLC0415 - half a second of SQLAlchemy

    return SqlConnector(name, settings, state)


def accept_types(name: str, state: Path) -> None:
    """Let the types of columns be what they are now; a running host sees it when it looks at the table again.

    Raises ConfigurationError where the file that keeps them cannot be taken away.
    """
    from connector_host.connectors.sql.known import file_of  # noqa: PLC0415 - the same

    file = file_of(state, name)
    try:
        file.unlink(missing_ok=True)
    except OSError as failure:
        raise ConfigurationError(f"state: {file} cannot be taken away ({failure.strerror}).") from failure


def open_importer(
    name: str, settings: ConnectorSettings, state: Path | None = None
) -> AbstractContextManager[Importer]:
    """Return a connection for one import; entering it connects and discovers. Blocks.

    Columns have the types that are known in the folder `state`, where one is given.

    Raises ConfigurationError, Denied or Unavailable.
    """
    from connector_host.connectors.sql.importing import open_importer as opened  # noqa: PLC0415 - the same

    return opened(name, settings, _known(name, settings, state))


def rehearse(settings: ConnectorSettings, export: Export, *, name: str = "", state: Path | None = None) -> Rehearsal:
    """Carry out an export by its very statements and undo it. Blocks.

    Columns have the types that are known of the connector in the folder `state`, where one is given.

    Raises ConfigurationError or Unavailable where there is nothing to rehearse on; every other failure is part of
    what is returned.
    """
    from connector_host.connectors.sql import rehearsing  # noqa: PLC0415 - the same

    return rehearsing.rehearse(settings, export, known=_known(name, settings, state))


def probe(name: str, settings: ConnectorSettings, state: Path | None = None) -> list[Finding]:
    """Write awkward values to each column, read them back, and roll back; return what became of them. Blocks.

    Raises ConfigurationError or a ConnectorError where there is nothing to probe on.
    """
    from connector_host.connectors.sql import probing  # noqa: PLC0415 - the same

    return probing.probe(settings, _known(name, settings, state))


def _known(name: str, settings: ConnectorSettings, state: Path | None) -> Known:
    """Return the types that a connector's columns are known by."""
    from connector_host.connectors.sql.known import types_of  # noqa: PLC0415 - the same

    return types_of(settings, name, state).load()


def survey_query(settings: ConnectorSettings) -> TableSurvey:
    """Return the columns of a connector's query. Blocks.

    Raises ConfigurationError (URL, driver, what is wrong with the query), Denied or Unavailable.
    """
    from connector_host.connectors.sql import surveying  # noqa: PLC0415 - the same

    return surveying.survey_query(settings)


def grants(settings: ConnectorSettings, login: str) -> tuple[str, ...]:
    """Return the statements that give a login what the mapping needs and no more. Blocks.

    Empty where the database has no privileges. Raises ConfigurationError, Denied or Unavailable.
    """
    from connector_host.connectors.sql import surveying  # noqa: PLC0415 - the same

    return surveying.grants(settings, login)


def change_log(settings: ConnectorSettings, *, remove: bool = False, by_tracking: bool = False) -> tuple[str, ...]:
    """Return the statements that make a change log, or take it away. Blocks; runs none of them.

    It is fed by triggers, or by the database itself where it can track changes (`by_tracking`).

    Empty where none is known for the database. Raises ConfigurationError, Denied or Unavailable.
    """
    from connector_host.connectors.sql import surveying  # noqa: PLC0415 - the same

    return surveying.change_log(settings, remove=remove, by_tracking=by_tracking)


def list_relations(database: str, password: str | None = None) -> tuple[Relation, ...]:
    """Return the tables and views that the login sees. Blocks.

    Raises ConfigurationError (URL, driver), Denied or Unavailable.
    """
    from connector_host.connectors.sql import surveying  # noqa: PLC0415 - the same

    return surveying.list_relations(database, password)


def survey_table(database: str, password: str | None = None, *, table: str, schema: str | None = None) -> TableSurvey:
    """Return the columns of one table or view and its anchor candidates, the best first. Blocks.

    Raises ConfigurationError (URL, driver, no such table), Denied or Unavailable.
    """
    from connector_host.connectors.sql import surveying  # noqa: PLC0415 - the same

    return surveying.survey_table(database, password, table=table, schema=schema)

"""Rehearsals: an export carried out by the very statements, in a transaction that is rolled back.

What the database says is then what it would say: constraints, triggers, rights and all. Where a rollback does not
undo everything, nothing is executed, and the rehearsal says so.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connector_host.connectors import refusals
from connector_host.connectors.contract import Rehearsal, Spoken
from connector_host.connectors.errors import ConnectorError
from connector_host.connectors.sql import checks, discovery, exports, shapes
from connector_host.connectors.sql.codes import Happened
from connector_host.connectors.sql.dialects import dialect_of
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.connectors.sql.passwords import password_of
from connector_host.connectors.sql.sqlstate import Failure, to_error, understand
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from connector_host.connectors.contract import Export, Exported
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.settings import SqlSettings

TRIGGERS = "The table has triggers: what they do outside of this transaction, if anything, was done."


def rehearse(settings: SqlSettings, export: Export) -> Rehearsal:
    """Carry out an export and undo it; returns what was said and what would have become of it. Blocks.

    Raises ConfigurationError or Unavailable where there is nothing to rehearse on; everything else is part of the
    rehearsal.
    """
    url = parse_url(settings.database, password_of(settings))
    dialect = dialect_of(url)
    engine = open_engine(url, size=1, statement_s=settings.statement_s, purpose="writing")
    try:
        with engine.connect() as connection:
            facts = discovery.discover(connection, dialect, settings.table, settings.database_schema)
            if facts is None:
                raise ConfigurationError(checks.missing_table(connection, dialect, settings))
            shape = shapes.build(facts, settings, dialect, None)
            if not _can_undo(connection, shape, settings):
                remark = "The table's storage engine cannot undo a change, so nothing was executed."
                return Rehearsal((), None, None, executed=False, remark=remark)
            return _carried_out(engine, connection, shape, settings, export)
    except DBAPIError as error:
        raise to_error(understand(error, dialect.name)) from error
    except SQLAlchemyError as error:
        raise to_error(Failure(Happened.CONNECTION, type(error).__name__)) from error
    finally:
        engine.dispose()


def _carried_out(
    engine: Engine, connection: Connection, shape: Shape, settings: SqlSettings, export: Export
) -> Rehearsal:
    outcome: Exported | None = None
    refusal: ConnectorError | None = None
    with _heard(engine) as said:
        try:
            refusals.apply(settings.refusals, export)
            done = exports.carry_out(connection, shape, export, lambda _: None)
            if shape.dialect.name == "postgresql":
                # What is deferred to the commit would never be looked at otherwise.
                connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
            outcome = done
        except ConnectorError as error:
            refusal = error
        except DBAPIError as error:
            refusal = to_error(understand(error, shape.dialect.name), shape.facts)
        finally:
            connection.rollback()
    remark = TRIGGERS if shape.facts.triggers else ""
    return Rehearsal(tuple(said), outcome, refusal, executed=True, remark=remark)


@contextmanager
def _heard(engine: Engine) -> Iterator[list[Spoken]]:
    """Give a list of every statement that the block executes, with the parameters by name."""
    said: list[Spoken] = []

    def hear(_: object, __: object, statement: str, parameters: Any, context: Any, ___: object) -> None:  # noqa: ANN401 - SQLAlchemy's event
        compiled = getattr(context, "compiled_parameters", None)
        named = compiled[0] if compiled else parameters
        if not isinstance(named, dict):
            named = {str(number): value for number, value in enumerate(named or (), start=1)}
        said.append(Spoken(statement, dict(named)))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def _can_undo(connection: Connection, shape: Shape, settings: SqlSettings) -> bool:
    """Return whether a rollback undoes a write; MyISAM, Aria and the like say nothing and keep it."""
    if shape.dialect.name != "mysql":
        return True
    # A view and statements of one's own may reach any table of the schema: all of them must be able to undo.
    anywhere = bool(shape.scripts) or not shape.facts.keys
    asked = sa.text(
        "SELECT count(*) FROM information_schema.tables AS t "
        "JOIN information_schema.engines AS e ON e.engine = t.engine "
        "WHERE e.transactions <> 'YES' AND (:anywhere = 1 OR t.table_name = :table) "
        "AND t.table_schema = coalesce(:schema, database())"
    )
    names = {"table": settings.table, "schema": settings.database_schema, "anywhere": int(anywhere)}
    return connection.execute(asked, names).scalar() == 0

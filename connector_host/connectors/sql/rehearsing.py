"""Rehearsals: an export carried out by the very statements, in a transaction that is rolled back.

What the database says is then what it would say: constraints, triggers, rights and all. Where a rollback does not
undo everything (see undoing), the statements are only shown, and the rehearsal says so.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connector_host.connectors import refusals
from connector_host.connectors.contract import Add, Rehearsal, Spoken
from connector_host.connectors.sql import bulk, exports, guarding, saying, shapes, sources, undoing
from connector_host.connectors.sql.dialects import dialect_of
from connector_host.connectors.sql.engines import open_engine, parse_url
from connector_host.connectors.sql.passwords import password_of
from connector_host.connectors.sql.sqlstate import to_error
from connector_host.databases.codes import Happened
from connector_host.databases.failures import Failure, understand
from connector_host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from connector_host.connectors.contract import Export, Exported
    from connector_host.connectors.sql.dialect import Dialect
    from connector_host.connectors.sql.known import Known
    from connector_host.connectors.sql.shapes import Shape
    from connector_host.settings import SqlSettings

TRIGGERS = "The table has triggers: what they do outside of this transaction, if anything, was done."
NUMBERS = "A number that the database gave out meanwhile is not given again."
PROCEDURES = "What procedures do outside of this transaction, if anything, was done."

DEFERRED = "SET CONSTRAINTS ALL IMMEDIATE"
BRACKET = (DEFERRED, "BEGIN")
"""How statements begin that are around an export and no part of it."""


def rehearse(
    settings: SqlSettings, export: Export, shape: Shape | None = None, *, known: Known | None = None
) -> Rehearsal:
    """Carry out an export and undo it; returns what was said and what would have become of it. Blocks.

    The table is looked at anew where no shape is given, and its columns have the types that are `known`. Raises
    ConfigurationError or Unavailable where there is nothing to rehearse on; everything else is part of the rehearsal.
    """
    with connected(settings) as (engine, connection, dialect):
        shape = shape or looked_up(connection, dialect, settings, known)
        obstacle = undoing.obstacle(connection, shape, settings, export)
        if obstacle:
            return _only_shown(connection, shape, settings, export, obstacle)
        return _carried_out(engine, connection, shape, settings, export)


@contextmanager
def connected(settings: SqlSettings) -> Iterator[tuple[Engine, Connection, Dialect]]:
    """Open one connection that could write; no driver's error leaves this block."""
    url = parse_url(settings.database, password_of(settings))
    dialect = dialect_of(url)
    engine = open_engine(url, size=1, statement_s=settings.statement_s, purpose="writing")
    try:
        with engine.connect() as connection:
            yield engine, connection, dialect
    except DBAPIError as error:
        raise to_error(understand(error, dialect.name)) from error
    except SQLAlchemyError as error:
        raise to_error(Failure(Happened.CONNECTION, type(error).__name__)) from error
    finally:
        engine.dispose()


def looked_up(connection: Connection, dialect: Dialect, settings: SqlSettings, known: Known | None = None) -> Shape:
    """Return the shape of the table as it is now; raises ConfigurationError where it cannot be served."""
    facts = sources.facts_of(connection, dialect, settings)
    return shapes.build(facts, settings, dialect, known)


def look_at_deferred(connection: Connection, shape: Shape) -> None:
    """Have the database look at what is deferred to a commit that will not come."""
    if shape.dialect.name in ("postgresql", "oracle"):
        connection.exec_driver_sql(DEFERRED)


def _carried_out(
    engine: Engine, connection: Connection, shape: Shape, settings: SqlSettings, export: Export
) -> Rehearsal:
    outcome: Exported | None = None
    refusal: HostError | None = None
    with _heard(engine, shape) as said:
        try:
            dropped = refusals.apply(settings.refusals, export)
            done = _as_the_writer_does(connection, shape, export)
            look_at_deferred(connection, shape)
            outcome = replace(done, dropped=dropped)
        except HostError as error:
            refusal = error
        except DBAPIError as error:
            refusal = to_error(understand(error, shape.dialect.name), shape.facts)
        finally:
            connection.rollback()
            guarding.let_go(connection, shape.dialect.name)
    remarks = [TRIGGERS] * bool(shape.facts.triggers) + [PROCEDURES] * bool(shape.scripts)
    remarks += [NUMBERS] * _draws_number(shape, export)
    return Rehearsal(tuple(said), outcome, refusal, executed=True, remark=" ".join(remarks))


def _draws_number(shape: Shape, export: Export) -> bool:
    """Return whether the database numbers a new row from what a rollback does not put back."""
    if not isinstance(export, Add) or shape.dialect.name in ("sqlite", "odbc"):  # the one does, the other does not tell
        return False
    left = (one.facts for one in shape.facts.columns if export.values.get(one.facts.name) is None)
    return any(facts.identity or (facts.default or "").lower().startswith("nextval(") for facts in left)


def _as_the_writer_does(connection: Connection, shape: Shape, export: Export) -> Exported:
    """Carry out the export by the statements that the writer says when nothing else waits."""
    try:
        (done,) = bulk.carry_out(connection, shape, [export], lambda _: None)
    except bulk.Disagreement:
        connection.rollback()
        return exports.carry_out(connection, shape, export, lambda _: None)
    if isinstance(done, BaseException):
        raise done
    return done


@contextmanager
def _heard(engine: Engine, shape: Shape) -> Iterator[list[Spoken]]:
    """Give a list of every statement that the block executes, with the parameters by name."""
    said: list[Spoken] = []

    def hear(_: object, __: object, statement: str, parameters: Any, context: Any, ___: object) -> None:  # noqa: ANN401 - SQLAlchemy's event
        if statement.startswith(BRACKET):
            return
        compiled = getattr(context, "compiled_parameters", None)
        said.append(Spoken(statement, shape.statements.named(statement, compiled[0] if compiled else parameters)))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", hear)


# ── what is only shown ────────────────────────────────────────────────────────────────────────────────────────────


def _only_shown(
    connection: Connection, shape: Shape, settings: SqlSettings, export: Export, obstacle: str
) -> Rehearsal:
    """Say the statements that would be executed, and that they were not; the row itself is read."""
    remark = f"{obstacle} So nothing was executed."
    try:
        refusals.apply(settings.refusals, export)
        said = saying.spoken(connection, shape, export)
    except HostError as error:
        return Rehearsal((), None, error, executed=False, remark=remark)
    finally:
        connection.rollback()
    return Rehearsal(said, None, None, executed=False, remark=remark)

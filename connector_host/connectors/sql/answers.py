"""All answers of one statement: a procedure may give several, and what went wrong in it may come with the last.

SQLAlchemy looks at the first answer alone. Here they are walked to the end while the statement is being executed, so
that an error among them is the statement's own, wrapped and understood like any other. Of an engine that writes only.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from connector_host.databases.odbc import any_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine, Executable

WALKED = "every_answer"
"""The execution option under which the answers are told."""


@dataclass(slots=True)
class Answers:
    """What a statement answered."""

    row: tuple[Any, ...] | None = None
    """The first row of the last answer that has rows; None where there is none."""
    met: int = -1
    """How many rows the first answer met or gave, where the driver tells."""


def attend(engine: Engine) -> None:
    """Have the engine walk the answers of those statements that `ask` executes."""
    event.listen(engine, "after_cursor_execute", _walk)


def ask(connection: Connection, statement: Executable, values: Mapping[str, object], *, reads: bool) -> Answers:
    """Execute a statement and return what it answered; raises whatever error stands among its answers.

    `reads` says that it is a SELECT.
    """
    answers = Answers()
    with any_names(connection) if reads else nullcontext():
        connection.execute(statement, dict(values), execution_options={WALKED: answers}).close()
    return answers


def _walk(_: Connection, cursor: Any, __: str, ___: object, context: Any, ____: bool) -> None:  # noqa: ANN401, FBT001 - SQLAlchemy's event
    answers: Answers | None = context.execution_options.get(WALKED)
    if answers is None:
        return
    answers.met = cursor.rowcount
    if cursor.description is not None:
        answers.met = _take(cursor, answers)
    proceed = getattr(cursor, "nextset", lambda: None)
    while proceed():
        if cursor.description is not None:
            _take(cursor, answers)


def _take(cursor: Any, answers: Answers) -> int:  # noqa: ANN401 - the driver's
    rows = cursor.fetchall()
    answers.row = tuple(rows[0]) if rows else answers.row
    return len(rows)

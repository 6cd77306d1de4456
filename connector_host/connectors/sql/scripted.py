"""Exports by the administrator's own statements: stored procedures, or SQL over several tables.

The statements of one operation run in order, in the export's transaction. `:Name` or `@Name` stands for an attribute
(`:"Full Name"` where it is no single word), always bound; what a row of the last one hands out is the anchor where
nobody gave one. What they did is not believed but looked at: the user must be there after a creation and a change, and
gone after a deletion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.connectors.sql.answers import ask
from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, TextClause

NAMED = re.compile(r"(?<![:\w@\\])([:@])(\w++)(?!:(?!:))")
"""`:Name` and `@Name`, but neither PostgreSQL's `::type` nor MySQL's `@@variable`."""

MARK = re.compile(r"(?<![:\w@\\])[:@]$")
"""What stands before a name in quotation marks that is a parameter's: `:"Full Name"`."""

QUOTED = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/)", re.DOTALL)
"""What is no place for a parameter: text, quoted names, comments."""

CALLED = re.compile(r"\bEXEC(UTE)?\b", re.IGNORECASE)
"""A call of SQL Server, where what stands before `=` is the procedure's own name for a parameter."""

ROWS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "WITH", "VALUES", "SET", "DO"})
"""How a statement begins that a rollback undoes, or that changes nothing."""

COUNTED = re.compile(r"\s*(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
"""Statements whose count of rows means something; a procedure's does not."""


UPSERT = re.compile(r"\bON\s+DUPLICATE\s+KEY\s+UPDATE\b", re.IGNORECASE)
"""What MySQL and MariaDB count a row that it changed twice for."""


class NotOneRow(Exception):
    """A statement met several rows."""


@dataclass(frozen=True, slots=True)
class Done:
    """What statements did, as far as they say: of what a procedure did, nobody counts the rows."""

    key: object | None
    """What the last row said first, if any."""
    missed: tuple[int, ...]
    """The statements, by their place, that met no row."""
    met_none: bool
    """Whether none of them met any."""


@dataclass(frozen=True, slots=True)
class Script:
    """The statements of one operation."""

    statements: tuple[tuple[TextClause, Mapping[str, str]], ...]
    """Each with its parameters, and which attribute each of them stands for."""

    @property
    def calls(self) -> bool:
        """Return whether a procedure is called, or something is said that may end the transaction like one."""
        return any(first_word(statement.text) not in ROWS for statement, _ in self.statements)

    @property
    def passes_on(self) -> frozenset[str]:
        """Return the attributes that its parameters stand for."""
        return frozenset(name for _, parameters in self.statements for name in parameters.values())

    def run(self, connection: Connection, values: Mapping[str, object], *, any_rows: bool = False) -> Done:
        """Execute the statements with the values by attribute name.

        Raises NotOneRow where a statement changed several rows, unless `any_rows` says that it may.
        """
        key: object | None = None
        met: list[int] = []
        for statement, parameters in self.statements:
            given = {name: values.get(of) for name, of in parameters.items()}
            answers = ask(connection, statement, given, reads=first_word(statement.text) == "SELECT")
            counts = COUNTED.match(statement.text) is not None
            rows = _rows(statement.text, answers.met) if counts else -1
            if rows > 1 and not any_rows:
                raise NotOneRow
            met.append(rows)
            key = key if answers.row is None else answers.row[0]
        missed = tuple(number for number, count in enumerate(met) if count == 0)
        return Done(key, missed, met_none=len(missed) == len(met))


def _rows(text: str, count: int) -> int:
    """Return how many rows a statement met, by what the database counts."""
    changed_twice = 2
    return 1 if count == changed_twice and UPSERT.search(unquoted(text)) else count


def unquoted(text: str) -> str:
    """Return what of a statement is neither text, nor quoted names, nor comments."""
    return " ".join(QUOTED.split(text)[::2]).strip()


def first_word(text: str) -> str:
    """Return the word that a statement begins with, in capitals."""
    return (unquoted(text).split(None, 1) or [""])[0].upper()


def script(key: str, statements: Sequence[str], attributes: Collection[str]) -> Script:
    """Return the statements as they are executed; raises ConfigurationError where `:Name` is no attribute.

    `@Name` is a parameter only where it is an attribute: it may be a variable of the database's own.
    """
    return Script(tuple(_statement(f"{key}[{number}]", text, attributes) for number, text in enumerate(statements)))


def _statement(key: str, text: str, attributes: Collection[str]) -> tuple[TextClause, Mapping[str, str]]:
    """Return a statement, and which attribute each of its parameters stands for."""
    is_call = CALLED.search(text) is not None
    used: dict[str, str] = {}

    def replaced(found: re.Match[str]) -> str:
        mark, name = found.groups()
        if mark == "@" and is_call and re.match(r"\s*=", found.string[found.end() :]):
            return found[0]
        parameter = _parameter(key, mark, name, attributes, used)
        # A cast of PostgreSQL follows at a distance: SQLAlchemy would end the name a letter earlier.
        return found[0] if parameter is None else f":{parameter}" + " " * found.string.startswith(":", found.end())

    parts = QUOTED.split(text)
    # Between the quoted parts stand the places for parameters; a colon inside of quotes is escaped for SQLAlchemy.
    spelled: list[str] = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            spelled.append(NAMED.sub(replaced, part))
        elif (
            (mark := MARK.search(spelled[-1]))
            and part[0] in '"`'
            and (parameter := _parameter(key, mark[0], part[1:-1].replace(part[0] * 2, part[0]), attributes, used))
        ):
            spelled[-1] = spelled[-1][:-1] + f":{parameter} "
        else:
            spelled.append(re.sub(r"(?<!:):(?=\w)", r"\\:", part))
    bound = [sa.bindparam(name, type_=sa.types.NullType()) for name in sorted(used)]
    return sa.text("".join(spelled)).bindparams(*bound), used


def _parameter(key: str, mark: str, name: str, attributes: Collection[str], used: dict[str, str]) -> str | None:
    """Return how the parameter for an attribute is called, which is written down; None where there is no such one.

    Raises ConfigurationError where the mark is a colon, which stands for nothing else.
    """
    by_lower = {attribute.lower(): attribute for attribute in attributes}
    exact = name if name in attributes else by_lower.get(name.lower())
    if exact is None:
        if mark == "@":
            return None
        raise ConfigurationError(
            f"{key}: :{name} is no exposed column; write \\:{name} if it is no parameter. "
            f"There are: {', '.join(attributes)}."
        )
    parameter = re.sub(r"\W", "_", exact)
    while used.get(parameter, exact) != exact:
        parameter += "_"
    used[parameter] = exact
    return parameter

"""Exports by the administrator's own statements: stored procedures, or SQL over several tables.

The statements of one operation run in order, in the export's transaction. `:Name` or `@Name` stands for an attribute,
always bound; what a row of the last one hands out is the anchor where nobody gave one. What they did is not believed
but looked at: the user must be there after a creation and a change, and gone after a deletion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, TextClause

NAMED = re.compile(r"(?<![:\w@\\])([:@])(\w+)(?![\w:])")
"""`:Name` and `@Name`, but neither PostgreSQL's `::type` nor MySQL's `@@variable`."""

QUOTED = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/)", re.DOTALL)
"""What is no place for a parameter: text, quoted names, comments."""

CALLED = re.compile(r"\bEXEC(UTE)?\b", re.IGNORECASE)
"""A call of SQL Server, where what stands before `=` is the procedure's own name for a parameter."""

COUNTED = re.compile(r"\s*(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
"""Statements whose count of rows means something; a procedure's does not."""


class NotOneRow(Exception):
    """A statement met several rows."""


@dataclass(frozen=True, slots=True)
class Script:
    """The statements of one operation."""

    statements: tuple[tuple[TextClause, frozenset[str]], ...]
    """Each with the names of its parameters."""

    def run(self, connection: Connection, values: Mapping[str, object]) -> object | None:
        """Execute the statements with the values by attribute name; returns what the last row said first, if any.

        Raises NotOneRow where a statement changed several rows.
        """
        told: object | None = None
        for statement, names in self.statements:
            result = connection.execute(statement, {name: values.get(name) for name in names})
            if result.returns_rows:
                row = result.first()
                told = told if row is None else row[0]
            elif COUNTED.match(statement.text) and result.rowcount > 1:
                raise NotOneRow
        return told


def script(key: str, statements: Sequence[str], attributes: Collection[str]) -> Script:
    """Return the statements as they are executed; raises ConfigurationError where `:Name` is no attribute.

    `@Name` is a parameter only where it is an attribute: it may be a variable of the database's own.
    """
    return Script(tuple(_statement(f"{key}[{number}]", text, attributes) for number, text in enumerate(statements)))


def _statement(key: str, text: str, attributes: Collection[str]) -> tuple[TextClause, frozenset[str]]:
    by_lower = {name.lower(): name for name in attributes}
    used: set[str] = set()
    is_call = CALLED.search(text) is not None

    def replaced(found: re.Match[str]) -> str:
        mark, name = found.groups()
        if mark == "@" and is_call and re.match(r"\s*=", found.string[found.end() :]):
            return found[0]
        exact = name if name in attributes else by_lower.get(name.lower())
        if exact is None:
            if mark == "@":
                return found[0]
            raise ConfigurationError(
                f"{key}: :{name} is no exposed column; write \\:{name} if it is no parameter. "
                f"There are: {', '.join(attributes)}."
            )
        used.add(exact)
        return f":{exact}"

    parts = QUOTED.split(text)
    # Between the quoted parts stand the places for parameters; a colon inside of quotes is escaped for SQLAlchemy.
    spelled = [
        re.sub(r"(?<!:):(?=\w)", r"\\:", part) if number % 2 else NAMED.sub(replaced, part)
        for number, part in enumerate(parts)
    ]
    bound = [sa.bindparam(name, type_=sa.types.NullType()) for name in sorted(used)]
    return sa.text("".join(spelled)).bindparams(*bound), frozenset(used)

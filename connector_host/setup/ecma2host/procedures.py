"""How the replaced product wrote, in our words: queries as they stand, and calls of stored procedures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connector_host.setup.ecma2host.document import Parameter

_OPERATIONS: Final = {"create": ("insert", "add"), "update": ("update",), "delete": ("delete",)}


@dataclass(frozen=True, slots=True)
class Procedure:
    """One stored procedure: its name, and its parameters, each with the attribute whose value it takes."""

    name: str
    parameters: tuple[tuple[str, str], ...]

    def call(self, backend: str) -> str:
        """Return the statement that calls it, as this kind of database writes it."""
        values = [(name.lstrip("@:"), _placeholder(attribute)) for name, attribute in self.parameters]
        match backend:
            case "mssql":
                return f"EXEC {self.name} {', '.join(f'@{name} = {value}' for name, value in values)}".rstrip()
            case "oracle":
                return f"BEGIN {self.name}({', '.join(f'{name} => {value}' for name, value in values)}); END;"
            case _:
                return f"CALL {self.name}({', '.join(value for _, value in values)})"


Statement = str | Procedure
"""A query of the export, which names values as `@Name`, as we do; or a procedure."""


def text_for(statement: Statement, backend: str) -> str:
    """Return the statement as this kind of database writes it."""
    return statement.call(backend) if isinstance(statement, Procedure) else statement


def exports(parameters: Sequence[Parameter]) -> tuple[dict[str, Statement], list[Parameter]]:
    """Return by which statement each operation was carried out, and what of that cannot be taken over."""
    taken: dict[str, Statement] = {}
    lost: list[Parameter] = []
    by_key = {one.key: one for one in parameters if one.run in {"", "Export"}}
    for operation, words in _OPERATIONS.items():
        for word in words:
            if query := by_key.get(f"{word} query"):
                taken[operation] = query.value
            elif named := next((by_key[key] for key in by_key if re.fullmatch(rf"{word} sp( name)?", key)), None):
                procedure = _procedure(named, _declared(by_key, word))
                if procedure is None:
                    lost.append(named)
                else:
                    taken[operation] = procedure
    return taken, lost


def is_about_exports(parameter: Parameter) -> bool:
    """Return whether `exports` has looked at it."""
    return re.fullmatch(r"(insert|add|update|delete) (query|sp.*)", parameter.key) is not None


def _declared(by_key: Mapping[str, Parameter], word: str) -> str:
    found = next((by_key[key] for key in by_key if re.fullmatch(rf"{word} sp.*parameters?", key)), None)
    return "" if found is None else found.value


def _procedure(named: Parameter, declared: str) -> Procedure | None:
    """Return the procedure, None where it hands something out, or takes what is no attribute."""
    lines = [[part.strip() for part in line.split(":", 2)] for line in declared.splitlines() if line.strip()]
    if any(len(parts) != 3 or parts[1].lower() != "input" or not parts[2] for parts in lines):  # noqa: PLR2004 - name, direction, value
        return None
    return Procedure(named.value, tuple((name, attribute) for name, _, attribute in lines))


def _placeholder(attribute: str) -> str:
    if re.fullmatch(r"\w+", attribute):
        return f":{attribute}"
    return ':"' + attribute.replace('"', '""') + '"'


def described(statements: Mapping[str, Statement]) -> Iterator[str]:
    """Yield one note for each operation that is carried out by a statement of its own."""
    for operation, statement in statements.items():
        how = f"the procedure {statement.name}" if isinstance(statement, Procedure) else "the query of the export"
        yield f"Users are {_DONE[operation]} by {how} ([connectors.NAME.exports]): try it with `export --dry-run`."


_DONE: Final = {"create": "created", "update": "changed", "delete": "deleted"}

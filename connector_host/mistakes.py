"""What is wrong with a configuration, in words: file, line, key, what is wrong, what was probably meant, an example.

Works for any pydantic model and any TOML text; knows no setting by name, and never repeats a value.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from connector_host.spellings import advice

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origins:
    """Where keys of a configuration came from."""

    path: Path
    lines: Mapping[Key, int]
    """Of the file."""
    variables: Mapping[Key, str]
    """Of the environment, which stand above the file; their keys in lower case."""

    def place_of(self, key: Key, *, is_missing: bool) -> str:
        """Return where to look: at a variable that sets the key or a part of it, else at the nearest line."""
        told = tuple(part.lower() for part in key)
        for length in range(len(told), 0, -1):
            if told[:length] in self.variables:
                return self.variables[told[:length]]
        if is_missing and key[:-1] not in self.lines:  # from a table that only variables make
            made = (name for place, name in self.variables.items() if place[: len(told) - 1] == told[:-1])
            if told[:-1] and (name := next(made, None)):
                return name
        near = (self.lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in self.lines)
        number = next(near, None)
        return f"{self.path}:{number}" if number is not None else str(self.path)


def explain(
    path: Path,
    failure: ValidationError,
    model: type[BaseModel],
    text: str = "",
    variables: Mapping[Key, str] = types.MappingProxyType({}),
) -> str:
    """Return every mistake on a line of its own."""
    origins = Origins(path, key_lines(text), variables)
    found = [
        (tuple(map(str, error["loc"])), error["type"], error["msg"])
        for error in failure.errors(include_input=False, include_url=False)
    ]
    keys = [key for key, _, _ in found]
    return "\n".join(
        f"{origins.place_of(key, is_missing=kind == 'missing')}: {_sentence(key, kind, message, model)}"
        for key, kind, message in found
        # A list is not too short for that an item of it is wrong.
        if kind != "too_short" or not any(other[: len(key)] == key and other != key for other in keys)
    )


def key_lines(text: str) -> dict[Key, int]:
    """Return where each key and each table of a TOML text stands; lines count from 1.

    Reads line by line, which is enough to point at a line: what a long text inside a value holds may add keys.
    """
    found: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header.group(1))
            for length in range(1, len(table) + 1):
                found.setdefault(table[:length], number)
        elif entry := _ENTRY.match(line):
            found.setdefault((*table, *_parts(entry.group(1))), number)
    return found


_PART = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|[A-Za-z0-9_-]+"
_HEADER = re.compile(rf"\s*\[\[?\s*((?:{_PART})(?:\s*\.\s*(?:{_PART}))*)\s*\]")
_ENTRY = re.compile(rf"\s*((?:{_PART})(?:\s*\.\s*(?:{_PART}))*)\s*=")


def _parts(dotted: str) -> Key:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _sentence(key: Key, kind: str, message: str, model: type[BaseModel]) -> str:
    return f"{'.'.join(key)}: {words(kind, message)}{_hint(kind, key, model)}"


def words(kind: str, message: str) -> str:
    """Return what is wrong, by pydantic's name for it and its message."""
    match kind:
        case "extra_forbidden":
            return "there is no such key."
        case "missing":
            return "is missing."
        case "tuple_type" | "list_type":
            return 'is a list: write ["…", "…"].'
        case "model_type" | "model_attributes_type" | "dict_type":
            return "is a table of keys, not one value."
        case _:
            return message.removeprefix("Value error, ").rstrip(".") + "."


def _hint(kind: str, key: Key, model: type[BaseModel]) -> str:
    """Return what was probably meant, or an example of what would be right."""
    if kind == "extra_forbidden":
        parent = _model_at(model, key[:-1])
        names = [] if parent is None else [field.alias or name for name, field in parent.model_fields.items()]
        return f" {advice(key[-1], names)}".rstrip()
    field = field_at(model, key)
    example = None if field is None else example_of(field)
    return f" Example: {key[-1]} = {example}" if example is not None and kind != "value_error" else ""


def example_of(field: FieldInfo) -> str | None:
    """Return a value of the setting as TOML writes it: its example, or its default; None where it has neither."""
    value = field.examples[0] if field.examples else field.get_default(call_default_factory=False)
    return toml(value) if isinstance(value, str | bool | int | float | Path | tuple) else None


def toml(value: object) -> str:
    """Return a simple value as TOML writes it."""
    match value:
        case Path():
            return json.dumps(value.as_posix())
        case tuple() | list():
            return f"[{', '.join(map(toml, value))}]"
        case SecretStr():
            return '"**********"'
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def field_at(model: type[BaseModel], key: Key) -> FieldInfo | None:
    """Return the setting that a key of the file stands for, or None where there is none."""
    for length in range(len(key), 0, -1):
        parent = _model_at(model, key[: length - 1])
        if parent is not None:
            return _field(parent, key[length - 1])
    return None


def _field(model: type[BaseModel], name: str) -> FieldInfo | None:
    return next((field for known, field in model.model_fields.items() if name in {known, field.alias}), None)


def _model_at(annotation: Any, key: Key) -> type[BaseModel] | None:  # noqa: ANN401 - a type annotation may be anything
    """Follow a key through models, tables by name, and unions; None where it does not lead to a model."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not key:
            return annotation
        field = _field(annotation, key[0])
        return None if field is None else _model_at(field.annotation, key[1:])
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in {dict, Mapping}:
        return _model_at(inside[1], key[1:]) if key else None
    if origin in {Annotated, Union, types.UnionType}:
        return next((found for one in inside if (found := _model_at(one, key)) is not None), None)
    if origin in {tuple, list, Sequence}:
        return _model_at(inside[0], key[1:]) if key else None
    return None

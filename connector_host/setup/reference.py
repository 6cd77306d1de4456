"""Every setting as a page for administrators: made from the models, so that the page and the program cannot differ."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from connector_host.mistakes import example_of, toml
from connector_host.settings import Configuration

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_HEAD = """\
# Configuration

One TOML file, `connector-host.toml` in the working folder or `/etc/connector-host/`, or wherever `--config` or
`CONNECTOR_HOST_CONFIG` says. This page is written by `connector-host config reference`.

- `connector-host init` writes the file, `connector-host check` looks at everything in it, `connector-host config show`
  prints what takes effect, `connector-host config schema` prints its JSON Schema for editors.
- A mistake is told with file, line, key, and what was probably meant; an unknown key is a mistake.
- After a change: `connector-host reload`, or `systemctl reload connector-host`. The file is judged first; connectors
  that did not change go on undisturbed. Keys of `[host]` and `[audit]` take effect at a restart, save those of the log.
- Every key may be set by an environment variable: `CONNECTOR_HOST__HOST__PORT=9000` stands for `port` in `[host]`,
  `CONNECTOR_HOST__CONNECTORS__HR__TABLE=Staff` for `table` in `[connectors.HR]`. Lists and tables are TOML values.
- Relative paths are relative to the folder of the file.
- No secret needs to stand in the file: see docs/security.md.
"""


def reference() -> str:
    """Return the page in Markdown."""
    return "\n".join([_HEAD, *_section(Configuration, "")])


def _section(model: type[BaseModel], table: str) -> Iterator[str]:
    """Yield the keys of one table, then each table below it."""
    below: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        inner, several = _table(field.annotation)
        if inner is not None:
            below.append((inner, _joined(table, key, "NAME" if several else "")))
            continue
        yield f"### `{key}`" + (f" in `[{table}]`" if table else "")
        yield ""
        yield " ".join((field.description or "").split())
        yield ""
        yield _facts(field)
        yield ""
    for inner, path in below:
        yield f"## `[{path}]`"
        yield ""
        yield " ".join((inner.__doc__ or "").split())
        yield ""
        yield from _section(inner, path)


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _facts(field: FieldInfo) -> str:
    """Return type, bounds, default and example on one line."""
    words = [_type_words(field.annotation), *(_bound(rule) for rule in field.metadata)]
    if field.is_required():
        words.append("must be given")
    elif (default := field.get_default(call_default_factory=True)) not in (None, {}):
        words.append(f"default `{toml(default)}`")
    if field.examples and (example := example_of(field)):
        words.append(f"for example `{example}`")
    return f"*{'; '.join(word for word in words if word)}*"


def _bound(rule: object) -> str:
    for name, words in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
        if (value := getattr(rule, name, None)) is not None:
            return f"{words} {value:,}" if isinstance(value, int) else f"{words} {value:g}"
    return ""


def _type_words(annotation: Any) -> str:  # noqa: ANN401 - a type annotation may be anything
    """Return what an administrator calls a type."""
    origin, inside = get_origin(annotation), get_args(annotation)
    match origin:
        case _ if origin is Literal:
            return " or ".join(f"`{toml(value)}`" for value in inside)
        case _ if origin in {Union, types.UnionType}:
            return " or ".join(dict.fromkeys(_type_words(one) for one in inside if one is not type(None)))
        case _ if origin is tuple:
            return f"list of {_type_words(inside[0])}"
        case _ if origin in {dict, Mapping}:
            return f"table of {_type_words(inside[1])}"
        case _ if origin is Annotated:
            return _type_words(inside[0])
        case _:
            return _WORDS.get(getattr(annotation, "__name__", ""), "")


_WORDS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Path": "path",
    "SecretStr": "text",
    "Any": "settings",
}


def _table(annotation: Any) -> tuple[type[BaseModel] | None, bool]:  # noqa: ANN401 - the same
    """Return the model of a table, and whether there are several of it by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _table(inside[0])
    if origin in {Union, types.UnionType}:
        return next((found for one in inside if (found := _table(one))[0] is not None), (None, False))
    if origin is dict:
        inner, _ = _table(inside[1])
        return inner, inner is not None
    return None, False

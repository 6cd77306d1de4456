"""Describing a new provisioning job: from a source and a target to mappings with reasons, and to the text of its table.

Holds no secret: a token that was typed goes into a file of its own, readable by its owner only.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connector_host.connectors.contract import AttributeType
from connector_host.errors import ConfigurationError
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.resources import parse_path
from connector_host.provisioning.settings import load
from connector_host.scim.suggestions import LIKELY, suggest
from connector_host.setup.toml import quoted
from connector_host.tls.issuing import write_private, write_public

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connector_host.provisioning.schemas import UserSchema

TYPES: Final = {
    Kind.TRUTH: AttributeType.BOOLEAN,
    Kind.NUMBER: AttributeType.INTEGER,
    Kind.DATE: AttributeType.DATE_TIME,
    Kind.MANY: None,
    Kind.ROLES: None,
    Kind.REFERENCE: None,
}
"""What a kind of the source is where attributes are suggested; None is nothing that one value could carry."""

ENABLED: Final = "active"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One mapping, and why."""

    source: str
    target: str
    reason: str


def propose(names: Sequence[str], kinds: Mapping[str, Kind], schema: UserSchema | None) -> tuple[Proposal, ...]:
    """Return what each attribute of the source probably is, as far as the target has that."""
    columns = [(name, TYPES.get(kinds.get(name, Kind.ANY), AttributeType.STRING)) for name in names]
    found = [
        Proposal(one.column, one.path, one.reason)
        for one in suggest(columns)
        if one.path and one.confidence >= LIKELY and (schema is None or _has(schema, one.path))
    ]
    own = {path.rpartition(":")[2]: one.path for path, one in (schema.attributes if schema else {}).items()}
    taken = {one.source for one in found} | {one.target for one in found}
    same = [
        Proposal(name, own[name.lower()], "the target has an attribute of this name")
        for name in names
        if name.lower() in own and name not in taken and own[name.lower()] not in taken
    ]
    return tuple(found + same)


def _has(schema: UserSchema, path: str) -> bool:
    parsed = parse_path(path)
    whole, part = schema.at(parsed)
    return whole is not None and (parsed.sub is None or part is not None)


def lines(name: str, job: Mapping[str, Any], reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield `[jobs.NAME]` as TOML; `job` is its document, `reasons` says of targets why they are mapped so."""
    yield "# Written by `connector-host provision new`; after a change: connector-host provision check"
    yield f"[jobs.{name}]"
    for key, value in job.items():
        if key != "mappings":
            yield f"{key} = {_toml(value)}"
    for mapping in job["mappings"]:
        yield ""
        yield f"[[jobs.{name}.mappings]]"
        for key, value in mapping.items():
            reason = reasons.get(mapping["target"], "") if key == "source" else ""
            yield f"{key} = {_toml(value)}" + (f"  # {reason}" if reason.isprintable() and reason else "")


def write(config: Path, text: str, secrets: Mapping[Path, str]) -> None:
    """Add the job to the file, and write the secrets beside it; raises ConfigurationError, with all as it was.

    The text is proven to load before it takes its place.
    """
    folder = config.absolute().parent
    try:
        old = config.read_text(encoding="utf-8").rstrip() + "\n\n" if config.exists() else ""
        mode = config.stat().st_mode & 0o777 if config.exists() else 0o644
        if taken := [path for path in secrets if path.exists()]:
            raise ConfigurationError(f"{taken[0]} exists: name it with --token-file, or move it away.")
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".toml", encoding="utf-8") as draft:
            draft.write(old + text)
            draft.flush()
            load(Path(draft.name))
        for path, secret in secrets.items():
            write_private(path, f"{secret}\n".encode())
        write_public(config, (old + text).encode(), mode=mode)
    except OSError as failure:
        raise ConfigurationError(f"{failure.filename or config}: cannot be written ({failure.strerror}).") from failure


def _toml(value: Any) -> str:  # noqa: ANN401 - a value of a document
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return quoted(str(value)) if isinstance(value, str | Path) else json.dumps(value)

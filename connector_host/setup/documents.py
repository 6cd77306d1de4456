"""The configuration file as text: TOML with a comment wherever a person will wonder why.

Holds no secret: password and token are in files of their own (DESIGN §5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.mistakes import toml
from connector_host.setup.toml import bare, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connector_host.setup.plans import ConnectorPlan, HostPlan


def render(host: HostPlan, connector: ConnectorPlan, folder: Path) -> str:
    """Return a whole file for the folder that it will stand in."""
    return "\n".join([*_host_lines(host, folder), "", *connector_lines(connector, folder), ""])


def connector_lines(plan: ConnectorPlan, folder: Path) -> Iterator[str]:
    """Yield one `[connectors.NAME]` with its tables."""
    key = f"connectors.{bare(plan.name)}"
    yield from (f"# {_one_line(note)}" for note in plan.notes)
    yield f"[{key}]"
    yield 'type = "sql"'
    yield f"database = {quoted(plan.database)}"
    if plan.password_sealed_file is not None:
        yield "# Sealed for this machine; a new one: connector-host secret set"
        yield f"password_sealed_file = {_path(plan.password_sealed_file, folder)}"
    if plan.schema is not None:
        yield f"schema = {quoted(plan.schema)}"
    yield f"table = {quoted(plan.table)}"
    yield "# The SCIM id of each user: unique, not null, never changed."
    yield f"anchor = {quoted(plan.anchor)}"
    if plan.accept_unenforced_anchor:
        yield "# The database does not enforce that. Better: add a unique key and NOT NULL, and remove this line."
        yield "accept_unenforced_anchor = true"
    yield "# SHA-256 of each valid token, one a line; `connector-host token new` adds one."
    yield f"token_hash_file = {_path(plan.token_hash_file, folder)}"
    yield from _column_lines(plan)
    yield ""
    yield "# Column = SCIM attribute. Columns that are not named here appear under their own name, as"
    yield "# urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User:COLUMN."
    yield f"[{key}.attributes]"
    for column, path in plan.attributes.items():
        reason = plan.reasons.get(column, "")
        yield f"{bare(column)} = {quoted(path)}" + (f"  # {_one_line(reason)}" if reason else "")
    for flow, facts in plan.flows.items():
        yield ""
        yield f"[{key}.{flow}]"
        yield from (f"{name} = {toml(value)}" for name, value in facts.items())
    for column, truth in plan.truths.items():
        yield ""
        yield f"# True and false to a directory: {truth.reason}."
        yield f"[{key}.column.{bare(column)}]"
        yield f"true = {quoted(truth.true)}"
        yield f"false = {quoted(truth.false)}"
    yield from _export_lines(plan, key)
    if plan.preset != "strict":
        yield ""
        yield f"# {plan.preset_reason}"
        yield f"[{key}.refusals]"
        yield f"preset = {quoted(plan.preset)}"


def _host_lines(plan: HostPlan, folder: Path) -> Iterator[str]:
    yield "# Written by `connector-host init`; every key is explained in docs/configuration.md."
    yield "# After a change: connector-host check"
    yield ""
    yield "[host]"
    yield "# The name that clients use; the certificate's subject must match it."
    yield f"name = {quoted(plan.name)}"
    yield "# Loopback is enough where the provisioning agent runs on this machine."
    yield f"listen = {quoted(plan.listen)}"
    yield f"port = {plan.port}"
    yield f"certificate = {_path(plan.certificate, folder)}"
    yield f"key = {_path(plan.key, folder)}"


def _column_lines(plan: ConnectorPlan) -> Iterator[str]:
    for column, reason in plan.left_out.items():
        yield f"# {_one_line(column)} is left out: {_one_line(reason)}."
    if plan.columns is not None:
        yield "# Only these are served; name new ones here, too."
        yield f"columns = [{', '.join(map(quoted, plan.columns))}]"


def _export_lines(plan: ConnectorPlan, key: str) -> Iterator[str]:
    if plan.exports:
        yield ""
        yield "# Statements in place of the generated ones; `connector-host export --dry-run` tries them."
        yield f"[{key}.exports]"
        yield from (f"{operation} = [{quoted(text)}]" for operation, text in plan.exports.items())


def _one_line(text: str) -> str:
    """Return what may stand in a comment, which takes no control characters (TOML 1.0, Comment)."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


def _path(path: Path, folder: Path) -> str:
    """Write a path beside the file relative to it, so that the folder may be moved as a whole."""
    return quoted(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path))

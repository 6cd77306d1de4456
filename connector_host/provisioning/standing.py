"""Where a job stands: which cycle is next, whether its links still count, and how to tell."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from connector_host.provisioning.reports import Kind
from connector_host.provisioning.settings import GraphSettings, ScimSettings
from connector_host.provisioning.state import intents
from connector_host.provisioning.state.tables import FAILURES, LINKS, STAGED
from connector_host.provisioning.unanswered import NOT_LOOKED, line_of

if TYPE_CHECKING:
    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.sources.contract import Source
    from connector_host.provisioning.state.records import JobState
    from connector_host.provisioning.state.store import State

WELL: Final = {
    "quarantined_at": None,
    "quarantine_code": None,
    "quarantine_reason": None,
    "quarantine_attempts": 0,
}
"""What is remembered of a job that is well."""

BEGINNING: Final = {"mark": None, "initial_due": True, "open_kind": None}
"""What is remembered of a job that has to look at everybody."""

PRINT_CHARS: Final = 47
ENDS_PRINT_CHARS: Final = 16
"""Digits of a fingerprint's two parts: what the job does, and what its links join."""


def kind_of(where: JobState, source: Source, fingerprint: str) -> Kind:
    """Return what the next cycle has to look at."""
    if where.initial_due:
        return Kind.INITIAL
    if not source.gives_changes or where.mark is None or where.fingerprint != fingerprint:
        return Kind.FULL
    if source.full_every and where.since_full + 1 >= source.full_every:
        return Kind.FULL
    return Kind.INCREMENTAL


def fingerprint_of(job: JobSettings) -> str:
    """Return what changes when scope, mappings or assignment do: then all users are looked at again by themselves."""
    parts = job.model_dump_json(
        include={
            "source", "mappings", "scope", "assignment", "assigned_attribute", "enabled_attribute", "out_of_scope",
            "disable", "actions",
        }
    )  # fmt: skip
    return f"{hashlib.sha256(parts.encode()).hexdigest()[:PRINT_CHARS]}.{_ends_print(job)}"


def believes(where: JobState, job: JobSettings) -> bool:
    """Return whether the links join users of this source and of this target, as far as anybody knows."""
    return where.fingerprint.partition(".")[2] in ("", _ends_print(job))


async def stand(state: State, name: str, job: JobSettings, *, dry: bool) -> JobState:
    """Return where the job stands, after links of another source or target than now are dropped; a dry run keeps them.

    Under another key every user would look gone, and be deleted; at another target the same id may be somebody else's.
    Users are matched again instead.
    """
    where = await asyncio.to_thread(state.job, name)
    if not believes(where, job):
        if dry:
            return replace(where, mark=None, initial_due=True, open_kind=None)
        await asyncio.to_thread(state.forget, name, LINKS, STAGED, FAILURES)
        await asyncio.to_thread(
            intents.give_up, state, name, lambda intent: line_of(name, intent, shown=False, reason=NOT_LOOKED)
        )
    elif dry or where.fingerprint.partition(".")[2]:
        return where
    fields: dict[str, object] = {"fingerprint": f".{_ends_print(job)}"}
    if not believes(where, job):
        fields |= BEGINNING
    await asyncio.to_thread(lambda: state.set_job(name, **fields))
    return await asyncio.to_thread(state.job, name)


def _ends_print(job: JobSettings) -> str:
    """Return what changes when a key of the source, or an id of the target, no longer means whom it meant."""
    source = job.source
    realm = ""  # of a file or a database the key alone tells: it may be moved
    match source:
        case GraphSettings(tenant=realm) | ScimSettings(url=realm):
            pass
    ends = json.dumps([source.type, realm, source.key, job.target.url])
    return hashlib.sha256(ends.encode()).hexdigest()[:ENDS_PRINT_CHARS]

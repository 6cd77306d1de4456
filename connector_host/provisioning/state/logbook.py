"""The provisioning log: questions to it, its way out as CSV and NDJSON, and what is too old."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from connector_host.provisioning.state.tables import JOBS, LOG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

    from connector_host.provisioning.state.store import State

ROWS: Final = 500

COLUMNS: Final = (
    "id", "activityDateTime", "jobId", "cycleId", "changeId", "provisioningAction", "status", "sourceIdentity",
    "targetIdentity", "initiatedBy", "durationInMilliseconds", "errorCode", "reason", "modifiedProperties",
    "provisioningSteps",
)  # fmt: skip
"""The fields by their names in Microsoft Graph's provisioningObjectSummary, as far as it has them."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which lines of the log are wanted; None is any."""

    job: str | None = None
    since: float | None = None
    until: float | None = None
    status: str | None = None
    action: str | None = None
    user: str | None = None
    """A key of the source or an id of the target."""
    code: str | None = None
    cycle: int | None = None
    newest_first: bool = False
    limit: int | None = None


def lines(state: State, question: Question) -> Iterator[dict[str, Any]]:
    """Yield the lines of the log that a question asks for, as documents with COLUMNS."""
    query = sa.select(LOG).where(*_conditions(question))
    query = query.order_by(LOG.c.id.desc() if question.newest_first else LOG.c.id).limit(question.limit)
    with state.reading() as connection:
        options = connection.execution_options(stream_results=True, yield_per=ROWS)
        for row in options.execute(query).mappings():
            yield _document(row)


def write_csv(documents: Iterator[Mapping[str, Any]], file: TextIO) -> int:
    """Write documents as CSV with a heading and return how many there were; lists are JSON in one cell."""
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    count = 0
    for document in documents:
        writer.writerow({name: _cell(value) for name, value in document.items()})
        count += 1
    return count


def write_ndjson(documents: Iterator[Mapping[str, Any]], file: TextIO) -> int:
    """Write documents as one JSON object a line and return how many there were."""
    count = 0
    for document in documents:
        file.write(json.dumps(document, ensure_ascii=False) + "\n")
        count += 1
    return count


def prune(state: State, oldest: float) -> int:
    """Delete the lines older than this moment, those of jobs that are no more, too; return how many there were."""
    with state.writing() as connection:
        every = sa.select(JOBS.c.name)  # so that the index serves, which begins with the job
        return connection.execute(sa.delete(LOG).where(LOG.c.job.in_(every), LOG.c.at < oldest)).rowcount


def _conditions(question: Question) -> list[sa.ColumnElement[bool]]:
    asked: list[sa.ColumnElement[bool]] = []
    for column, value in (
        (LOG.c.job, question.job),
        (LOG.c.status, question.status),
        (LOG.c.action, question.action),
        (LOG.c.code, question.code),
        (LOG.c.cycle, question.cycle),
    ):
        if value is not None:
            asked.append(column == value)
    if question.since is not None:
        asked.append(LOG.c.at >= question.since)
    if question.until is not None:
        asked.append(LOG.c.at < question.until)
    if question.user is not None:
        asked.append(sa.or_(LOG.c.source_key == question.user, LOG.c.target_id == question.user))
    return asked


def _document(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of the log
    return {
        "id": row["id"],
        "activityDateTime": datetime.fromtimestamp(row["at"], UTC).isoformat().replace("+00:00", "Z"),
        "jobId": row["job"],
        "cycleId": row["cycle"],
        "changeId": row["change_id"],
        "provisioningAction": row["action"],
        "status": row["status"],
        "sourceIdentity": row["source_key"],
        "targetIdentity": row["target_id"],
        "initiatedBy": row["initiated_by"],
        "durationInMilliseconds": row["duration_ms"],
        "errorCode": row["code"],
        "reason": row["reason"],
        "modifiedProperties": [
            {"displayName": one["path"], "oldValue": one["old"], "newValue": one["new"]}
            for one in json.loads(row["modified"])
        ],
        "provisioningSteps": json.loads(row["steps"]),
    }


def _cell(value: object) -> object:
    # A spreadsheet runs a cell that begins with one of these; an apostrophe makes it text.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value

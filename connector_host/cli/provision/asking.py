"""`provision status | log | links`: what the state knows."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_host.cli.provision.opening import chosen, resting, state_of, text_file
from connector_host.cli.speaking import config_option, json_option, print_json, print_table

if TYPE_CHECKING:
    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.state.records import JobState
    from connector_host.provisioning.state.store import State

FORMS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
"""How an export is written, by the end of its file's name."""

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.argument("jobs", nargs=-1)
@config_option
@json_option
def status(jobs: tuple[str, ...], config: Path, *, as_json: bool) -> None:
    """Show how jobs are: well, stopped, switched off, in quarantine, or unavailable; their last cycle, who failed."""
    with state_of(config) as (settings, state):
        documents = [_status(state, name, settings.jobs[name]) for name in chosen(settings, jobs)]
    if as_json:
        print_json(documents)
        return
    for document in documents:
        click.secho(str(document["job"]), bold=True)
        print_table(("", ""), [(name, str(value)) for name, value in document.items() if name != "job" and value != ""])


def _status(state: State, name: str, job: JobSettings) -> dict[str, Any]:
    import json

    from connector_host.provisioning.schedule import due_at

    where = state.job(name)
    failing = [one for one in state.due(name, float("inf"), "") if one.attempts]
    rest, due = resting(where), _moment(due_at(job, where) or None) or "as soon as an engine runs"
    last = json.loads(where.last_report) if where.last_report else {}
    return {
        "job": name,
        "condition": rest[0] if rest else _condition(where),
        "quarantine": f"{where.quarantine_code}: {where.quarantine_reason}" if where.quarantine_code else "",
        "unavailable since": _moment(where.unavailable_since),
        "next cycle": f"none until: {rest[1]}" if rest else due,
        "cycle under way or interrupted": where.open_kind or "",
        "last cycle": f"{last['kind']} {last['ending']} {last['detail']}".strip() if last else "none yet",
        "last counts": ", ".join(f"{count} {what}" for what, count in last.get("counts", {}).items()),
        **state.counts(name),
        "failing users": "; ".join(f"{one.source_key} {one.code} (tried {one.attempts} times)" for one in failing[:10]),
    }


def _condition(where: JobState) -> str:
    return "in quarantine" if where.quarantined_at else "unavailable" if where.unavailable_since else "well"


def _moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


@click.command()
@click.argument("job")
@click.option("--since", type=MOMENT, help="From this moment on (UTC).")
@click.option("--until", type=MOMENT, help="Before this moment (UTC).")
@click.option("--status", "outcome", type=click.Choice(["success", "failure", "skipped", "warning"]))
@click.option("--action", type=click.Choice(["create", "update", "disable", "delete", "stageddelete", "other"]))
@click.option("--user", help="A key of the source or an id of the target.")
@click.option("--code", help="An error code.")
@click.option("--cycle", type=int, help="The number of a cycle.")
@click.option("--limit", type=click.IntRange(1), help="No more lines than these.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "ndjson", "csv"]),
    help="Default: by the name of --output (.csv, .ndjson, .jsonl), else a table.",
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Export to this file.")
@config_option
def log(config: Path, job: str, *, form: str | None, output: Path | None, outcome: str | None, **asked: Any) -> None:  # noqa: ANN401 - what click read
    """Ask the provisioning log of JOB, newest first in a table, oldest first in an export.

    \b
    Examples:
      connector-host provision log staff --status failure
      connector-host provision log staff --since 2026-11-01 --output november.csv
    """
    from connector_host.provisioning.state import logbook

    for name in ("since", "until"):
        asked[name] = asked[name] and asked[name].replace(tzinfo=UTC).timestamp()
    form = _form_of(form, output)
    as_table = form == "table"
    if as_table and asked["limit"] is None:
        asked["limit"] = 50
    with state_of(config) as (settings, state):
        chosen(settings, (job,))
        found = logbook.lines(state, logbook.Question(job, status=outcome, newest_first=as_table, **asked))
        if as_table:
            rows = [_row(document) for document in found]
            print_table(("when", "action", "status", "source", "target", "what"), rows)
            return
        write = logbook.write_csv if form == "csv" else logbook.write_ndjson
        if output is None:
            write(found, sys.stdout)
            return
        with text_file(output) as file:
            count = write(found, file)
        click.echo(f"{count} lines written to {output}")


def _form_of(form: str | None, output: Path | None) -> str:
    """Return the form that is asked for, by the file's name where nothing else says it; a file has no table."""
    if output is None:
        return form or "table"
    form = form or FORMS.get(output.suffix.lower())
    if form in (None, "table"):
        raise click.UsageError(f"{output.name} can be written as CSV or NDJSON: give --format csv or --format ndjson.")
    return form


def _row(document: dict[str, Any]) -> tuple[str, ...]:
    changed = ", ".join(part["displayName"] for part in document["modifiedProperties"])
    what = f"{document['errorCode']}: {document['reason']}" if document["reason"] else changed
    return (
        document["activityDateTime"][:19],
        document["provisioningAction"],
        document["status"],
        document["sourceIdentity"],
        document["targetIdentity"] or "",
        what,
    )


@click.command()
@click.argument("job")
@click.option("--forget", "keys", multiple=True, metavar="KEY", help="Drop the link of this user: it is matched again.")
@config_option
@json_option
def links(job: str, keys: tuple[str, ...], config: Path, *, as_json: bool) -> None:
    """Show which user of the target belongs to which user of the source, or forget some of that."""
    from connector_host.provisioning.state.leading import lead

    with state_of(config) as (settings, state):
        chosen(settings, (job,))
        if keys:
            with lead(state, job):
                dropped = state.unlink(job, keys)
            click.echo(f"{dropped} of {len(keys)} had a link; the next cycle of {job} looks at all of them")
            return
        rows = [
            (one.source_key, one.target_id, "enabled" if one.enabled else "disabled") for one in state.all_links(job)
        ]
    if as_json:
        print_json([{"source": key, "target": target, "state": condition} for key, target, condition in rows])
    else:
        print_table(("source", "target", "state"), rows)

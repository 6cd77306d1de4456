"""`provision check | run | dry-run | user`: what talks to sources and targets."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector_host.cli.provision.opening import chosen, state_of, text_file
from connector_host.cli.speaking import (
    config_option,
    findings_document,
    json_option,
    print_findings,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from connector_host.errors import Finding
    from connector_host.provisioning.engine import Engine
    from connector_host.provisioning.reports import Report

ROWS_SHOWN = 40
"""Changes that a dry run prints; the file has them all."""


@click.command()
@click.argument("jobs", nargs=-1)
@config_option
@json_option
def check(jobs: tuple[str, ...], config: Path, *, as_json: bool) -> None:
    """Check jobs: mappings, scope, source, credentials, and the target by the cloud's own probe.

    Nothing is changed. Exits with 1 if a job could not run.
    """
    from connector_host.errors import failures
    from connector_host.provisioning.checking import check_job
    from connector_host.provisioning.settings import load

    settings = load(config)

    async def everything() -> dict[str, list[Finding]]:
        return {name: await check_job(settings.jobs[name]) for name in chosen(settings, jobs)}

    sections = asyncio.run(everything())
    if as_json:
        print_json(findings_document(sections))
    else:
        print_findings(sections)
    raise SystemExit(1 if any(failures(findings) for findings in sections.values()) else 0)


@click.command()
@click.argument("jobs", nargs=-1)
@click.option("--once", is_flag=True, help="One cycle of each job now, users who failed before included; then exit.")
@config_option
@json_option
def run(jobs: tuple[str, ...], config: Path, *, once: bool, as_json: bool) -> None:
    """Run jobs by their schedules until told to stop, or once.

    SIGTERM or Ctrl-C finishes the users in hand and stops; the next run goes on there. `provision reload`, or SIGHUP,
    has it read the configuration again: cycles that begin later use it, jobs come and go.
    With --once, exits with 1 unless every cycle finished, and with 2 if one finished but users failed.
    """
    from connector_host.observability import logs
    from connector_host.provisioning.engine import Engine

    logs.configure("auto", "warning" if once else "info")
    with state_of(config) as (settings, state):
        names = chosen(settings, jobs)
        engine = Engine(settings, state)
        if not once:
            asyncio.run(_until_told(engine, jobs, config))
            return
        reports, refused = asyncio.run(_once(engine, names))
    if as_json:
        print_json([report.document() for report in reports])
    else:
        for report in reports:
            click.echo(summary(report))
    for line in refused:
        click.echo(line, err=True)
    raise SystemExit(1 if refused else exit_code(reports))


async def _until_told(engine: Engine, names: tuple[str, ...], config: Path) -> None:
    _listen(engine)
    async with asyncio.TaskGroup() as group:
        reloading = group.create_task(_reloading(engine, config))
        await engine.serve(names or None)
        reloading.cancel()


async def _reloading(engine: Engine, config: Path) -> None:
    """Read the configuration again for each SIGHUP, which Windows has not, and for each `provision reload`."""
    from connector_host.provisioning.reloading import reload_when_asked

    hung_up = asyncio.Event()
    if (number := getattr(signal, "SIGHUP", None)) is not None:
        asyncio.get_running_loop().add_signal_handler(number, hung_up.set)
    await reload_when_asked(engine, config, hung_up)


def _listen(engine: Engine) -> None:
    """Let Ctrl-C and SIGTERM stop the engine; Windows has no handlers in the loop, so the plain ones wake it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(engine.stop.set))


async def _once(engine: Engine, names: list[str]) -> tuple[list[Report], list[str]]:
    """Run one cycle of each job; returns the reports, and why the other jobs could not begin."""
    from connector_host.cli.provision.progress import bar, foreseen
    from connector_host.errors import HostError
    from connector_host.provisioning.cycles import Options

    _listen(engine)
    reports, refused = [], []
    for name in names:
        if engine.stop.is_set():
            break
        try:
            ahead = await foreseen(engine.state.job(name), engine.settings.jobs[name])
            with bar(name, ahead) as engine.on_progress:
                reports.append(await engine.run_once(name, Options(patient=False, initiated_by="administrator")))
        except HostError as failure:
            refused.append(f"{name}: {failure}")
    return reports, refused


@click.command("dry-run")
@click.argument("job")
@click.option(
    "--report",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every change here, one JSON object a line.",
)
@config_option
@json_option
def dry_run(job: str, file: Path | None, config: Path, *, as_json: bool) -> None:
    """Show what the next cycle of JOB would change, and why, without writing anything.

    Exits with 1 unless the cycle could be shown to its end, and with 2 if users would fail.
    """
    from connector_host.provisioning.engine import Engine

    with state_of(config) as (settings, state):
        chosen(settings, (job,))
        report = asyncio.run(_rehearsed(Engine(settings, state), job))
    if file is not None:
        with text_file(file) as lines:
            for one in report.planned:
                lines.write(json.dumps(asdict(one), ensure_ascii=False, default=str) + "\n")
    if as_json:
        print_json(report.document())
    else:
        _show_plan(report)
    raise SystemExit(exit_code([report]))


async def _rehearsed(engine: Engine, job: str) -> Report:
    from connector_host.cli.provision.progress import bar, foreseen
    from connector_host.provisioning.cycles import Options

    ahead = await foreseen(engine.state.job(job), engine.settings.jobs[job])
    with bar(job, ahead) as engine.on_progress:
        return await engine.run_once(job, Options(dry=True, patient=False))


def _show_plan(report: Report) -> None:
    click.echo(summary(report))
    rows = [
        (
            one.action.value,
            one.source_key,
            one.target_id or "",
            ", ".join(part.path for part in one.modified),
            one.reason,
        )
        for one in islice(report.planned, ROWS_SHOWN)
    ]
    if rows:
        print_table(("action", "source", "target", "attributes", "why"), rows)
    if len(report.planned) > ROWS_SHOWN:
        click.echo(f"  … and {len(report.planned) - ROWS_SHOWN} more: --report FILE has them all")


@click.command()
@click.argument("job")
@click.argument("key")
@click.option("--dry-run", "dry", is_flag=True, help="Show what would happen, and write nothing.")
@config_option
@json_option
def user(job: str, key: str, config: Path, *, dry: bool, as_json: bool) -> None:
    """Provision one user of JOB now, by its KEY in the source, and show the five steps."""
    from connector_host.provisioning import on_demand
    from connector_host.provisioning.opening import opened

    with state_of(config) as (settings, state):
        chosen(settings, (job,))

        async def one() -> on_demand.Shown:
            async with opened(job, settings.jobs[job]) as ready:
                return await on_demand.provision(ready, state, key, dry=dry)

        shown = asyncio.run(one())
    if as_json:
        print_json(asdict(shown))
    else:
        print_table(("step", "", "what"), [(step.name, step.status.value, step.detail) for step in shown.steps])
        for part in shown.modified:
            click.echo(f"    {part.path}: {_as_json(part.old)} → {_as_json(part.new)}")
    raise SystemExit(0 if shown.succeeded else 1)


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def summary(report: Report) -> str:
    """Return one cycle in one line."""
    counts = ", ".join(f"{number} {name}" for name, number in sorted(report.counts.items()) if number)
    rate = report.counts["read"] / report.seconds if report.seconds else 0
    detail = f" ({report.detail})" if report.detail else ""
    held_back = f"\n  the next cycle would hold back: {report.held_back}" if report.held_back else ""
    mode = "dry run of " if report.dry else ""
    return (
        f"{report.job}: {mode}{report.kind.value} cycle {report.cycle} {report.ending.value}{detail} "
        f"in {report.seconds:.1f} s, {rate:.0f} users/s: {counts or 'no users'}{held_back}"
    )


def exit_code(reports: list[Report]) -> int:
    """Return what a script learns: 0 all well, 1 a cycle did not finish, 2 users failed."""
    if any(report.ending.value != "finished" for report in reports):
        return 1
    return 2 if any(report.failures for report in reports) else 0

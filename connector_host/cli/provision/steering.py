"""`provision start | stop | restart | reload | allow-deletes`: what tells a running engine, through the state."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import click

from connector_host.cli.provision.opening import chosen, resting, state_of
from connector_host.cli.speaking import config_option, fail

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.provisioning.state.store import State

PATIENCE_S = 30.0
"""How long engines, which look once a second, are given to take a file over."""

SCOPES = ("None", "ConnectorDataStore", "Escrows", "Watermark", "QuarantineState", "Full", "ForceDeletes")


@click.command()
@click.argument("job")
@config_option
def stop(job: str, config: Path) -> None:
    """Stop JOB: the users in hand are finished, and no cycle is run until it is started again."""
    with state_of(config) as (settings, state):
        chosen(settings, (job,))
        state.job(job)
        state.set_job(job, stopped=True)
    click.echo(f"{job} is stopped; to go on: connector-host provision start {job}")


@click.command()
@click.argument("job")
@config_option
def start(job: str, config: Path) -> None:
    """Start JOB after it was stopped or switched off: its next cycle goes on where the last one was, and is due now."""
    with state_of(config) as (settings, state):
        chosen(settings, (job,))
        state.job(job)
        state.set_job(job, stopped=False, switched_off=False, next_run=None)
    click.echo(f"{job} runs at once where an engine is up, else with: connector-host provision run {job}")


@click.command()
@click.argument("job")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="What to forget; several may be given. Default: QuarantineState, Watermark and Escrows, which keeps links.",
)
@config_option
def restart(job: str, scopes: tuple[str, ...], config: Path) -> None:
    """Make JOB forget and begin again. No cycle of it may be under way; a stopped job stays so until it is started.

    \b
    None                nothing: run the next cycle now
    ConnectorDataStore  who belongs to whom: everybody is matched again
    Escrows             who failed: all are tried again now
    Watermark           the mark: everybody is read and compared with the target
    QuarantineState     the quarantine
    Full                all of these
    ForceDeletes        nothing; staged deletes are allowed
    """
    from connector_host.provisioning import notices, restarting
    from connector_host.provisioning.state.leading import lead

    wanted = [restarting.RestartScope(name) for name in scopes] or list(restarting.USUAL)
    with state_of(config) as (settings, state):
        chosen(settings, (job,))
        with lead(state, job):
            before = state.job(job)
            restarting.restart(state, job, wanted)
            if before.quarantined_at is not None and state.job(job).quarantined_at is None:
                # Whoever was told of the quarantine hears of its end, which no cycle will tell.
                over = notices.Notice("recovered", "The job is out of quarantine: an administrator has restarted it.")
                asyncio.run(notices.tell(job, settings.jobs[job].notify, over))
            when = _when(state, job)
    click.echo(f"{job}: {', '.join(scope.value for scope in wanted)}; {when}")


@click.command("allow-deletes")
@click.argument("job")
@config_option
def allow_deletes(job: str, config: Path) -> None:
    """Allow the disables and deletes of JOB that its threshold holds back: the next cycle, due now, does them.

    No cycle of it may be under way, since that stages them anew.
    """
    from connector_host.provisioning import restarting
    from connector_host.provisioning.state.leading import lead

    with state_of(config) as (settings, state):
        chosen(settings, (job,))
        with lead(state, job):
            waiting = state.counts(job)["staged"]
            restarting.restart(state, job, [restarting.RestartScope.FORCE_DELETES])
            when = _when(state, job)
    click.echo(f"{job}: {waiting} staged disables and deletes are allowed; {when}")


@click.command()
@config_option
def reload(config: Path) -> None:
    """Check the jobs, let the running engine take them over, and say whether it did.

    Cycles that begin later use what is new, jobs come and go; a file with a mistake changes nothing, and the exit code
    is 1. Each engine that shares the state reads its own file, and its log says what came of it.
    """
    from connector_host.provisioning.reloading import judged
    from connector_host.provisioning.state import reloads

    jobs = len(judged(config).jobs)
    with state_of(config) as (_, state):
        number, deadline = reloads.ask(state), time.monotonic() + PATIENCE_S
        while (told := reloads.answered(state, number)) is None:
            if time.monotonic() > deadline:
                fail("No engine has answered: where none runs, there is nothing to reload; else see its log.")
            time.sleep(0.1)
    if told.refused is not None:
        fail(f"An engine has not taken the configuration over: {told.refused}")
    click.echo(f"The running engine has taken over the configuration; jobs: {jobs}.")


def _when(state: State, job: str) -> str:
    """Return when the next cycle is, now that a job was told something."""
    rest = resting(state.job(job))
    return f"it is {rest[0]}, and stays so until: {rest[1]}" if rest else "the next cycle is due now"

"""`provision start | stop | restart | allow-deletes`: what tells a running engine, through the state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from connector_host.cli.provision.opening import chosen, resting, state_of
from connector_host.cli.speaking import config_option

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.provisioning.state.store import State

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


def _when(state: State, job: str) -> str:
    """Return when the next cycle is, now that a job was told something."""
    rest = resting(state.job(job))
    return f"it is {rest[0]}, and stays so until: {rest[1]}" if rest else "the next cycle is due now"

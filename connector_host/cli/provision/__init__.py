"""`connector-host provision …`: where no cloud directory drives the host. No logic of its own."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click

from connector_host.cli.provision.asking import links, log, status
from connector_host.cli.provision.expressions import expression
from connector_host.cli.provision.new import new
from connector_host.cli.provision.running import check, dry_run, run, user
from connector_host.cli.provision.steering import allow_deletes, reload, restart, start, stop

LIBRARIES = ("alembic", "croniter", "lark", "regex", "rich")
"""What the extra `provisioning` brings; the host alone does without."""


@click.group()
def provision() -> None:
    """Keep a SCIM target in step with a source, by jobs.

    \b
    First time:
      connector-host provision new JOB         describe a job; it is checked, and saved if nothing is wrong
      connector-host provision check           are credentials, mappings and scope right?
      connector-host provision dry-run JOB     what would change, and why
      connector-host provision run --once      one cycle of every job
    Then:
      connector-host provision run             every job by its schedule, until told to stop
      connector-host provision status          how the jobs are
    """
    if missing := [name for name in LIBRARIES if find_spec(name) is None]:
        text = f"{', '.join(missing)} is not installed: {sys.executable} -m pip install {' '.join(missing)}"
        raise click.ClickException(text)


OF_JOBS = (new, check, dry_run, run, user, status, log, links, expression)
for command in (*OF_JOBS, start, stop, restart, reload, allow_deletes):
    provision.add_command(command)

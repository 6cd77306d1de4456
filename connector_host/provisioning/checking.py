"""A job looked at before it runs: everything that an administrator can get wrong, and what to do about each."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError, Finding, HostError, Level
from connector_host.provisioning.errors import CredentialsRefused, SourceFailed, TargetError
from connector_host.provisioning.mappings import compile_mappings, matching
from connector_host.provisioning.scoping import check_scope, check_switches
from connector_host.provisioning.sources.opening import open_source
from connector_host.provisioning.targets import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.provisioning.expressions.signatures import Kind
    from connector_host.provisioning.settings import JobSettings


async def check_job(name: str, job: JobSettings) -> list[Finding]:
    """Return what is so with source, mappings, scope, credentials, target and notices of a job."""
    del name
    source, attributes = await _source(job)
    return [*source, *_plan(job, attributes), *await _target(job), *_notices(job)]


async def _source(job: JobSettings) -> tuple[list[Finding], Mapping[str, Kind] | None]:
    try:
        source = open_source(job.source)
        try:
            attributes = await source.attributes()
            first = None
            async with aclosing(source.read(None)) as batches:
                first = next(iter((await anext(batches)).users), None)
        finally:
            await source.close()
    except (SourceFailed, ConfigurationError) as failure:
        mend = "Look at the source's address, login and key in the configuration."
        return [Finding(Level.FAILURE, "source", str(failure), mend)], None
    if first is None:
        mend = "A source without users never deletes or disables anybody by itself."
        return [Finding(Level.WARNING, "source", "has no users.", mend)], attributes
    known = f" Attributes: {', '.join(sorted(attributes))}." if attributes else ""
    return [Finding(Level.OK, "source", f"can be read.{known}")], attributes


def _plan(job: JobSettings, attributes: Mapping[str, Kind] | None) -> list[Finding]:
    findings = []
    for subject, judge in (
        ("mappings", lambda: compile_mappings(job, attributes)),
        ("scope", lambda: check_scope(job.scope, attributes)),
        ("switches", lambda: check_switches(job, attributes)),
    ):
        try:
            judge()
        except ConfigurationError as failure:
            findings += [
                Finding(Level.FAILURE, subject, line, "Mend it in the job.") for line in str(failure).splitlines()
            ]
        else:
            findings.append(Finding(Level.OK, subject, "fit the source."))
    return findings


async def _target(job: JobSettings) -> list[Finding]:
    """Send the probe that the cloud sends: a user who cannot exist, by the first matching attribute."""
    try:
        flows = matching(compile_mappings(job))
        async with Target(job.target) as target:
            await target.probe(flows[0].path.text)
    except CredentialsRefused as failure:
        return [Finding(Level.FAILURE, "credentials", f"{failure}.", "Make a new token: connector-host token new.")]
    except TargetError as failure:
        mend = "Look at the tenant URL, and at `trust` where the certificate is the reason."
        return [Finding(Level.FAILURE, "target", f"{failure.code}: {failure}.", mend)]
    except HostError as failure:
        return [Finding(Level.FAILURE, "target", str(failure), "Mend it in the job.")]
    return [Finding(Level.OK, "target", "accepts the token and answers the probe with an empty list.")]


def _notices(job: JobSettings) -> list[Finding]:
    if job.notify.webhook is None and job.notify.email is None:
        mend = "Give `notify.email` or `notify.webhook`."
        return [Finding(Level.WARNING, "notices", "nobody is told when the job is quarantined.", mend)]
    return [Finding(Level.OK, "notices", "somebody is told.")]

"""Looking at a job before it runs: everything that an administrator can get wrong, and what to do about each."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from connector_host.errors import ConfigurationError, Finding, HostError, Level
from connector_host.provisioning.errors import CredentialsRefused, SourceFailed, TargetError
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.fitting import fit
from connector_host.provisioning.mappings import Flow, compile_mappings, matching
from connector_host.provisioning.reaching import check_notices
from connector_host.provisioning.scoping import check_scope, check_switches, doubt_of, unusable
from connector_host.provisioning.secrets import revealed
from connector_host.provisioning.settings import LdapSettings
from connector_host.provisioning.sources.opening import open_source
from connector_host.provisioning.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from connector_host.provisioning.settings import JobSettings, SourceSettings
    from connector_host.provisioning.sources.contract import SourceUser
    from connector_host.provisioning.values import Value

STORED_BYTES_MAX: Final = 1_024
"""What Microsoft's service keeps of URL, token and address together (Microsoft: storage limit)."""

KEYS_LOOKED_AT: Final = 10_000
"""Users up to whom keys are compared …"""
NEAR: Final = frozenset({"csv", "ndjson", "sql"})
"""… of sources that are read in no time; of others the first ones."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the source found."""

    attributes: Mapping[str, Kind] | None = None
    """All that it has; None where only its users tell."""
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """What is known of some of them, by the source itself and by its first users."""
    seen: tuple[str, ...] = ()
    """The attributes of its first users."""
    users: tuple[SourceUser, ...] = ()
    """Its first users."""
    keys: Mapping[str, int] = field(default_factory=dict)
    """How many of its first users have a key; more of them where reading costs little."""
    flaws: tuple[str, ...] = ()
    """Why records among its first users cannot be read."""


async def check_job(job: JobSettings) -> list[Finding]:
    """Return what is so with source, mappings, scope, credentials, target and notices of a job."""
    looked, findings = Looked(), []
    try:
        looked = await look(job.source)
        findings += [*_source(looked), *_shared_keys(job.source, looked.keys)]
    except SourceFailed as failure:
        findings.append(Finding(Level.FAILURE, "source", str(failure), failure.mend))
    except ConfigurationError as failure:
        findings.append(Finding(Level.FAILURE, "source", str(failure), "Mend it in the job."))
    findings += [*_in_the_clear(job.source), *_plan(job, looked)]
    findings += await _target(job, looked.kinds)
    return [*findings, *_stored(job), *await check_notices(job.notify)]


async def look(settings: SourceSettings) -> Looked:
    """Return what the source has, by its own word and by its first users; raises SourceFailed, ConfigurationError."""
    source = open_source(settings)
    try:
        attributes, kinds = await source.attributes(), await source.kinds()
        async with aclosing(source.read(None)) as batches:
            users = (await anext(batches)).users
            keys = Counter(user.key for user in users if user.key)
            while settings.type in NEAR and keys.total() < KEYS_LOOKED_AT and (batch := await anext(batches, None)):
                keys.update(user.key for user in batch.users if user.key)
    finally:
        await source.close()
    flaws = tuple(user.flaw for user in users if user.flaw)
    users = tuple(user for user in users if not user.flaw)
    observed = _observed(users)
    seen = tuple(dict.fromkeys(name for user in users for name in user.values))
    known = {name: kind for name, kind in kinds.items() if attributes is not None or name in observed or name in seen}
    several = {name: kind for name, kind in observed.items() if kind is Kind.MANY}
    return Looked(attributes, {**observed, **known, **several}, seen, users, keys, flaws)


def _observed(users: Iterable[SourceUser]) -> dict[str, Kind]:
    """Return the kinds of the values that the first users have; an attribute whose values differ in kind is absent."""
    kinds: dict[str, set[Kind]] = {}
    for user in users:
        for name, value in user.values.items():
            if value is not None:
                kinds.setdefault(name, set()).add(_kind(value))
    return {
        name: Kind.MANY if Kind.MANY in found else next(iter(found))
        for name, found in kinds.items()
        if len(found) == 1 or Kind.MANY in found
    }


def _kind(value: Value) -> Kind:
    match value:
        case tuple():
            return Kind.MANY
        case bool():
            return Kind.TRUTH
        case str():
            return Kind.TEXT
        case datetime():
            return Kind.DATE
        case _:
            return Kind.NUMBER


def _source(looked: Looked) -> list[Finding]:
    if looked.flaws:
        first = len(looked.users) + len(looked.flaws)
        fact = f"{len(looked.flaws)} of the first {first} records cannot be read: {looked.flaws[0]}"
        mend = "Mend them: each fails, and while nobody can tell a record's key, nobody is taken for gone."
        return [Finding(Level.WARNING if looked.users else Level.FAILURE, "source", fact, mend), *_readable(looked)]
    return _readable(looked)


def _readable(looked: Looked) -> list[Finding]:
    if not looked.users:
        mend = "A source without users never deletes or disables anybody by itself."
        return [Finding(Level.WARNING, "source", "has no users.", mend)]
    names = sorted(looked.seen if looked.attributes is None else looked.attributes)
    known = f" Attributes: {', '.join(names)}." if names else ""
    rejected = {name: unusable(name, looked.kinds.get(name, Kind.ANY)) for name in names}
    listed = "; ".join(f"{name} ({reason})" for name, reason in rejected.items() if reason)
    findings = [Finding(Level.OK, "source", f"can be read.{known}")]
    return [*findings, Finding(Level.OK, "no scope by", f"{listed}.")] if listed else findings


def _shared_keys(source: SourceSettings, keys: Mapping[str, int]) -> list[Finding]:
    sharing = sum(number for number in keys.values() if number > 1)
    if not sharing or source.type == "graph":  # which may say twice what has changed while it was asked
        return []
    fact = f"{sharing} of the first {sum(keys.values())} users share their {source.key} with another one."
    mend = "Name a key that is another one for each user: of those who share it, only one is provisioned."
    return [Finding(Level.WARNING, "key", fact, mend)]


def _in_the_clear(source: SourceSettings) -> list[Finding]:
    if not (isinstance(source, LdapSettings) and source.reads_in_the_clear):
        return []
    fact = "users come unencrypted over ldap://: whoever is between can read them, and make users up."
    return [Finding(Level.WARNING, "source", fact, "Write ldaps://, or add start_tls = true.")]


def _plan(job: JobSettings, looked: Looked) -> list[Finding]:
    findings = []
    for subject, judge in (
        ("mappings", lambda: compile_mappings(job, looked.attributes)),
        ("scope", lambda: check_scope(job.scope, looked.attributes, looked.kinds)),
        ("switches", lambda: check_switches(job, looked.attributes)),
    ):
        try:
            judge()
        except ConfigurationError as failure:
            findings += [
                Finding(Level.FAILURE, subject, line, "Mend it in the job.") for line in str(failure).splitlines()
            ]
        else:
            findings.append(Finding(Level.OK, subject, "fit the source."))
    return [*findings, *_doubts(job, looked.users)]


def _doubts(job: JobSettings, users: Sequence[SourceUser]) -> list[Finding]:
    """Tell of users of whom the source does not say whether they are enabled: no cycle does anything for them."""
    doubtful = [user.key for user in users if doubt_of(job, user.values)]
    if not doubtful:
        return []
    level = Level.FAILURE if len(doubtful) == len(users) else Level.WARNING
    fact = (
        f"{job.enabled_attribute} is empty or neither true nor false for {len(doubtful)} of the first {len(users)}"
        f" users, such as {doubtful[0]}: they are skipped."
    )
    mend = "Write true or false (1 or 0) there, or choose by a scope in place of enabled_attribute."
    return [Finding(level, "enabled_attribute", fact, mend)]


async def _target(job: JobSettings, kinds: Mapping[str, Kind]) -> list[Finding]:
    """Send the probe that the cloud sends, a user who cannot exist, and lay the mappings beside the schemas."""
    try:
        flows = compile_mappings(job)
    except HostError:
        flows = ()  # said already, by _plan
    try:
        async with Target(job.target) as target:
            await target.probe(matching(flows)[0].path.text if flows else "userName")
            answers = [Finding(Level.OK, "target", "accepts the token and answers the probe with an empty list.")]
            return [*answers, *await _schema(target, flows, job, kinds)]
    except CredentialsRefused as failure:
        return [Finding(Level.FAILURE, "credentials", f"{failure}.", "Make a new token: connector-host token new.")]
    except TargetError as failure:
        mend = "Look at the tenant URL, and at `trust` where the certificate is the reason."
        return [Finding(Level.FAILURE, "target", f"{failure.code}: {failure}.", mend)]
    except HostError as failure:
        return [Finding(Level.FAILURE, "target", str(failure), "Mend it in the job.")]


async def _schema(
    target: Target, flows: tuple[Flow, ...], job: JobSettings, kinds: Mapping[str, Kind]
) -> list[Finding]:
    schema = await target.schemas()
    if schema is None:
        mend = "Look yourself whether it has what is mapped: what it doesn't know it may pass over without a word."
        return [Finding(Level.WARNING, "target schema", "the target has no /Schemas.", mend)]
    return fit(flows, job, schema, kinds) if flows else []


def _stored(job: JobSettings) -> list[Finding]:
    """Warn of what Microsoft's service could not save; this one could."""
    try:
        token = revealed(job.target.token, job.target.token_file, "token_file") or ""
    except ConfigurationError:
        return []  # said already, by _target
    size = sum(len(text.encode()) for text in (job.target.url, token, job.notify.email or ""))
    if size <= STORED_BYTES_MAX:
        return []
    fact = f"URL, token and address have {size} bytes; Microsoft's service stores {STORED_BYTES_MAX}."
    mend = "Only where the same target is to be driven from there: make a shorter token."
    return [Finding(Level.WARNING, "credentials", fact, mend)]

"""What is to be done for one user: scope, match, compare; reads the target and writes nothing.

SourceUser + Link ──scope──▶ wanted? ──match──▶ who? ──compare──▶ Create | Update | Stage | Leave
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from connector_host.provisioning import mappings, scoping
from connector_host.provisioning.errors import Refused
from connector_host.provisioning.expressions import Candidates
from connector_host.provisioning.mappings import CLEAR, Desired, Flow
from connector_host.provisioning.resources import CORE_USER, Resource, parse_path, put, value_at
from connector_host.provisioning.sources.contract import Presence, SourceUser
from connector_host.provisioning.state.records import Action, Link, Modified, Status, Step
from connector_host.provisioning.values import is_empty

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.targets import Target

REDACTED = "[Redact]"


@dataclass(frozen=True, slots=True)
class Create:
    """The target doesn't have the user."""

    resource: Resource
    digests: Mapping[str, str]
    modified: tuple[Modified, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """The target has the user, but not as it is to be; without operations there is only a link to keep."""

    target_id: str
    operations: list[dict[str, Any]]
    digests: Mapping[str, str]
    modified: tuple[Modified, ...]
    linked_before: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """The user is to be disabled or deleted at the end of the cycle."""

    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is to be done."""

    reason: str
    in_scope: bool


Decision: TypeAlias = Create | Update | Stage | Leave


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides for the users of one job."""

    job: JobSettings
    flows: tuple[Flow, ...]
    salt: bytes
    target: Target
    link_of_target: Callable[[str], Awaitable[Link | None]]
    by_path: Mapping[str, Flow]
    claims: dict[str, str] = field(default_factory=dict)
    """Objects of the target that users of the batch in hand were given, before the state knows of it."""

    async def decide(self, user: SourceUser, link: Link | None, trace: list[Step], *, compare: bool) -> Decision:
        """Return what is to be done; `compare` looks at everything in the target, not only at what has changed.

        Raises Refused or ExpressionError where the user cannot be provisioned, and TargetError where nobody can.
        """
        if user.presence is Presence.GONE:
            return self._gone(link, trace)
        scoped = scoping.judge(self.job, user.values)
        if user.presence is Presence.SOFT_DELETED:
            scoped = scoping.Scoped(wanted=False, reason="the user is deleted in the source, for now")
        trace.append(Step("scope", Status.SUCCESS, scoped.reason or "the user is in scope"))
        if not scoped.wanted:
            return self._unwanted(scoped, link)
        values = user.values
        wanted = mappings.desired(self.flows, values, creating=False)
        fresh = mappings.digests(wanted, self.salt)
        if link is not None:
            changed = {path: value for path, value in wanted.items() if link.digests.get(path) != fresh[path]}
            if not changed and link.enabled and not compare:
                return Leave("nothing has changed", in_scope=True)
            current = await self.target.read(link.target_id)
            if current is not None:
                trace.append(Step("match", Status.SUCCESS, f"linked to {link.target_id}"))
                enable = compare or not link.enabled
                return self._compared(current, wanted if compare else changed, fresh, linked=True, enable=enable)
            trace.append(Step("match", Status.WARNING, "the linked user is gone from the target; matching again"))
        current = await self._matched(user, values, trace)
        if current is not None:
            return self._compared(current, wanted, fresh, linked=False, enable=True)
        return await self._created(values, fresh)

    def disabling(self) -> list[dict[str, Any]]:
        """Return the operations that disable a user."""
        return [{"op": "replace", "path": self.job.disable.path, "value": self.job.disable.value}]

    def _gone(self, link: Link | None, trace: list[Step]) -> Decision:
        trace.append(Step("scope", Status.SUCCESS, "the user is gone from the source"))
        if link is None:
            return Leave("the user is gone from the source, and was never provisioned", in_scope=False)
        return self._staged(Action.DELETE, "the user is gone from the source")

    def _unwanted(self, scoped: scoping.Scoped, link: Link | None) -> Decision:
        if link is None:
            return Leave(scoped.reason, in_scope=False)
        if scoped.leaves and self.job.out_of_scope == "leave":
            return Leave(f"{scoped.reason}, and is left as it is", in_scope=False)
        if not link.enabled:
            return Leave(f"{scoped.reason}, and is disabled already", in_scope=False)
        # Without a way to disable, the documented behaviour is to delete (Microsoft: how provisioning works).
        return self._staged(Action.DISABLE if self.job.disable.path else Action.DELETE, scoped.reason)

    def _staged(self, action: Action, reason: str) -> Decision:
        allowed = self.job.actions.delete if action is Action.DELETE else self.job.actions.update
        return Stage(action, reason) if allowed else Leave(f"{reason}, but the job may not {action}", in_scope=False)

    async def _matched(self, user: SourceUser, values: Mapping[str, Any], trace: list[Step]) -> Resource | None:
        """Return the one user of the target that the first matching attribute with a hit finds."""
        asked = []
        for flow in mappings.matching(self.flows):
            value = flow.value(values)
            if isinstance(value, Candidates | tuple) or is_empty(value):
                continue
            asked.append(flow.path.text)
            found = await self.target.find(flow.path.text, mappings.to_json(value))
            if len(found) > 1:
                raise Refused("DuplicateTargetEntries", f"{len(found)} users of the target have this {flow.path.text}")
            if found:
                await self._unclaimed(found[0], user)
                trace.append(Step("match", Status.SUCCESS, f"found by {flow.path.text}"))
                return found[0]
        if not asked:
            raise Refused("MissingValues", "none of the matching attributes has a value")
        trace.append(Step("match", Status.SUCCESS, f"not in the target, by {', '.join(asked)}"))
        return None

    async def _unclaimed(self, found: Resource, user: SourceUser) -> None:
        """Refuse a user of the target that another user of the source has, or has just been given."""
        target_id = str(found.get("id"))
        other = await self.link_of_target(target_id)
        owner = self.claims.setdefault(target_id, user.key) if other is None else other.source_key
        if owner != user.key:
            raise Refused("DuplicateSourceEntries", "another user of the source has this user of the target already")

    def _compared(
        self, current: Resource, wanted: Mapping[str, Desired], fresh: Mapping[str, str], *, linked: bool, enable: bool
    ) -> Decision:
        operations, modified = [], []
        for path, value in wanted.items():
            flow = self.by_path[path]
            old = value_at(current, flow.path)
            if not mappings.same(value, old):
                operations.append(_operation(flow, value, old))
                modified.append(self._modified(flow, old, value))
        if enable and self.job.disable.path:
            switch = parse_path(self.job.disable.path)
            old = value_at(current, switch)
            if not mappings.same(not self.job.disable.value, old):
                operations.append({"op": "replace", "path": switch.text, "value": not self.job.disable.value})
                modified.append(Modified(switch.text, old, not self.job.disable.value))
        if operations and not self.job.actions.update:
            return Leave("the user has changed, but the job may not update", in_scope=True)
        return Update(str(current.get("id")), operations, fresh, tuple(modified), linked)

    async def _created(self, values: Mapping[str, Any], fresh: Mapping[str, str]) -> Decision:
        if not self.job.actions.create:
            return Leave("the user is not in the target, and the job may not create", in_scope=True)
        resource: Resource = {"schemas": [CORE_USER], "meta": {"resourceType": "User"}}
        modified = []
        for text, value in mappings.desired(self.flows, values, creating=True).items():
            flow = self.by_path[text]
            chosen = (
                await self._chosen(flow, value) if isinstance(value, Candidates) else mappings.shaped(flow.path, value)
            )
            put(resource, flow.path, chosen)
            if flow.path.schema and flow.path.schema not in resource["schemas"]:
                resource["schemas"].append(flow.path.schema)
            modified.append(self._modified(flow, None, chosen))
        if self.job.disable.path:
            path = parse_path(self.job.disable.path)
            put(resource, path, not self.job.disable.value)
            modified.append(Modified(path.text, None, not self.job.disable.value))
        return Create(resource, fresh, tuple(modified))

    async def _chosen(self, flow: Flow, candidates: Candidates) -> str:
        """Return the first candidate that no user of the target has (SelectUniqueValue)."""
        for value in candidates.values:
            if not await self.target.find(flow.path.text, value):
                return value
        raise Refused("EntryConflict", f"every value that SelectUniqueValue offers for {flow.path.text} is taken")

    def _modified(self, flow: Flow, old: Any, new: Desired) -> Modified:  # noqa: ANN401 - JSON
        if flow.redacted or self.job.redact_log:
            return Modified(flow.path.text, None if old is None else REDACTED, None if new is CLEAR else REDACTED)
        return Modified(flow.path.text, old, mappings.to_json(new))


def judge(
    job: JobSettings,
    flows: tuple[Flow, ...],
    salt: bytes,
    target: Target,
    link_of_target: Callable[[str], Awaitable[Link | None]],
) -> Judge:
    """Return who decides for the users of this job."""
    return Judge(job, flows, salt, target, link_of_target, {flow.path.text: flow for flow in flows})


def _operation(flow: Flow, value: Desired, old: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return one operation of a PATCH (RFC 7644 §3.5.2)."""
    if value is CLEAR:
        return {"op": "remove", "path": flow.path.text}
    # `replace` under a filter that nothing matches is an error (noTarget); `add` makes the element.
    op = "add" if old is None or flow.adds else "replace"
    return {"op": op, "path": flow.path.text, "value": mappings.shaped(flow.path, value)}

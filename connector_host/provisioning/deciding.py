"""What is to be done for one user: scope, match, compare; reads the target and writes nothing.

SourceUser + Link ──scope──▶ wanted? ──match──▶ who? ──compare──▶ Create | Update | Stage | Leave
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from connector_host.provisioning import mappings, scoping
from connector_host.provisioning.errors import ExpressionError, Refused
from connector_host.provisioning.expressions import Candidates
from connector_host.provisioning.mappings import CLEAR, Desired, Flow
from connector_host.provisioning.resources import CORE_USER, Resource, parse_path, put, value_at
from connector_host.provisioning.sources.contract import Presence, SourceUser
from connector_host.provisioning.state.records import Action, Link, Modified, Status, Step
from connector_host.provisioning.switches import Switch, remembered, switch_of
from connector_host.provisioning.values import is_empty

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from connector_host.provisioning.settings import JobSettings
    from connector_host.provisioning.targets import Target

REDACTED = "[Redact]"

EXACT = frozenset({"externalid", "id"})
"""Attributes whose case counts (RFC 7643 §3.1); two users whose values differ by case alone are kept apart."""

OBJECT = "object"
"""Stands for a path where an object of the target is claimed; no path is without a place for a value."""


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
    enabled: bool = True
    """Whether the user is enabled then; it may not be where the job may not update."""
    left: Link | None = None
    """The link of who had the user of the target, and is gone from the source; None where nobody had it."""


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
    is_gone: Callable[[Link], Awaitable[bool]]
    """Whether the source surely has the user of a link no more."""
    by_path: Mapping[str, Flow]
    claims: dict[tuple[str, str], str] = field(default_factory=dict)
    """What users of the batch in hand have for themselves, before state or target know of it: path and value, to key.
    Under OBJECT stands the id of an object of the target."""
    contested: set[str] = field(default_factory=set)
    """Keys of users whose object somebody else has matched, and was refused."""

    async def decide(self, user: SourceUser, link: Link | None, trace: list[Step], *, compare: bool) -> Decision:
        """Return what is to be done; `compare` looks at everything in the target, not only at what has changed.

        Raises Refused or ExpressionError where the user cannot be provisioned, and TargetError where nobody can.
        """
        if user.presence is Presence.GONE:
            return self._gone(link, trace)
        scoped = self._scoped(user)
        trace.append(Step("scope", Status.SUCCESS, scoped.reason or "the user is in scope"))
        if not scoped.wanted:
            return await self._unwanted(scoped, link, compare=compare)
        wanted = mappings.desired(self.flows, user.values, creating=False)
        fresh = mappings.digests(wanted, self.salt)
        if link is not None:
            changed = {path: value for path, value in wanted.items() if link.digests.get(path) != fresh[path]}
            enable = compare or not link.enabled or not self._knows_switch(link)
            if not changed and not enable:
                return Leave("nothing has changed", in_scope=True)
            current = await self.target.read(link.target_id)
            if current is not None:
                trace.append(Step("match", Status.SUCCESS, f"linked to {link.target_id}"))
                return self._compared(current, wanted if compare else changed, fresh, link, enable=enable)
            trace.append(Step("match", Status.WARNING, "the linked user is gone from the target; matching again"))
        current, left = await self._matched(user, trace)
        if current is not None:
            return self._compared(current, wanted, fresh, None, enable=True, left=left)
        return await self._created(user, fresh)

    def is_unwanted(self, user: SourceUser) -> bool:
        """Return whether the user is to have no enabled account; False where nobody can tell."""
        try:
            return user.presence is Presence.GONE or not self._scoped(user).wanted
        except (ExpressionError, Refused):
            return False

    async def found(self, user: SourceUser) -> Resource | None:
        """Return the user of the target that matches, in scope or not; None where none does, or several do."""
        try:
            current, left = await self._matched(user, [])
        except (Refused, ExpressionError):
            return None
        return current if left is None else None

    @property
    def switch(self) -> Switch:
        """Return what enables and disables."""
        return switch_of(self.job.disable)

    def may(self, action: Action) -> bool:
        """Return whether the job may disable or delete at all."""
        return self.job.actions.delete if action is Action.DELETE else self.job.actions.update

    def forbidden(self, action: Action, reason: str) -> Leave:
        """Return what becomes of a user who would be disabled or deleted by a job that may not."""
        return Leave(f"{reason}, but the job may not {action}", in_scope=False)

    def modified_by(self, action: Action) -> tuple[Modified, ...]:
        """Return what a staged action changes of a user who stays."""
        if action is not Action.DISABLE:
            return ()
        return (self._switched(self.switch, not self.switch.disables, self.switch.disables),)

    def _knows_switch(self, link: Link) -> bool:
        """Return whether the user was enabled or disabled as the job does it now, as far as that is known."""
        return not link.switch or remembered(link.switch)[-1] == self.switch

    def _scoped(self, user: SourceUser) -> scoping.Scoped:
        if user.flaw:
            raise Refused("ImportSkipped", user.flaw.rstrip("."))
        if user.presence is Presence.SOFT_DELETED:
            return scoping.Scoped(wanted=False, reason="the user is deleted in the source, for now")
        return scoping.judge(self.job, user.values)

    def _gone(self, link: Link | None, trace: list[Step]) -> Decision:
        trace.append(Step("scope", Status.SUCCESS, "the user is gone from the source"))
        if link is None:
            return Leave("the user is gone from the source, and was never provisioned", in_scope=False)
        return self._staged(Action.DELETE, "the user is gone from the source")

    async def _unwanted(self, scoped: scoping.Scoped, link: Link | None, *, compare: bool) -> Decision:
        if link is None:
            return Leave(scoped.reason, in_scope=False)
        if scoped.leaves and self.job.out_of_scope == "leave":
            return Leave(f"{scoped.reason}, and is left as it is", in_scope=False)
        if not link.enabled and await self._stays_disabled(link, compare=compare):
            return Leave(f"{scoped.reason}, and is disabled already", in_scope=False)
        # Without a way to disable, the documented behaviour is to delete (Microsoft: how provisioning works).
        return self._staged(Action.DISABLE if self.switch.path else Action.DELETE, scoped.reason)

    async def _stays_disabled(self, link: Link, *, compare: bool) -> bool:
        """Return whether a user who was disabled still is, by the switch that the job has now."""
        if not self.switch.path:
            return True
        if not self._knows_switch(link):
            return False
        current = await self.target.read(link.target_id) if compare else None
        return current is None or mappings.same(self.switch.disables, value_at(current, parse_path(self.switch.path)))

    def _staged(self, action: Action, reason: str) -> Decision:
        return Stage(action, reason) if self.may(action) else self.forbidden(action, reason)

    async def _matched(self, user: SourceUser, trace: list[Step]) -> tuple[Resource | None, Link | None]:
        """Return the one user of the target that the first matching attribute with a hit finds, and who left it."""
        asked = []
        for flow in mappings.matching(self.flows):
            value = flow.value(user.values)
            if isinstance(value, Candidates | tuple) or is_empty(value):
                continue
            asked.append(flow.path.text)
            if not self._claimed(flow, value, user.key):
                raise Refused("DuplicateSourceEntries", f"another user of the source has the same {flow.path.text}")
            found = await self.target.find(flow.path.text, mappings.to_json(value))
            if len(found) > 1:
                for one in found:
                    self._contest(await self.link_of_target(str(one.get("id"))))
                raise Refused("DuplicateTargetEntries", f"{len(found)} users of the target have this {flow.path.text}")
            if found:
                left = await self._unclaimed(found[0], user)
                heir = f"; {left.source_key}, who had it, is gone from the source" if left is not None else ""
                trace.append(Step("match", Status.SUCCESS, f"found by {flow.path.text}{heir}"))
                return found[0], left
        if not asked:
            raise Refused("MissingValues", "none of the matching attributes has a value")
        trace.append(Step("match", Status.SUCCESS, f"not in the target, by {', '.join(asked)}"))
        return None, None

    async def _unclaimed(self, found: Resource, user: SourceUser) -> Link | None:
        """Refuse a user of the target that another user of the source has, or has just been given.

        Who had it and is gone from the source leaves it to whoever matches: most often that is the same person under
        another key. Returns the link of who left it.
        """
        target_id = str(found.get("id"))
        other = await self.link_of_target(target_id)
        if other is not None and other.source_key == user.key:
            return None
        left = other if other is not None and await self.is_gone(other) else None
        free = other is None or left is not None
        if not free or self.claims.setdefault((OBJECT, target_id), user.key) != user.key:
            self._contest(other)
            raise Refused("DuplicateSourceEntries", "another user of the source has this user of the target already")
        return left

    def _contest(self, other: Link | None) -> None:
        if other is not None:
            self.contested.add(other.source_key)

    def _claimed(self, flow: Flow, value: Any, key: str) -> bool:  # noqa: ANN401 - JSON
        """Claim a value for a user while nobody can be found by it yet; returns whether nobody else has."""
        text = str(mappings.to_json(value))
        folded = text if flow.path.attribute.lower() in EXACT else text.casefold()
        return self.claims.setdefault((flow.path.text, folded), key) == key

    def _compared(  # noqa: PLR0913 - what is known of the user
        self,
        current: Resource,
        wanted: Mapping[str, Desired],
        fresh: Mapping[str, str],
        link: Link | None,
        *,
        enable: bool,
        left: Link | None = None,
    ) -> Decision:
        operations, modified, differing = [], [], set[str]()
        for path, value in wanted.items():
            flow = self.by_path[path]
            old = value_at(current, flow.path)
            if not mappings.same(value, old):
                differing.add(path)
                operations.append(_operation(flow, value, old))
                modified.append(self._modified(flow, old, value))
        enabling = self._enabling(current, link or left) if enable else []
        operations += [part.turned(on=True) for part, _ in enabling]
        modified += [self._switched(part, old, part.turned(on=True)["value"]) for part, old in enabling]
        target_id = str(current.get("id"))
        if operations and not self.job.actions.update:
            if link is not None:
                return Leave("the user has changed, but the job may not update", in_scope=True)
            # Linked all the same: whoever is gone later is deleted. What differs is sent once updates are allowed.
            agreeing = {path: digest for path, digest in fresh.items() if path not in differing}
            return Update(target_id, [], agreeing, (), linked_before=False, enabled=not enabling, left=left)
        return Update(target_id, operations, fresh, tuple(modified), link is not None, left=left)

    def _enabling(self, current: Resource, link: Link | None) -> list[tuple[Switch, Any]]:
        """Return the switches that are to be turned on, and how they stand."""
        before = () if link is None or link.enabled else remembered(link.switch)
        # What once disabled the user has to be undone where nothing else would any more.
        switches = [self.switch, *(one for one in before if one.path not in (self.switch.path, *self.by_path))]
        standing = [(one, value_at(current, parse_path(one.path))) for one in switches if one.path]
        return [(one, old) for one, old in standing if not mappings.same(not one.disables, old)]

    async def _created(self, user: SourceUser, fresh: Mapping[str, str]) -> Decision:
        if not self.job.actions.create:
            return Leave("the user is not in the target, and the job may not create", in_scope=True)
        resource: Resource = {"schemas": [CORE_USER], "meta": {"resourceType": "User"}}
        modified = []
        for text, value in mappings.desired(self.flows, user.values, creating=True).items():
            flow = self.by_path[text]
            if isinstance(value, Candidates):
                chosen = await self._chosen(flow, value, user.key)
            else:
                chosen = mappings.shaped(flow.path, value)
            put(resource, flow.path, chosen)
            if flow.path.schema and flow.path.schema not in resource["schemas"]:
                resource["schemas"].append(flow.path.schema)
            modified.append(self._modified(flow, None, chosen))
        if self.switch.path:
            enabled = self.switch.turned(on=True)["value"]
            put(resource, parse_path(self.switch.path), enabled)
            modified.append(self._switched(self.switch, None, enabled))
        return Create(resource, fresh, tuple(modified))

    async def _chosen(self, flow: Flow, candidates: Candidates, key: str) -> str:
        """Return the first candidate that no user of the target has, or is just given (SelectUniqueValue)."""
        for value in candidates.values:
            if self._claimed(flow, value, key) and not await self.target.find(flow.path.text, value):
                return value
        raise Refused("EntryConflict", f"every value that SelectUniqueValue offers for {flow.path.text} is taken")

    def _modified(self, flow: Flow, old: Any, new: Desired) -> Modified:  # noqa: ANN401 - JSON
        redacted = flow.redacted or self.job.redact_log
        return _shown(Modified(flow.path.text, old, mappings.to_json(new)), redacted=redacted)

    def _switched(self, switch: Switch, old: Any, new: bool) -> Modified:  # noqa: ANN401, FBT001 - JSON
        return _shown(Modified(switch.path, old, new), redacted=self.job.redact_log)


def _shown(modified: Modified, *, redacted: bool) -> Modified:
    if not redacted:
        return modified
    old, new = (None if value is None else REDACTED for value in (modified.old, modified.new))
    return Modified(modified.path, old, new)


def judge(  # noqa: PLR0913, PLR0917 - what is known of a job
    job: JobSettings,
    flows: tuple[Flow, ...],
    salt: bytes,
    target: Target,
    link_of_target: Callable[[str], Awaitable[Link | None]],
    is_gone: Callable[[Link], Awaitable[bool]],
) -> Judge:
    """Return who decides for the users of this job."""
    return Judge(job, flows, salt, target, link_of_target, is_gone, {flow.path.text: flow for flow in flows})


def _operation(flow: Flow, value: Desired, old: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return one operation of a PATCH (RFC 7644 §3.5.2)."""
    if value is CLEAR:
        return {"op": "remove", "path": flow.path.text}
    # `replace` under a filter that nothing matches is an error (noTarget); `add` makes the element.
    op = "add" if old is None or flow.adds else "replace"
    return {"op": op, "path": flow.path.text, "value": mappings.shaped(flow.path, value)}

"""Whether mappings fit the target: what its `/Schemas` say, laid beside what the job would write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector_host.errors import Finding, Level
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.resources import parse_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connector_host.provisioning.mappings import Flow
    from connector_host.provisioning.schemas import Attribute, UserSchema
    from connector_host.provisioning.settings import JobSettings

COMMON: Final = frozenset({"externalid"})
"""What every resource may have without its schema naming it (RFC 7643 §3.1)."""

_SEVERAL: Final = frozenset({Kind.MANY, Kind.ROLES})

_SUIT: Final = {
    "boolean": {Kind.TRUTH},
    "integer": {Kind.NUMBER},
    "decimal": {Kind.NUMBER},
    "dateTime": {Kind.DATE, Kind.TEXT},
    "string": {Kind.TEXT, Kind.REFERENCE, Kind.DATE},
}
"""Which kinds of values arrive as the type that a target names, without its having to convert them (RFC 7643 §2.3)."""

_MENDS: Final = {
    "boolean": "Where the target converts no text, write CBool([…]).",
    "string": "Where the target converts nothing, write CStr([…]).",
}


def fit(
    flows: Sequence[Flow], job: JobSettings, schema: UserSchema, kinds: Mapping[str, Kind] | None = None
) -> list[Finding]:
    """Return what does not fit, or one good finding; `kinds` is what is known of the source's attributes."""
    findings = [finding for flow in flows for finding in _flow(flow, schema, kind_of(flow, kinds or {}))]
    findings += [*_disabling(job, schema), *_unmapped(flows, job, schema)]
    return findings or [Finding(Level.OK, "target schema", f"has all {len(flows)} attributes that are mapped.")]


def kind_of(flow: Flow, kinds: Mapping[str, Kind]) -> Kind:
    """Return what kind of value flows, as far as it is known."""
    settings = flow.settings
    if flow.expression is not None:
        return flow.expression.kind
    if settings.source is not None:
        return kinds.get(settings.source, Kind.ANY)
    value = settings.default if settings.constant is None else settings.constant
    if value is None:
        return Kind.ANY
    return Kind.TRUTH if isinstance(value, bool) else Kind.TEXT if isinstance(value, str) else Kind.NUMBER


def _flow(flow: Flow, schema: UserSchema, kind: Kind) -> Iterator[Finding]:
    """Yield what is wrong with one mapping, what matters most first."""
    subject = f"mapping {flow.path.text}"
    whole, part = schema.at(flow.path)
    if whole is None or (flow.path.sub and part is None):
        if flow.path.text.lower() not in COMMON:
            yield _absent(flow, subject, whole)
        return
    leaf = part or whole
    if "readOnly" in {whole.mutability, leaf.mutability}:
        yield Finding(Level.FAILURE, subject, "the target has it as read-only.", "Take the mapping out.")
        return
    # Who is found by a matching attribute has its value already.
    if leaf.mutability == "immutable" and flow.settings.apply != "creation" and flow.settings.match is None:
        mend = 'Write apply = "creation".'
        yield Finding(Level.WARNING, subject, "the target lets it be set on creation only.", mend)
    yield from _shape(flow, subject, whole, part)
    yield from _type(subject, leaf, kind, several=leaf.many or (whole.many and flow.path.element is None))


def _absent(flow: Flow, subject: str, whole: Attribute | None) -> Finding:
    fact = "the target's /Schemas do not have it"
    if whole is not None:
        parts = f"{whole.path} has the parts {', '.join(whole.parts)}." if whole.parts else f"Write {whole.path}."
        return Finding(Level.FAILURE, subject, f"{fact}.", parts)
    if flow.settings.match is not None:
        return Finding(
            Level.FAILURE, subject, f"{fact}, so nobody could be found by it.", "Match by another attribute."
        )
    return Finding(Level.WARNING, subject, f"{fact}: its values may be lost.", "Look at the spelling, or take it out.")


def _shape(flow: Flow, subject: str, whole: Attribute, part: Attribute | None) -> Iterator[Finding]:
    element = flow.path.element
    if element is not None and not whole.many:
        yield Finding(Level.FAILURE, subject, "the target has one value there, not several.", f"Write {whole.path}.")
    if part is None and whole.type == "complex" and not whole.many:
        mend = f"Name one of its parts: {', '.join(f'{whole.path}.{name}' for name in whole.parts)}."
        yield Finding(Level.FAILURE, subject, "it has parts and cannot be written as a whole.", mend)
    if part is not None and whole.many and element is None:
        mend = f'Name which one: {whole.path}[type eq "work"].{part.path.rpartition(".")[2]}.'
        yield Finding(Level.FAILURE, subject, "the target has several values there.", mend)
    if element is not None and element[0].lower() == "type" and whole.kinds and str(element[1]) not in whole.kinds:
        mend = f"It names {', '.join(whole.kinds)}."
        yield Finding(Level.WARNING, subject, "the target does not name this type.", mend)


def _type(subject: str, leaf: Attribute, kind: Kind, *, several: bool) -> Iterator[Finding]:
    if leaf.type == "reference":
        mend = "Take it out unless the source holds the target's own ids: references are not looked up."
        yield Finding(Level.WARNING, subject, "it is a reference to another object of the target.", mend)
    elif kind in _SEVERAL and not several:
        mend = "Take one of them, Item([…], 1), or join them, Join(…)."
        yield Finding(Level.FAILURE, subject, "it gives several values where the target has one.", mend)
    elif kind not in _SEVERAL | {Kind.ANY} and kind not in _SUIT.get(leaf.type, set(Kind)):
        level = Level.FAILURE if leaf.type == "boolean" and kind in {Kind.DATE, Kind.NUMBER} else Level.WARNING
        mend = _MENDS.get(leaf.type, "The target refuses what it cannot convert.")
        yield Finding(level, subject, f"it gives {kind} where the target has the type {leaf.type}.", mend)


def _disabling(job: JobSettings, schema: UserSchema) -> Iterator[Finding]:
    if not job.disable.path or not job.actions.update:
        return
    path = parse_path(job.disable.path)
    whole, part = schema.at(path)
    if whole is None or (path.sub and part is None):
        mend = 'Write into `disable` what disables there, or path = "" to delete instead.'
        yield Finding(Level.FAILURE, "disable", f"the target has no {path.text}, so nobody could be disabled.", mend)
    elif (part or whole).mutability == "readOnly":
        mend = "Write another attribute into `disable`."
        yield Finding(Level.FAILURE, "disable", f"the target has {path.text} as read-only.", mend)


def _unmapped(flows: Sequence[Flow], job: JobSettings, schema: UserSchema) -> Iterator[Finding]:
    """Yield the required attributes that nothing gives: a creation without them is refused."""
    if not job.actions.create:
        return
    given = {flow.path.text.lower() for flow in flows} | {job.disable.path.lower()}
    heads = {
        (f"{flow.path.schema}:" if flow.path.schema else "").lower() + flow.path.attribute.lower() for flow in flows
    }
    for attribute in schema.required():
        if attribute.mutability != "readOnly" and attribute.path.lower() not in given | heads:
            mend = "Map an attribute of the source to it, or a constant."
            fact = "the target requires it, and no mapping gives it."
            yield Finding(Level.FAILURE, f"attribute {attribute.path}", fact, mend)

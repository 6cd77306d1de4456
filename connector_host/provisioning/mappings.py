"""What flows where: the mappings of a job, compiled once, and what they ask of the target for one user.

    source values ──Flow.desired──▶ {SCIM path: Desired} ──digests──▶ what has changed since last time

Nulls are passed over unless a mapping clears (Microsoft passes them over always).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from connector_host.errors import ConfigurationError
from connector_host.provisioning.errors import ExpressionError
from connector_host.provisioning.expressions import Candidates, Expression, compile_expression
from connector_host.provisioning.expressions.evaluation import Outcome
from connector_host.provisioning.resources import ResourcePath, parse_path
from connector_host.provisioning.values import Value, Values, in_utc, is_empty

if TYPE_CHECKING:
    from connector_host.provisioning.expressions.signatures import Kind
    from connector_host.provisioning.settings.jobs import JobSettings, MappingSettings

SOFT_DELETED: Final = "IsSoftDeleted"
"""Microsoft's own attribute of a user who is to be disabled; here the job does that by itself, at the cycle's end."""

DIGEST_BYTES: Final = 8

COMPLEX: Final = frozenset(
    name.lower() for name in ("emails", "phoneNumbers", "ims", "photos", "entitlements", "roles", "x509Certificates")
)
"""The multi-valued attributes of a core user whose elements are objects with a `value` (RFC 7643 §4.1.2)."""

VOLATILE: Final = frozenset({"Guid", "RandomString"})
"""Functions whose result is another one each time: flowing it with every update would never end."""


class _Clear(Enum):
    CLEAR = "clear"


CLEAR: Final = _Clear.CLEAR
"""The attribute of the target is to have no value."""

Desired: TypeAlias = Value | Candidates | _Clear
"""What the target is to hold at a path."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One mapping, ready to run."""

    settings: MappingSettings
    path: ResourcePath
    expression: Expression | None

    @property
    def redacted(self) -> bool:
        """Return whether its values stay out of the provisioning log."""
        return self.settings.redact or (self.expression is not None and self.expression.redacted)

    @property
    def adds(self) -> bool:
        """Return whether an update adds to what the target has, instead of replacing it (AppRoleAssignmentsComplex)."""
        return self.expression is not None and "AppRoleAssignmentsComplex" in self.expression.functions

    def value(self, values: Values) -> Value | Candidates:
        """Return what flows, None for nothing; raises ExpressionError naming the target attribute."""
        match self.settings.type:
            case "direct":
                return values.get(self.settings.source or "")
            case "constant":
                return self.settings.constant
            case "none":
                return None
        try:
            result = self.expression.evaluate(values) if self.expression else None
        except ExpressionError as failure:
            raise ExpressionError(f"{self.path.text}: {failure.reason}") from failure
        if isinstance(result, Outcome):
            return None
        return result


def compile_mappings(job: JobSettings, attributes: Mapping[str, Kind] | None = None) -> tuple[Flow, ...]:
    """Return the flows of a job; `attributes` names what the source has, None if that isn't known.

    Raises ConfigurationError that names every mapping that is wrong, with the column where it's an expression.
    """
    flows, mistakes, seen = [], [], set[str]()
    for settings in job.mappings:
        try:
            flows.append(flow := _compile(settings, attributes))
            _check(flow, job, seen)
        except (ConfigurationError, ExpressionError) as failure:
            mistakes.append(f"mapping to {settings.target}: {failure}")
    if not any(flow.settings.match for flow in flows) and not mistakes:
        mistakes.append("no mapping has match: users could not be found in the target")
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return tuple(flows)


def _compile(settings: MappingSettings, known: Mapping[str, Kind] | None) -> Flow:
    path = parse_path(settings.target)
    if settings.source == SOFT_DELETED or SOFT_DELETED in (settings.expression or ""):
        raise ConfigurationError(f"{SOFT_DELETED} is not mapped here: write where it goes into `disable` of the job.")
    if settings.source is not None and known is not None and settings.source not in known:
        raise ConfigurationError(f"the source has no attribute {settings.source}.")
    expression = None if settings.expression is None else compile_expression(settings.expression, attributes=known)
    return Flow(settings, path, expression)


def _check(flow: Flow, job: JobSettings, seen: set[str]) -> None:
    """Refuse what could not work, or would work against the job itself."""
    text = flow.path.text.lower()
    if text in seen:
        raise ConfigurationError("there are two mappings to the same attribute.")
    seen.add(text)
    if text == job.disable.path.lower():
        raise ConfigurationError("the job itself sets this attribute to disable and enable: see `disable`.")
    if text == "id" or text.startswith(("meta.", "schemas")) or text == "meta":
        raise ConfigurationError("the target gives this attribute by itself.")
    if flow.expression is not None and flow.expression.chooses:
        if flow.settings.match is not None:
            raise ConfigurationError("SelectUniqueValue cannot be matched by.")
        if flow.settings.apply != "creation":
            raise ConfigurationError('SelectUniqueValue is for creation only: write apply = "creation".')
    if flow.settings.apply != "creation" and flow.expression is not None and flow.expression.functions & VOLATILE:
        raise ConfigurationError('its value is another one each time: write apply = "creation".')
    if flow.settings.match is not None and (flow.path.element or flow.redacted):
        raise ConfigurationError("matching needs a plain attribute that need not be redacted.")


def matching(flows: Sequence[Flow]) -> list[Flow]:
    """Return the flows to match by, the first precedence first."""
    return sorted(
        (flow for flow in flows if flow.settings.match is not None), key=lambda flow: flow.settings.match or 0
    )


def desired(flows: Sequence[Flow], values: Values, *, creating: bool) -> dict[str, Desired]:
    """Return what the target is to hold for this user, by SCIM path; a path that is absent is left as it is.

    Raises ExpressionError where a mapping cannot be evaluated for this user.
    """
    wanted: dict[str, Desired] = {}
    for flow in flows:
        if not creating and flow.settings.apply == "creation":
            continue
        value = flow.value(values)
        empty = not value.values if isinstance(value, Candidates) else is_empty(value)
        chosen = _instead(flow, creating=creating) if empty else value
        if chosen is not None:
            wanted[flow.path.text] = chosen
    return wanted


def _instead(flow: Flow, *, creating: bool) -> Desired:
    """Return what stands in for a null: the default on creation, clearing where that is asked for, else nothing."""
    if creating:
        return flow.settings.default
    return CLEAR if flow.settings.clear_when_null else None


# ── values as the target has them ─────────────────────────────────────────────────────────────────────────────────


def to_json(value: Desired) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON has it: dates in ISO 8601, whole numbers without a point."""
    match value:
        case Candidates() | _Clear():
            return None
        case datetime():
            return in_utc(value).isoformat().replace("+00:00", "Z")
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case tuple():
            return [dict(item) if isinstance(item, Mapping) else to_json(item) for item in value]
        case _:
            return value


def shaped(path: ResourcePath, value: Desired) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON has it at this path: several values of a complex attribute are objects with `value`."""
    plain = to_json(value)
    if isinstance(plain, list) and path.attribute.lower() in COMPLEX and path.sub is None and path.schema is None:
        return [item if isinstance(item, Mapping) else {"value": item} for item in plain]
    return plain


def same(wanted: Desired, current: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether the target holds the value already, whatever type either side gives it.

    A text file's `5`, `true` and `2020-01-01` are the target's number, truth value and date.
    """
    if wanted is CLEAR:
        return current in (None, "", [])
    if isinstance(wanted, tuple):
        held = current if isinstance(current, list) else [] if current is None else [current]
        return _same_elements(to_json(wanted), held)
    if current is None or isinstance(current, list | Mapping):
        return False
    plain = to_json(wanted)
    return plain == current or _essence(plain) == _essence(current) or _same_moment(str(plain), str(current))


def _same_elements(wanted: Sequence[Any], held: Sequence[Any]) -> bool:
    """Return whether each element wanted is held, and no more than these, in whatever order."""
    left = list(held)
    # Those that say the most choose first: `{value}` would be content with what only `{value, type}` fits.
    for one in sorted(wanted, key=lambda item: len(_parts(item)), reverse=True):
        found = next((index for index, other in enumerate(left) if _holds(other, one)), None)
        if found is None:
            return False
        left.pop(found)
    return not left


def _holds(held: Any, wanted: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether an element has every sub-attribute that is wanted; the target may add some of its own."""
    has, parts = _parts(held), _parts(wanted)
    return all(name in has and _essence(has[name]) == _essence(value) for name, value in parts.items())


def _parts(element: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the sub-attributes that have a value, by their names in lower case; a plain value is `value`."""
    if not isinstance(element, Mapping):
        return {"value": element}
    return {name.lower(): value for name, value in element.items() if value not in (None, "", [])}


def _essence(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if str(value).lower() in ("true", "false") else str(value)


def _same_moment(one: str, other: str) -> bool:
    try:
        first, second = datetime.fromisoformat(one), datetime.fromisoformat(other)
    except ValueError:
        return False
    return (first if first.tzinfo else first.replace(tzinfo=UTC)) == (
        second if second.tzinfo else second.replace(tzinfo=UTC)
    )


def digests(wanted: Mapping[str, Desired], salt: bytes) -> dict[str, str]:
    """Return a digest of each value, so that what has changed can be told later without keeping the values.

    The salt is the job's own secret: without it short values could be guessed from their digests.
    """
    return {path: _digest(value, salt) for path, value in wanted.items()}


def _digest(value: Desired, salt: bytes) -> str:
    text = json.dumps([isinstance(value, _Clear), to_json(value)], ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=salt, digest_size=DIGEST_BYTES).hexdigest()

"""The names that SCIM itself defines: schema URNs, the core User's attributes, and the names that are refused.

The attributes come from the library's own copy of RFC 7643 §4.1 and §4.3. Nothing here knows a table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from scim2_models import EnterpriseUser, User

from connector_host.connectors.contract import AttributeType, RefusalKind
from connector_host.scim.names import names_password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scim2_models.resources.schema import Attribute as SchemaAttribute
    from scim2_models.resources.schema import Schema

CORE: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ECMA: Final = "urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User"
"""Where columns appear that are mapped to nothing else: the URN that existing Entra configurations use."""

LIST_RESPONSE: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
SEARCH_REQUEST: Final = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
BULK_REQUEST: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_RESPONSE: Final = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
DRY_RUN: Final = "urn:ietf:params:scim:api:messages:ECMA2Host:2.0:DryRun"
"""What the answer to a dry run holds: a message of ours, beside the error that keeps it from looking like success."""

_NAME: Final = re.compile(r"[\w$-]+")
REFERENCES: Final = frozenset({"manager", "members", "$ref"})
GROUPS: Final = frozenset({"groups"})
WRITTEN_BY_HOST: Final = frozenset({"schemas", "meta"})
"""What a client may repeat from an earlier answer; the host writes it itself and never reads it."""

REASONS: Final[Mapping[RefusalKind, str]] = MappingProxyType(
    {
        RefusalKind.PASSWORD: "passwords are not provisioned; remove this attribute from the mapping.",
        RefusalKind.REFERENCE: "references to other users are not provisioned; remove this attribute from the mapping.",
        RefusalKind.GROUP: "groups are not provisioned; remove this attribute from the mapping.",
        RefusalKind.MULTI_VALUED: "there are more values than the table has columns for this attribute.",
    }
)


@dataclass(frozen=True, slots=True)
class Defined:
    """What RFC 7643 says about one attribute; names in the mapping are lower case, spellings are the RFC's."""

    name: str
    type: AttributeType
    multi_valued: bool
    subs: Mapping[str, Defined]
    description: str
    canonical_values: tuple[str, ...]


def refused_kind(name: str) -> RefusalKind | None:
    """Return the class of refused export that an attribute of this name belongs to, in any spelling (DESIGN §2.2)."""
    lowered = name.lower()
    if names_password(name):
        return RefusalKind.PASSWORD
    if lowered in REFERENCES:
        return RefusalKind.REFERENCE
    return RefusalKind.GROUP if lowered in GROUPS else None


@lru_cache(maxsize=1_024)
def refused_within(text: str) -> RefusalKind | None:
    """Return the class of the first name of a refused class in a text that is no plain name, as `a.b.password`."""
    names = _NAME.findall(text)
    return next((kind for name in names if (kind := refused_kind(name)) is not None), None)


def _defined(attribute: SchemaAttribute) -> Defined:
    kind = str(attribute.type.value) if attribute.type is not None else "string"
    return Defined(
        name=str(attribute.name),
        type=AttributeType(kind) if kind in set(AttributeType) else AttributeType.STRING,
        multi_valued=bool(attribute.multi_valued),
        subs=MappingProxyType({str(sub.name).lower(): _defined(sub) for sub in attribute.sub_attributes or []}),
        description=attribute.description or "",
        canonical_values=tuple(attribute.canonical_values or ()),
    )


def _attributes(schema: Schema) -> Mapping[str, Defined]:
    return MappingProxyType(
        {
            str(attribute.name).lower(): _defined(attribute)
            for attribute in schema.attributes or []
            if refused_kind(str(attribute.name)) is None
        }
    )


DEFINED: Final[Mapping[str, Mapping[str, Defined]]] = MappingProxyType(
    {
        CORE.lower(): MappingProxyType(
            {
                "externalid": Defined("externalId", AttributeType.STRING, False, {}, "The client's own id.", ()),  # noqa: FBT003 - a row of a table
                **_attributes(User.to_schema()),
            }
        ),
        ENTERPRISE.lower(): _attributes(EnterpriseUser.to_schema()),
    }
)
"""Schema URN in lower case to attribute name in lower case; what may never be written is left out."""

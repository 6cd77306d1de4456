"""The documents that tell a client what this service provider is: Schemas, ResourceTypes, ServiceProviderConfig.

They are generated from the attribute flows and say nothing that is not so (RFC 7643 §5-7); they hold no nulls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector_host.connectors.contract import AttributeType, Mutability
from connector_host.scim import vocabulary
from connector_host.scim.flows import Complex, Multi, Single

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector_host.scim.flows import Flows, Node, Row, SchemaFlow, Slot
    from connector_host.settings import LimitSettings

Document = dict[str, object]

_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Schema"
_RESOURCE_TYPE: Final = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_SERVICE_PROVIDER: Final = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_DESCRIPTIONS: Final = {
    vocabulary.CORE: ("User", "User Account"),
    vocabulary.ENTERPRISE: ("EnterpriseUser", "Enterprise User"),
    vocabulary.ECMA: ("ConnectedUser", "Columns of the connected table that are mapped to nothing else"),
}


def list_of(documents: Sequence[Document]) -> Document:
    """Return the documents as a ListResponse, which is how even a short list is answered (RFC 7644 §4)."""
    return {
        "schemas": [vocabulary.LIST_RESPONSE],
        "totalResults": len(documents),
        "startIndex": 1,
        "itemsPerPage": len(documents),
        "Resources": list(documents),
    }


def schemas(flows: Flows, root_url: str) -> list[Document]:
    """Return one document for each schema; `root_url` is the public URL of the endpoint."""
    return [_schema(schema, root_url) for schema in flows.schemas.values()]


def resource_types(flows: Flows, root_url: str) -> list[Document]:
    """Return the only resource type there is."""
    _, *extensions = flows.schemas.values()
    document: Document = {
        "schemas": [_RESOURCE_TYPE],
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "description": "User Account",
        "schema": vocabulary.CORE,
        "meta": {"resourceType": "ResourceType", "location": f"{root_url}/ResourceTypes/User"},
    }
    if extensions:
        document["schemaExtensions"] = [
            {"schema": schema.urn, "required": any(_is_required(node) for node in schema.nodes.values())}
            for schema in extensions
        ]
    return [document]


def service_provider_config(root_url: str, limits: LimitSettings) -> Document:
    """Return what is on and what is off."""
    return {
        "schemas": [_SERVICE_PROVIDER],
        "patch": {"supported": True},
        "bulk": {
            "supported": True,
            "maxOperations": limits.bulk_operations,
            "maxPayloadSize": limits.body_bytes,
        },
        "filter": {"supported": True, "maxResults": limits.page_size_max},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        # RFC 9865 §4: cursors have no time limit, since nobody keeps them.
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": min(limits.page_size, limits.page_size_max),
            "maxPageSize": limits.page_size_max,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "The secret token of this connector, sent as Authorization: Bearer (RFC 6750)",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{root_url}/ServiceProviderConfig"},
    }


def _schema(schema: SchemaFlow, root_url: str) -> Document:
    name, description = _DESCRIPTIONS.get(schema.urn, (schema.urn.rsplit(":", 1)[-1], "An extension of this table"))
    return {
        "schemas": [_SCHEMA],
        "id": schema.urn,
        "name": name,
        "description": description,
        "attributes": [_node(node) for node in schema.nodes.values()],
        "meta": {"resourceType": "Schema", "location": f"{root_url}/Schemas/{schema.urn}"},
    }


def _node(node: Node) -> Document:
    match node:
        case Single(slot=slot):
            return _simple(slot)
        case Complex(name=name, subs=subs):
            return _parent(name, [_simple(slot) for slot in subs.values()], required=_is_required(node))
        case Multi(name=name, rows=rows):
            parts = list(
                {slot.name: _simple(slot, required=False) for row in rows for slot in row.subs.values()}.values()
            )
            return _parent(name, [*parts, *_marks(rows)], required=_is_required(node), multi_valued=True)


def _parent(name: str, parts: list[Document], *, required: bool, multi_valued: bool = False) -> Document:
    return {
        "name": name,
        "type": "complex",
        "multiValued": multi_valued,
        "description": f"{name} of the user",
        "required": required,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        "subAttributes": parts,
    }


def _marks(rows: tuple[Row, ...]) -> list[Document]:
    """Return the sub-attributes that tell one value from another."""
    marks: list[Document] = []
    if labels := [row.label for row in rows if row.selector == "type"]:
        marks.append(_attribute("type", AttributeType.STRING, "Which value this is") | {"canonicalValues": labels})
    if any(row.selector == "primary" for row in rows):
        marks.append(_attribute("primary", AttributeType.BOOLEAN, "Whether this is the preferred value"))
    return marks


def _simple(slot: Slot, *, required: bool | None = None) -> Document:
    attribute = slot.attribute
    described = attribute.description or f"Column {attribute.name}"
    document = _attribute(slot.name, slot.wire, described) | {
        "required": attribute.required if required is None else required,
        "mutability": Mutability.IMMUTABLE.value if slot.is_anchor else attribute.mutability.value,
        "uniqueness": "server" if attribute.unique or slot.is_anchor else "none",
    }
    if slot.wire is AttributeType.STRING:
        document["caseExact"] = attribute.case_exact
    if attribute.canonical_values:
        document["canonicalValues"] = list(attribute.canonical_values)
    return document


def _attribute(name: str, kind: AttributeType, description: str) -> Document:
    return {
        "name": name,
        "type": kind.value,
        "multiValued": False,
        "description": description,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
    }


def _is_required(node: Node) -> bool:
    match node:
        case Single(slot=slot):
            return slot.attribute.required
        case Complex(subs=subs):
            return any(slot.attribute.required for slot in subs.values())
        case Multi(rows=rows):
            return any(slot.attribute.required for row in rows for slot in row.subs.values())

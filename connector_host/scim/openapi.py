"""The endpoint as an OpenAPI 3.1 document, generated from the attribute flows: for people, clients and fuzzers.

It says what is answered; what is accepted is wider, since clients are sloppy (docs/scim.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector_host.connectors.contract import AttributeType
from connector_host.scim import vocabulary
from connector_host.scim.flows import Complex, Multi, Single

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector_host.scim.discovery import Document
    from connector_host.scim.flows import Flows, Node, Slot

_MEDIA: Final = "application/scim+json"
_TYPES: Final = {
    AttributeType.STRING: {"type": "string"},
    AttributeType.BOOLEAN: {"type": "boolean"},
    AttributeType.INTEGER: {"type": "integer"},
    AttributeType.DECIMAL: {"type": "number"},
    AttributeType.DATE_TIME: {"type": "string", "format": "date-time"},
}
_SCHEMAS: Final[Document] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_ALWAYS: Final = (400, 401, 413, 500, 503, 504)
"""What any operation may be answered with instead of what it asks for."""


def openapi(flows: Flows, root_url: str, version: str) -> Document:
    """Return the document; `root_url` is the public URL of the endpoint."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Users of one table over SCIM 2.0",
            "version": version,
            "description": "RFC 7643, RFC 7644 and RFC 9865, for users only.",
        },
        "servers": [{"url": root_url}],
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "User": _user(flows),
                "Users": _list_of("#/components/schemas/User"),
                "Documents": _list_of(None),
                "Document": {"type": "object", "required": ["schemas"]},
                "Error": _error(),
                "Patch": _patch(),
                "Search": _search(),
                "BulkRequest": _bulk_request(),
                "BulkResponse": _bulk_response(),
            },
        },
    }


# ── paths ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _paths() -> Document:
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    shown = [_text("attributes"), _text("excludedAttributes")]
    listed = [_text("filter"), _text("sortBy"), _order(), _number("startIndex"), _number("count"), _text("cursor")]
    return {
        "/Users": {
            "get": _operation("Find users", {200: "Users"}, parameters=[*listed, *shown]),
            "post": _operation("Create a user", {201: "User"}, (404, 409), parameters=shown, body="User"),
        },
        "/Users/{id}": {
            "parameters": [one],
            "get": _operation("Read a user", {200: "User", 304: None}, (404,), parameters=shown),
            "put": _operation("Replace a user", _CHANGED, (404, 409, 412), parameters=shown, body="User"),
            "patch": _operation("Change a user", _CHANGED, (404, 409, 412), parameters=shown, body="Patch"),
            "delete": _operation("Delete a user", {204: None}, (404, 412)),
        },
        "/Users/.search": {"post": _operation("Find users", {200: "Users"}, body="Search")},
        "/.search": {"post": _operation("Find users", {200: "Users"}, body="Search")},
        "/Bulk": {"post": _operation("Carry out many operations", {200: "BulkResponse"}, body="BulkRequest")},
        "/Schemas": {"get": _operation("List the schemas", {200: "Documents"}, (403,))},
        "/Schemas/{id}": {"parameters": [one], "get": _operation("Read a schema", {200: "Document"}, (404,))},
        "/ResourceTypes": {"get": _operation("List the resource types", {200: "Documents"}, (403,))},
        "/ResourceTypes/{id}": {
            "parameters": [one],
            "get": _operation("Read a resource type", {200: "Document"}, (404,)),
        },
        "/ServiceProviderConfig": {"get": _operation("Read what is on", {200: "Document"}, (403,))},
        "/Groups": {
            "get": _operation("Find no groups", {200: "Documents"}),
            "post": _operation("Be told that groups are not provisioned", {}, (501,), body="Document"),
        },
        "/Me": {"get": _operation("Be told that a token is no user", {}, (501,))},
    }


_CHANGED: Final[dict[int, str | None]] = {200: "User", 204: None}


def _operation(
    summary: str,
    answers: dict[int, str | None],
    errors: Iterable[int] = (),
    *,
    parameters: list[Document] | None = None,
    body: str = "",
) -> Document:
    operation: Document = {"summary": summary, "parameters": parameters or []}
    if body:
        operation["requestBody"] = {"required": True, "content": {_MEDIA: {"schema": _ref(body)}}}
    responses: dict[str, object] = {str(status): _response(name) for status, name in answers.items()}
    responses.update({str(status): _response("Error") for status in (*errors, *_ALWAYS)})
    operation["responses"] = responses
    return operation


def _response(name: str | None) -> Document:
    if name is None:
        return {"description": "Done, and nothing to say"}
    return {"description": name, "content": {_MEDIA: {"schema": _ref(name)}}}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _text(name: str) -> Document:
    return {"name": name, "in": "query", "schema": {"type": "string"}}


def _number(name: str) -> Document:
    return {"name": name, "in": "query", "schema": {"type": "integer"}}


def _order() -> Document:
    return {"name": "sortOrder", "in": "query", "schema": {"enum": ["ascending", "descending"]}}


# ── schemas ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _user(flows: Flows) -> Document:
    core, *extensions = flows.schemas.values()
    properties: Document = {
        "schemas": _SCHEMAS,
        "id": {"type": "string", "readOnly": True},
        "meta": {"type": "object", "readOnly": True},
        **{node.name: _node(node) for node in core.nodes.values()},
    }
    for schema in extensions:
        inner = {node.name: _node(node) for node in schema.nodes.values()}
        properties[schema.urn] = {"type": "object", "properties": inner}
    return {"type": "object", "properties": properties, "required": ["schemas"]}


def _node(node: Node) -> Document:
    match node:
        case Single(slot=slot):
            return _value(slot)
        case Complex(subs=subs):
            return {"type": "object", "properties": {slot.name: _value(slot) for slot in subs.values()}}
        case Multi(rows=rows):
            parts: Document = {slot.name: _value(slot) for row in rows for slot in row.subs.values()}
            marks: Document = {"type": {"type": "string"}, "primary": {"type": "boolean"}}
            return {"type": "array", "items": {"type": "object", "properties": {**parts, **marks}}}


def _value(slot: Slot) -> Document:
    document: Document = {**_TYPES[slot.wire]}
    if slot.wire is AttributeType.STRING and slot.attribute.max_length is not None:
        document["maxLength"] = slot.attribute.max_length
    if slot.attribute.canonical_values and slot.state is None:
        document["enum"] = list(slot.attribute.canonical_values)
    return document


def _list_of(reference: str | None) -> Document:
    return {
        "type": "object",
        "required": ["schemas", "totalResults", "Resources"],
        "properties": {
            "schemas": {"const": [vocabulary.LIST_RESPONSE]},
            "totalResults": {"type": "integer", "minimum": 0},
            "startIndex": {"type": "integer", "minimum": 1},
            "itemsPerPage": {"type": "integer", "minimum": 0},
            "nextCursor": {"type": "string"},
            "Resources": {"type": "array", "items": {"$ref": reference} if reference else {"type": "object"}},
        },
    }


def _error() -> Document:
    return {
        "type": "object",
        "required": ["schemas", "status", "detail"],
        "properties": {
            "schemas": {"const": [vocabulary.ERROR]},
            "status": {"type": "string", "pattern": "^[45][0-9][0-9]$"},
            "scimType": {"type": "string"},
            "detail": {"type": "string"},
        },
        "additionalProperties": False,
    }


def _patch() -> Document:
    operation: Document = {
        "type": "object",
        "required": ["op"],
        "properties": {"op": {"enum": ["add", "replace", "remove"]}, "path": {"type": "string"}, "value": {}},
    }
    return {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {
            "schemas": {"const": [vocabulary.PATCH_OP]},
            "Operations": {"type": "array", "items": operation},
        },
    }


def _search() -> Document:
    names: Document = {"type": "array", "items": {"type": "string"}}
    text: Document = {"type": "string"}
    number: Document = {"type": "integer"}
    return {
        "type": "object",
        "required": ["schemas"],
        "properties": {
            "schemas": {"const": [vocabulary.SEARCH_REQUEST]},
            "attributes": names,
            "excludedAttributes": names,
            "filter": text,
            "sortBy": text,
            "sortOrder": {"enum": ["ascending", "descending"]},
            "startIndex": number,
            "count": number,
            "cursor": text,
        },
    }


def _bulk_request() -> Document:
    operation: Document = {
        "type": "object",
        "required": ["method", "path"],
        "properties": {
            "method": {"enum": ["POST", "PUT", "PATCH", "DELETE"]},
            "path": {"type": "string"},
            "bulkId": {"type": "string"},
            "version": {"type": "string"},
            "data": {},
        },
    }
    return {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {
            "schemas": {"const": [vocabulary.BULK_REQUEST]},
            "failOnErrors": {"type": "integer", "minimum": 0},
            "Operations": {"type": "array", "items": operation},
        },
    }


def _bulk_response() -> Document:
    operation: Document = {
        "type": "object",
        "required": ["method", "status"],
        "properties": {"status": {"type": "string"}, "response": _ref("Error")},
    }
    return {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {
            "schemas": {"const": [vocabulary.BULK_RESPONSE]},
            "Operations": {"type": "array", "items": operation},
        },
    }

"""The read-only documents, and the endpoints that exist only to be refused properly."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from aiohttp import web

from connector_host import __version__
from connector_host.endpoint import answers
from connector_host.endpoint.requests import SERVED
from connector_host.endpoint.users import root_url
from connector_host.scim import discovery, openapi, vocabulary
from connector_host.scim.errors import ScimError
from connector_host.scim.rendering import encode

if TYPE_CHECKING:
    from collections.abc import Sequence


async def schemas(request: web.Request) -> web.Response:
    """GET /Schemas."""
    _refuse_filter(request)
    return _list(discovery.schemas(await request[SERVED].flows(), root_url(request)))


async def schema(request: web.Request) -> web.Response:
    """GET /Schemas/{urn}."""
    return _one(discovery.schemas(await request[SERVED].flows(), root_url(request)), request.match_info["id"])


async def resource_types(request: web.Request) -> web.Response:
    """GET /ResourceTypes."""
    _refuse_filter(request)
    return _list(discovery.resource_types(await request[SERVED].flows(), root_url(request)))


async def resource_type(request: web.Request) -> web.Response:
    """GET /ResourceTypes/User."""
    return _one(discovery.resource_types(await request[SERVED].flows(), root_url(request)), request.match_info["id"])


async def service_provider_config(request: web.Request) -> web.Response:
    """GET /ServiceProviderConfig."""
    _refuse_filter(request)
    settings = request[SERVED].settings
    config = discovery.service_provider_config(root_url(request), settings.limits)
    if settings.dry_run != "off":
        # A host that does not know the header would do the write: a script looks here first.
        config[vocabulary.DRY_RUN] = {"supported": True}
    return answers.answer(encode(config))


async def openapi_document(request: web.Request) -> web.Response:
    """GET /openapi.json: the endpoint as an OpenAPI document."""
    document = openapi.openapi(await request[SERVED].flows(), root_url(request), __version__)
    return web.Response(body=encode(document), content_type="application/json")


async def no_groups(_: web.Request) -> web.Response:
    """GET /Groups: a directory that looks for groups finds none, and goes on (DESIGN §2.2)."""
    return _list([])


async def no_group(_: web.Request) -> NoReturn:
    """GET /Groups/{id}."""
    raise ScimError(404, "There are no groups here.")


async def refuse_groups(_: web.Request) -> NoReturn:
    """Write to /Groups in any way."""
    raise ScimError(501, "groups: groups are not provisioned here; switch off group provisioning in the directory.")


async def refuse_me(_: web.Request) -> NoReturn:
    """Answer /Me: a token stands for a directory, not for one of the users (RFC 7644 §3.11)."""
    raise ScimError(501, "/Me is not supported: the token belongs to a directory and not to a user.")


def _refuse_filter(request: web.Request) -> None:
    """Forbid a filter on these documents, as RFC 7644 §4 demands."""
    if any(key.lower() == "filter" for key in request.query):
        raise ScimError(403, "This endpoint cannot be filtered (RFC 7644 §4).")


def _list(documents: Sequence[discovery.Document]) -> web.Response:
    return answers.answer(encode(discovery.list_of(documents)))


def _one(documents: Sequence[discovery.Document], name: str) -> web.Response:
    for document in documents:
        if str(document["id"]).lower() == name.lower():
            return answers.answer(encode(document))
    raise ScimError(404, "There is no such document; ask for the list to see which there are.")

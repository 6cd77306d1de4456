"""The operations on users: each reads the request, asks the connector, and renders what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from connector_host.connectors.contract import Delete, Modify
from connector_host.connectors.errors import ConnectorError, NotFound
from connector_host.endpoint import answers
from connector_host.endpoint.addresses import public_origin
from connector_host.endpoint.exports import Exports
from connector_host.endpoint.requests import SERVED, read_bounded
from connector_host.scim import versions
from connector_host.scim.bodies import read_body
from connector_host.scim.patches import read_patch
from connector_host.scim.queries import read_listing
from connector_host.scim.rendering import render_list
from connector_host.scim.resources import read_create, read_replacement
from connector_host.scim.wording import in_scim_words

if TYPE_CHECKING:
    from connector_host.connectors.contract import Export, Exported, Revision
    from connector_host.scim.rendering import Rendered, Renderer

EXPORTS: Final = web.AppKey("exports", Exports)
TRUSTED_PROXIES: Final[web.AppKey[tuple[str, ...]]] = web.AppKey("trusted_proxies", tuple[str, ...])


def root_url(request: web.Request) -> str:
    """Return the public URL of this connector's SCIM endpoint."""
    origin = public_origin(request, request.app[TRUSTED_PROXIES])
    return f"{origin}/ecma2host_{request[SERVED].name}/scim"


async def create(request: web.Request) -> web.Response:
    """POST /Users (RFC 7644 §3.3)."""
    renderer = await request[SERVED].renderer()
    export = read_create(renderer.flows, read_body(await read_bounded(request)))
    exported = await _carry_out(request, export)
    rendered = renderer.render(exported.entry, f"{root_url(request)}/Users")
    return _resource(rendered, status=201)


async def read(request: web.Request) -> web.Response:
    """GET /Users/{id} (RFC 7644 §3.4.1)."""
    renderer = await request[SERVED].renderer()
    entry = await request[SERVED].connector.read(request.match_info["id"])
    if entry is None:
        raise NotFound(request.match_info["id"])
    rendered = renderer.render(entry, f"{root_url(request)}/Users")
    if versions.names_version(request.headers.get("If-None-Match", ""), rendered.version):
        return web.Response(status=304, headers={"ETag": rendered.version})
    return _resource(rendered)


async def search(request: web.Request) -> web.Response:
    """GET /Users (RFC 7644 §3.4.2)."""
    served = request[SERVED]
    renderer = await served.renderer()
    listing = read_listing(renderer.flows, request.query, served.settings.limits)
    page = await served.connector.search(listing.query)
    users_url = f"{root_url(request)}/Users"
    resources = [renderer.render(entry, users_url) for entry in page.entries]
    return answers.answer(render_list(resources, total=page.total, start_index=listing.start_index))


async def patch(request: web.Request) -> web.Response:
    """PATCH /Users/{id} (RFC 7644 §3.5.2)."""
    served = request[SERVED]
    renderer = await served.renderer()
    body = read_body(await read_bounded(request))
    change = read_patch(renderer.flows, body, operations_max=served.settings.limits.patch_operations)
    revise = _guarded(request, renderer, change.revise)
    exported = await _carry_out(request, Modify(request.match_info["id"], revise, change.refusals))
    return _changed(request, renderer, exported)


async def replace(request: web.Request) -> web.Response:
    """PUT /Users/{id} (RFC 7644 §3.5.1)."""
    renderer = await request[SERVED].renderer()
    change = read_replacement(renderer.flows, read_body(await read_bounded(request)))
    revise = _guarded(request, renderer, change.revise)
    exported = await _carry_out(request, Modify(request.match_info["id"], revise, change.refusals))
    return _changed(request, renderer, exported)


async def delete(request: web.Request) -> web.Response:
    """DELETE /Users/{id} (RFC 7644 §3.6)."""
    renderer = await request[SERVED].renderer()
    if_match = request.headers.get("If-Match", "")
    guard = versions.demand(if_match, renderer.version) if if_match else None
    await _carry_out(request, Delete(request.match_info["id"], guard))
    return web.Response(status=204)


def _guarded(request: web.Request, renderer: Renderer, revise: Revision) -> Revision:
    return versions.guarded(revise, request.headers.get("If-Match", ""), renderer.version)


async def _carry_out(request: web.Request, export: Export) -> Exported:
    served = request[SERVED]
    try:
        return await request.app[EXPORTS].carry_out(served.connector, export, served.settings.limits.request_s)
    except ConnectorError as failure:
        raise in_scim_words(failure, await served.flows()) from failure


def _changed(request: web.Request, renderer: Renderer, exported: Exported) -> web.Response:
    """Return the changed resource, or only its version where the client prefers so (RFC 7240 §4.2)."""
    rendered = renderer.render(exported.entry, f"{root_url(request)}/Users")
    if "return=minimal" in request.headers.get("Prefer", "").replace(" ", "").lower():
        headers = {"ETag": rendered.version, "Preference-Applied": "return=minimal"}
        return web.Response(status=204, headers=headers)
    return _resource(rendered)


def _resource(rendered: Rendered, *, status: int = 200) -> web.Response:
    headers = {"ETag": rendered.version, "Location": rendered.location}
    return answers.answer(rendered.body, status=status, headers=headers)

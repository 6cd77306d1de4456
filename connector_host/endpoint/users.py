"""Users over HTTP: what each route takes from its request, and what it answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from msgspec.structs import replace as but

from connector_host.endpoint import answers, operations
from connector_host.endpoint.addresses import public_origin
from connector_host.endpoint.exports import EXPORTS, FOLLOWED
from connector_host.endpoint.operations import Call
from connector_host.endpoint.rehearsals import REHEARSALS
from connector_host.endpoint.requests import DEADLINE_S, SERVED, read_bounded
from connector_host.scim import versions
from connector_host.scim.bodies import read_body
from connector_host.scim.projection import read_projection
from connector_host.scim.queries import read_search_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector_host.scim.projection import Projection
    from connector_host.scim.rendering import Rendered

TRUSTED_PROXIES: Final[web.AppKey[tuple[str, ...]]] = web.AppKey("trusted_proxies", tuple[str, ...])


def root_url(request: web.Request) -> str:
    """Return the public URL of this connector's SCIM endpoint."""
    origin = public_origin(request, request.app[TRUSTED_PROXIES])
    return f"{origin}/ecma2host_{request[SERVED].name}/scim"


async def call_of(request: web.Request) -> Call:
    """Return what the operations need to know of a request."""
    served = request[SERVED]
    return Call(
        served,
        await served.renderer(),
        request.get(REHEARSALS) or request.get(FOLLOWED) or request.app[EXPORTS],
        f"{root_url(request)}/Users",
        request[DEADLINE_S],
        if_match=_all_lines(request, "If-Match"),
        if_none_match=_all_lines(request, "If-None-Match"),
        projection=_projection(request.query) if request.query_string else None,
    )


def _all_lines(request: web.Request, name: str) -> str:
    """Return a list that a header holds, of all its lines (RFC 9110 §5.3); empty only where there is no such header."""
    lines = request.headers.getall(name, ())
    return (", ".join(lines) or ",") if lines else ""


def _projection(parameters: Mapping[str, str]) -> Projection | None:
    named = {key.lower(): value for key, value in parameters.items()}
    return read_projection(named.get("attributes", ""), named.get("excludedattributes", ""))


async def create(request: web.Request) -> web.Response:
    """POST /Users."""
    call = await call_of(request)
    rendered = await operations.create(call, read_body(await read_bounded(request)))
    return _resource(rendered, status=201)


async def read(request: web.Request) -> web.Response:
    """GET /Users/{id}."""
    call = await call_of(request)
    rendered = await operations.read(call, request.match_info["id"])
    if call.if_none_match and versions.names_version(call.if_none_match, rendered.version):
        return web.Response(status=304, headers={"ETag": rendered.version})
    return _resource(rendered)


async def search(request: web.Request) -> web.Response:
    """GET /Users."""
    return answers.answer(await operations.search(await call_of(request), request.query))


async def search_by_post(request: web.Request) -> web.Response:
    """POST /Users/.search and /.search (RFC 7644 §3.4.3)."""
    parameters = read_search_request(read_body(await read_bounded(request)))
    call = but(await call_of(request), projection=_projection(parameters))
    return answers.answer(await operations.search(call, parameters))


async def patch(request: web.Request) -> web.Response:
    """PATCH /Users/{id}."""
    body = read_body(await read_bounded(request))
    return _changed(request, await operations.patch(await call_of(request), request.match_info["id"], body))


async def replace(request: web.Request) -> web.Response:
    """PUT /Users/{id}."""
    body = read_body(await read_bounded(request))
    return _changed(request, await operations.replace(await call_of(request), request.match_info["id"], body))


async def delete(request: web.Request) -> web.Response:
    """DELETE /Users/{id}."""
    await operations.delete(await call_of(request), request.match_info["id"])
    return web.Response(status=204)


def _changed(request: web.Request, rendered: Rendered | None) -> web.Response:
    """Return the changed resource, or nothing where it is gone or the client prefers so (RFC 7240 §4.2)."""
    if rendered is None:
        return web.Response(status=204)
    if "return=minimal" in _all_lines(request, "Prefer").replace(" ", "").lower():
        headers = {"ETag": rendered.version, "Preference-Applied": "return=minimal"}
        return web.Response(status=204, headers=headers)
    return _resource(rendered)


def _resource(rendered: Rendered, *, status: int = 200) -> web.Response:
    headers = {"ETag": rendered.version, "Location": rendered.location}
    return answers.answer(rendered.body, status=status, headers=headers)

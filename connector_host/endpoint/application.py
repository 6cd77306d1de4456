"""The web application: which path leads to which operation."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web

from connector_host.access.door import Door
from connector_host.deadlines import Deadlines
from connector_host.endpoint import bulk, documents, health, requests, safeguards, users
from connector_host.endpoint.exports import EXPORTS, Exports
from connector_host.endpoint.health import CertificateState
from connector_host.endpoint.rehearsals import rehearse_instead
from connector_host.endpoint.repeats import carry_out_once
from connector_host.endpoint.routing import USER, USERS
from connector_host.endpoint.signatures import demand_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from connector_host.endpoint.outcomes import Record
    from connector_host.endpoint.served import Served

_ROOT: Final = "/ecma2host_{name}/scim"
_SLASH: Final = "{slash:/?}"
_ID: Final = r"(?!\.search/?$)[^/]+"
"""Any name but that of the search, which stands in the same place."""
_ALL: Final = "*"


def make_application(  # noqa: PLR0913 - what the parts of one application are told, each optional but the first
    served: Mapping[str, Served],
    *,
    trusted_proxies: Iterable[str] = (),
    outcomes: Record | None = None,
    door: Door | None = None,
    wanted: Callable[[], Collection[str]] = tuple,
    certificate: Callable[[], CertificateState] = CertificateState,
    exports_s: Callable[[], float | None] = lambda: None,
) -> web.Application:
    """Return the application that serves these connectors, by name; it closes none of them.

    The mapping is looked at anew for each request, so connectors may be exchanged in it while they are served.
    Stopping it waits for every export in hand, for what `exports_s` says then at the most. Writes with an idempotency
    key are carried out once where there is a record of outcomes. `wanted` names the connectors that should be served,
    so that readiness tells of one that is not.
    """
    proxies = tuple(trusted_proxies)
    largest = max((one.settings.limits.body_bytes for one in served.values()), default=0)
    application = web.Application(
        middlewares=(
            *requests.middlewares(served, door or Door(), proxies),
            demand_signature,
            rehearse_instead,
            carry_out_once(outcomes),
        ),
        client_max_size=largest + 1,
    )
    application[requests.DEADLINES] = deadlines = Deadlines()
    application[EXPORTS] = exports = Exports(deadlines)
    application[users.TRUSTED_PROXIES] = proxies
    application[health.RECORD] = "" if outcomes is None else outcomes.identity
    application[health.ALL_SERVED] = served
    application[health.WANTED] = wanted
    application[health.READINESS] = health.Readiness()
    application[health.CERTIFICATE] = certificate
    application.add_routes(map(_patient, (*_users(), *_health(), *_documents(), *_refused())))
    application[safeguards.LEAVING] = asyncio.Event()
    application.on_shutdown.append(safeguards.leave)
    application.on_shutdown.append(partial(_finish, exports, exports_s))
    return application


async def _finish(exports: Exports, limit_s: Callable[[], float | None], _: web.Application) -> None:
    await exports.finish(limit_s())


def _patient(route: web.RouteDef) -> web.RouteDef:
    """Have a route ask for a body only once it is wanted; aiohttp would before anybody knows who sends it."""
    return web.RouteDef(route.method, route.path, route.handler, {**route.kwargs, "expect_handler": requests.postpone})


def _health() -> list[web.RouteDef]:
    return [web.get("/healthz", health.healthz), web.get("/readyz", health.readyz)]


def _users() -> list[web.RouteDef]:
    # A router tries them in this order, so those that are asked most come first.
    one, every = f"{_ROOT}/Users/{{id:{_ID}}}{_SLASH}", f"{_ROOT}/Users{_SLASH}"
    return [
        web.get(one, users.read, name=USER),
        web.patch(one, users.patch, name=USER),
        web.put(one, users.replace, name=USER),
        web.delete(one, users.delete, name=USER),
        web.get(every, users.search, name=USERS),
        web.post(every, users.create, name=USERS),
        web.post(f"{_ROOT}/Users/.search{_SLASH}", users.search_by_post),
        web.post(f"{_ROOT}/.search{_SLASH}", users.search_by_post),
        web.post(f"{_ROOT}/Bulk{_SLASH}", bulk.bulk),
    ]


def _documents() -> list[web.RouteDef]:
    return [
        web.get(f"{_ROOT}/Schemas{_SLASH}", documents.schemas),
        web.get(f"{_ROOT}/Schemas/{{id}}{_SLASH}", documents.schema),
        web.get(f"{_ROOT}/ResourceTypes{_SLASH}", documents.resource_types),
        web.get(f"{_ROOT}/ResourceTypes/{{id}}{_SLASH}", documents.resource_type),
        web.get(f"{_ROOT}/ServiceProviderConfig{_SLASH}", documents.service_provider_config),
        web.get(f"{_ROOT}/openapi.json", documents.openapi_document),
    ]


def _refused() -> list[web.RouteDef]:
    return [
        web.get(f"{_ROOT}/Groups{_SLASH}", documents.no_groups),
        web.post(f"{_ROOT}/Groups/.search{_SLASH}", documents.no_groups),
        web.get(f"{_ROOT}/Groups/{{id}}{_SLASH}", documents.no_group),
        web.route(_ALL, f"{_ROOT}/Groups{{rest:(/.*)?}}", documents.refuse_groups),
        web.route(_ALL, f"{_ROOT}/Me{{rest:(/.*)?}}", documents.refuse_me),
    ]

"""Which handler a request for users has, told by the shape of its path; every other one is aiohttp's router's to find.

That router tries its patterns one after the other, each with a coroutine of its own, for every request anew. What is
found here is the same route, with the same middlewares around its handler.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp.web_urldispatcher import UrlMappingMatchInfo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp import web
    from aiohttp.web_urldispatcher import AbstractRoute

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_USERS: Final = re.compile(r"/ecma2host_([A-Za-z0-9._~-]+)/scim/Users(?:/(?!\.search$)([A-Za-z0-9._~@:-]+))?")
"""A path in which nothing is to be decoded."""
USER: Final = "user"
USERS: Final = "users"
"""What the resources of these routes are called."""


class Routing:
    """Handles the requests of one application that is complete."""

    def __init__(self, application: web.Application) -> None:
        self._application = application
        self._any: Handler = application._handle  # noqa: SLF001 - as aiohttp's server calls it
        self._of_all = self._routes_of(USERS)
        self._of_one = self._routes_of(USER)

    def _routes_of(self, resource: str) -> Mapping[str, tuple[AbstractRoute, Handler]]:
        routes = self._application.router.named_resources().get(resource, ())
        return {route.method: (route, self._wrapped(route.handler)) for route in routes}

    def _wrapped(self, handler: Handler) -> Handler:
        for middleware in reversed(self._application.middlewares):
            handler = partial(middleware, handler=handler)
        return handler

    def __call__(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Answer a request."""
        found = _USERS.fullmatch(request.rel_url.raw_path)
        if found is None or "Expect" in request.headers:
            return self._any(request)
        name, one = found.groups()
        known = (self._of_all if one is None else self._of_one).get(request.method)
        if known is None:
            return self._any(request)
        route, handler = known
        match = UrlMappingMatchInfo({"name": name} if one is None else {"name": name, "id": one}, route)
        match.add_app(self._application)
        match.freeze()
        request._match_info = match  # noqa: SLF001 - where aiohttp's application puts it
        return handler(request)

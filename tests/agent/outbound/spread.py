"""A load balancer that reads HTTP: it leads the requests of one connection to several hosts."""

from __future__ import annotations

import itertools
import ssl
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.agent.serving import served

HOP = frozenset({"host", "connection", "keep-alive", "transfer-encoding", "content-length"})


class Spread:
    """Which host gets the next request, and what becomes of its answer."""

    def __init__(self, hosts, session):
        self.port = 0
        self.hosts = hosts
        self.led_to = []
        """Where each write went."""
        self.loses = lambda _: False
        """Whether the answer to a request gets lost, with the connection that it came over."""
        turns = itertools.count()
        self.choose = lambda _: self.hosts[next(turns) % len(self.hosts)]
        self._session = session

    async def serve(self, request):
        host = self.choose(request)
        if request.method in {"POST", "PUT", "PATCH", "DELETE"}:
            self.led_to.append(host)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP]
        body = await request.read()
        async with self._session.request(
            request.method, host.origin + request.path_qs, headers=headers, data=body
        ) as got:
            kept = [(name, value) for name, value in got.headers.items() if name.lower() not in HOP]
            answer = web.Response(status=got.status, headers=kept, body=await got.read())
        if self.loses(request):
            request.transport.abort()
        return answer


@asynccontextmanager
async def spreading(papers, hosts):
    """Balance between hosts, each with its `origin` and the `authority` of its certificate."""
    trust = ssl.create_default_context()
    for host in hosts:
        trust.load_verify_locations(host.authority)
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(connector=connector, skip_auto_headers={"User-Agent"}) as session:
        spread = Spread(hosts, session)
        async with served(spread.serve, papers) as spread.port:
            yield spread

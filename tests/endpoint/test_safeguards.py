"""Every answer, good or bad, is guarded; a client's trace is answered and logged."""

import re

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connector_host.access.tokens import TokenGate
from connector_host.endpoint.application import make_application
from connector_host.endpoint.health import CertificateState
from connector_host.endpoint.safeguards import HEADERS
from connector_host.endpoint.served import Served
from tests.endpoint.service import TOKEN

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def client():
    async with TestClient(TestServer(make_application({}))) as client:
        yield client


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/ecma2host_HR/scim/Users", "/nowhere"])
async def test_every_answer_is_guarded(client, path):
    answer = await client.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["Server"] == "connector-host"


async def test_a_trace_goes_on(client):
    answer = await client.get("/healthz", headers={"traceparent": TRACE})
    version, trace, span, flags = answer.headers["traceparent"].split("-")
    assert (version, trace, flags) == tuple(TRACE.split("-")[i] for i in (0, 1, 3))
    assert span != TRACE.split("-")[2]


@pytest.mark.parametrize("trace", ["", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", TRACE.upper(), TRACE + "x", "hello"])
async def test_what_is_no_trace_is_not_repeated_and_a_new_one_begins(client, trace):
    answer = await client.get("/healthz", headers={"traceparent": trace})
    assert answer.headers["traceparent"] != trace
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", answer.headers["traceparent"])


def test_the_guard_is_outermost():
    application = make_application({})
    assert isinstance(application, web.Application)
    assert application.middlewares[0].__name__ == "guard"


@pytest.mark.parametrize(
    ("word", "days", "status"), [("valid", 90, 200), ("expires soon", 6, 200), ("expired", -1, 503)]
)
async def test_a_host_whose_certificate_has_expired_is_not_ready(word, days, status):
    application = make_application({}, certificate=lambda: CertificateState(word, days))
    async with TestClient(TestServer(application)) as client:
        answer = await client.get("/readyz")
        document = await answer.json()
    assert (answer.status, document["certificate"], document["certificate_days_left"]) == (status, word, days)


async def test_answers_of_a_host_that_is_about_to_stop_end_their_connection():
    application = make_application({})
    async with TestClient(TestServer(application)) as client:
        assert "Connection" not in (await client.get("/healthz")).headers
        await application.shutdown()
        assert (await client.get("/healthz")).headers["Connection"] == "close"


@pytest.mark.parametrize("other", ["wrong", TOKEN])
@pytest.mark.parametrize("connector", ["HR", "Nowhere"])
async def test_of_several_authorization_headers_none_is_chosen(scim, connector, other):
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {other}")]
    url = f"{scim.origin}/ecma2host_{connector}/scim/ServiceProviderConfig"
    async with scim.session.get(url, headers=headers) as answer:
        assert (answer.status, "more than one Authorization" in await answer.text()) == (400, True)


async def test_tokens_that_cannot_be_read_any_more_are_a_fault_of_the_host_and_not_of_the_client(scim, tmp_path):
    answers = []
    for name in ("HR", "Nowhere"):
        served = Served(scim.served.connector, scim.served.settings, TokenGate(file=tmp_path))
        async with TestClient(TestServer(make_application({"HR": served}))) as client:
            answer = await client.get(f"/ecma2host_{name}/scim/Users", headers={"Authorization": f"Bearer {TOKEN}"})
            answers.append((answer.status, answer.headers["Retry-After"]))
    assert answers == [(503, "30"), (503, "30")]

"""Where writes must be signed, whoever stands between the signer and the host can forge, alter and repeat none."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ED25519, HMAC_SHA256
from multidict import CIMultiDict

from connector_host import clock
from connector_host.endpoint.outcomes import Outcomes
from connector_host.signing.keys import load_key, make_key
from connector_host.signing.requests import Asked, sign
from tests.endpoint.service import TOKEN, serve

PUBLIC = "https://relay.example.org/t/acme/ecma2host_HR/scim"
BARBARA = {"userName": "bjensen", "name": {"givenName": "Barbara"}}
BODY = json.dumps(BARBARA).encode()
SCIM = {"Content-Type": "application/scim+json"}


@dataclass
class Signers:
    """A host that demands signatures, and somebody who can make them."""

    scim: object
    key: object

    def signed(self, method="POST", path="/Users", body=BARBARA, *, key=None, url=PUBLIC, **headers):
        """Return a request as the host gets it: method, path, headers, body."""
        data = b"" if body is None else json.dumps(body).encode()
        given = SCIM | {name.replace("_", "-"): value for name, value in headers.items()}
        return method, path, given | sign(Asked(method, url + path, given, data), key or self.key), data

    async def send(self, request):
        method, path, headers, data = request
        return await self.scim.call(method, path, data=data or None, headers=headers)


@asynccontextmanager
async def demanding(folder, *, outcomes=True, **signing):
    file = folder / "engine.key"
    if not file.exists():
        make_key(file)
    record = Outcomes(folder / "state" / "outcomes.sqlite3") if outcomes else None
    settings = {"keys": (folder / "engine.key.pub",), "urls": (PUBLIC,)} | signing
    try:
        async with serve(folder, outcomes=record, signing=settings) as service:
            yield Signers(service, load_key(file))
    finally:
        if record is not None:
            await record.close()


@pytest.fixture
async def host(tmp_path):
    async with demanding(tmp_path) as parts:
        yield parts


async def test_a_signed_write_is_carried_out(host):
    assert (await host.send(host.signed())).status == 201
    assert (await host.send(host.signed("DELETE", "/Users/bjensen", None))).status == 204


async def test_a_signed_write_may_come_with_an_absolute_target(host):
    method, path, headers, data = host.signed()
    target = f"{host.scim.origin}/ecma2host_HR/scim{path}"
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()] + [f"Content-Length: {len(data)}", "", ""]
    trust = ssl.create_default_context(cafile=str(host.scim.authority))
    reader, writer = await asyncio.open_connection("localhost", int(host.scim.origin.rpartition(":")[2]), ssl=trust)
    writer.write("\r\n".join(lines).encode() + data)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.transport.abort()
    assert answer.startswith(b"HTTP/1.1 201 "), answer


async def test_an_unsigned_write_is_refused_and_says_what_is_wanted(host):
    answer = await host.scim.post(BARBARA)
    assert answer.status == 403
    assert "must be signed" in answer.body["detail"]
    assert answer.body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert "@target-uri" in answer.headers["Accept-Signature"]
    assert not host.scim.rows()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_no_kind_of_write_gets_in_unsigned(host, method):
    await host.send(host.signed())
    # Not even to a user who is called as if it were a search.
    for path in ("/Users/bjensen", "/Users/.search"):
        answer = await host.scim.call(method, path, BARBARA if method != "DELETE" else None)
        assert answer.status == 403
    assert len(host.scim.rows()) == 1


async def test_bulk_gets_in_signed_only(host):
    bulk = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{"method": "POST", "path": "/Users", "bulkId": "1", "data": BARBARA}],
    }
    assert (await host.scim.call("POST", "/Bulk", bulk)).status == 403
    assert (await host.send(host.signed("POST", "/Bulk", bulk))).status == 200
    assert len(host.scim.rows()) == 1


async def test_reads_need_no_signature_unless_it_is_demanded(host, tmp_path_factory):
    assert (await host.scim.get("/Users")).status == 200
    async with demanding(tmp_path_factory.mktemp("all"), required="all") as strict:
        assert (await strict.scim.get("/Users")).status == 403
        assert (await strict.scim.call("POST", "/Users/.search", {})).status == 403
        request = strict.signed("GET", "/Users?filter=userName%20eq%20%22x%22", None)
        # A read may be repeated: the relay does so by itself.
        assert [(await strict.send(request)).status for _ in range(2)] == [200, 200]


def other_body(method, path, headers, data):
    return method, path, headers, data.replace(b"Barbara", b"Mallory")


def no_body(method, path, headers, _):
    return method, path, headers, b""


def other_path(method, _, headers, data):
    return method, "/Users?attributes=id", headers, data


def other_query(method, path, headers, data):
    return method, path.replace("userName", "userName,id"), headers, data


def other_method(_, path, headers, data):
    return "PUT", path + "/bjensen", headers, data


def other_digest(method, path, headers, data):
    data = data.replace(b"Barbara", b"Mallory")
    digest = sign(Asked(method, PUBLIC + path, {}, data), load_key_of(headers))["Content-Digest"]
    return method, path, headers | {"Content-Digest": digest}, data


def without_digest(method, path, headers, data):
    return method, path, {name: value for name, value in headers.items() if name != "Content-Digest"}, data


def without_condition(method, path, headers, data):
    return method, path, {name: value for name, value in headers.items() if name != "If-None-Match"}, data


def with_condition(method, path, headers, data):
    return method, path, headers | {"If-Match": "*"}, data


def other_key(method, path, headers, data):
    return method, path, headers | {"Idempotency-Key": "another"}, data


def other_nonce(method, path, headers, data):
    text = headers["Signature-Input"]
    start = text.index('nonce="') + 7
    return method, path, headers | {"Signature-Input": text[:start] + "A" + text[start + 1 :]}, data


def longer_life(method, path, headers, data):
    text = headers["Signature-Input"]
    start = text.index("expires=") + 8
    return method, path, headers | {"Signature-Input": text[:start] + "9" + text[start + 1 :]}, data


def garbage(method, path, headers, data):
    return method, path, headers | {"Signature": "scim=:AAAA:", "Signature-Input": 'scim=("@method"'}, data


def load_key_of(_):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from connector_host.signing.keys import SigningKey

    return SigningKey("mallory", Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "alter",
    [
        other_body,
        no_body,
        other_path,
        other_query,
        other_method,
        other_digest,
        without_digest,
        without_condition,
        with_condition,
        other_key,
        other_nonce,
        longer_life,
        garbage,
    ],
)
async def test_a_signed_write_that_was_altered_is_refused(host, alter):
    request = host.signed("POST", "/Users?attributes=userName", Idempotency_Key="mine", If_None_Match="*")
    answer = await host.send(alter(*request))
    assert answer.status == 403, answer.text
    assert "not accepted" in answer.body["detail"]
    assert not host.scim.rows()
    assert (await host.send(request)).status == 201


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("If-None-Match", '"another"'),
        ("If-Match", "*"),
        ("Idempotency-Key", "another"),
        ("Content-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
        ("Signature", "scim=:AAAA:"),
        ("Signature", "other=:AAAA:"),
        ("Signature-Input", 'scim=("@method")'),
    ],
)
async def test_no_second_line_can_be_added_to_what_a_signed_write_says(host, name, value):
    method, path, headers, data = host.signed(Idempotency_Key="mine", If_None_Match="*")
    lines = CIMultiDict(headers)
    lines.add(name, value)
    lines["Authorization"] = f"Bearer {TOKEN}"
    url = f"{host.scim.origin}{host.scim.base}{path}"
    async with host.scim.session.request(method, url, data=data, headers=lines) as answer:
        assert answer.status == 403
        assert "not accepted" in (await answer.json(content_type=None))["detail"]
    assert not host.scim.rows()


def signed_otherwise(host, covered, *, algorithm=ED25519, secret=None, **options):
    """Return a write by the trusted key, signed as the test says."""
    message = _Message("POST", PUBLIC + "/Users", dict(SCIM))
    keys = MappingKeyResolver(public_keys={}, private_keys={host.key.id: secret or host.key.private})
    given = {"key_id": host.key.id, "created": clock.now(), "nonce": "once", "label": "scim", "body": BODY} | options
    HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=keys).sign(
        message, covered_component_ids=covered, **given
    )
    return "POST", "/Users", message.headers, BODY


@dataclass
class _Message:
    method: str
    url: str
    headers: dict


@pytest.mark.parametrize(
    ("covered", "with_body"),
    [
        (("@method",), True),
        (("@target-uri",), True),
        (("@method", "@path"), True),
        (("@method", "@target-uri"), False),
        (("@method", "@target-uri", "content-type"), False),
    ],
)
async def test_a_signature_that_leaves_out_what_matters_is_refused(host, covered, with_body):
    answer = await host.send(signed_otherwise(host, covered, **({} if with_body else {"body": None})))
    assert answer.status == 403
    assert "cover" in answer.body["detail"]
    assert not host.scim.rows()


@pytest.mark.parametrize("include_alg", [True, False])
async def test_the_public_key_is_no_secret_that_anybody_could_sign_with(host, include_alg):
    public = host.key.private.public_key()
    for secret in (public.public_bytes_raw(), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        forged = signed_otherwise(
            host, ("@method", "@target-uri"), algorithm=HMAC_SHA256, secret=secret, include_alg=include_alg
        )
        assert (await host.send(forged)).status == 403
    assert not host.scim.rows()


async def test_two_keys_are_good_while_one_is_exchanged_and_the_old_one_no_more_afterwards(tmp_path):
    make_key(tmp_path / "next.key")
    both = (tmp_path / "engine.key.pub", tmp_path / "next.key.pub")
    async with demanding(tmp_path, keys=both) as host:
        assert (await host.send(host.signed())).status == 201
        key = load_key(tmp_path / "next.key")
        assert (await host.send(host.signed("DELETE", "/Users/bjensen", None, key=key))).status == 204
    async with demanding(tmp_path, keys=both[1:]) as host:
        assert (await host.send(host.signed())).status == 403
        assert (await host.send(host.signed(key=key))).status == 201


async def test_a_body_cannot_be_added_to_a_request_that_had_none(host):
    await host.send(host.signed())
    method, path, headers, _ = host.signed("DELETE", "/Users/bjensen", None)
    answer = await host.send((method, path, headers, b"{}"))
    assert answer.status == 403
    assert len(host.scim.rows()) == 1


async def test_a_signature_for_another_service_is_refused(host):
    answer = await host.send(host.signed(url="https://staging.example.org/t/acme/ecma2host_HR/scim"))
    assert answer.status == 403
    assert "`urls`" in answer.body["detail"]


async def test_a_stranger_cannot_sign(host, tmp_path):
    make_key(tmp_path / "stranger.key")
    answer = await host.send(host.signed(key=load_key(tmp_path / "stranger.key")))
    assert answer.status == 403
    assert "no key of that id is trusted here" in answer.body["detail"]


async def test_a_signature_without_a_nonce_is_refused(host, monkeypatch):
    monkeypatch.setattr("connector_host.signing.requests.secrets.token_urlsafe", lambda _: None)
    answer = await host.send(host.signed())
    assert answer.status == 403
    assert "nonce" in answer.body["detail"]


@pytest.mark.parametrize(("shift_s", "words"), [(400, "expired"), (100, "expired"), (-60, "in the future")])
async def test_a_signature_out_of_its_time_is_refused(host, shift_s, words):
    with time_machine.travel(clock.now(), tick=True) as traveller:
        request = host.signed()
        traveller.shift(shift_s)
        answer = await host.send(request)
    assert answer.status == 403
    assert words in answer.body["detail"]


async def test_the_host_ends_a_signature_that_sets_itself_no_end(host, monkeypatch):
    monkeypatch.setattr("connector_host.signing.requests.LIFE_S", 100_000)
    with time_machine.travel(clock.now(), tick=True) as traveller:
        request = host.signed()
        traveller.shift(331)
        answer = await host.send(request)
    assert answer.status == 403
    assert "older than the 300 s" in answer.body["detail"]


async def test_a_signed_write_that_is_repeated_is_answered_and_not_carried_out_again(host):
    request = host.signed(Idempotency_Key="mine")
    first, again = await host.send(request), await host.send(request)
    assert (first.status, again.status) == (201, 201)
    assert first.text == again.text
    host.scim.run("DELETE FROM Employees")
    assert (await host.send(request)).status == 201
    assert not host.scim.rows()


async def test_a_replay_under_a_key_that_the_relay_thought_up_is_not_carried_out(host):
    method, path, headers, data = host.signed()
    assert (await host.send((method, path, headers | {"Idempotency-Key": "relay-1"}, data))).status == 201
    host.scim.run("DELETE FROM Employees")
    assert (await host.send((method, path, headers | {"Idempotency-Key": "relay-2"}, data))).status == 201
    assert not host.scim.rows()


async def test_a_key_that_the_relay_thought_up_keeps_no_other_write_from_being_carried_out(host):
    for _ in range(2):
        method, path, headers, data = host.signed()
        assert (await host.send((method, path, headers | {"Idempotency-Key": "relay-1"}, data))).status == 201
        assert len(host.scim.rows()) == 1
        host.scim.run("DELETE FROM Employees")


async def test_a_replay_of_a_write_that_was_refused_is_refused_again(host):
    await host.send(host.signed())
    request = host.signed(Idempotency_Key="mine")
    refused = await host.send(request)
    assert refused.status == 409
    host.scim.run("DELETE FROM Employees")
    again = await host.send(request)
    assert (again.status, again.body["scimType"]) == (409, "uniqueness")
    assert not host.scim.rows()
    # Who signs it anew, under the same key, is another attempt.
    assert (await host.send(host.signed(Idempotency_Key="mine"))).status == 201


async def test_a_write_that_is_signed_anew_under_the_same_key_gets_the_recorded_outcome(host):
    first = await host.send(host.signed(Idempotency_Key="mine"))
    again = await host.send(host.signed(Idempotency_Key="mine"))
    assert (first.status, again.status) == (201, 201)
    assert len(host.scim.rows()) == 1


async def test_a_nonce_outlives_the_process(tmp_path):
    async with demanding(tmp_path) as host:
        request = host.signed()
        assert (await host.send(request)).status == 201
        host.scim.run("DELETE FROM Employees")
    async with demanding(tmp_path) as host:
        assert (await host.send(request)).status == 201
        assert not host.scim.rows()


async def test_the_same_signed_write_many_times_at_once_is_carried_out_once(host):
    request = host.signed()
    answers = await asyncio.gather(*(host.send(request) for _ in range(10)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1


async def test_without_a_record_no_signed_write_is_carried_out(tmp_path):
    async with demanding(tmp_path, outcomes=False) as host:
        answer = await host.send(host.signed())
        assert answer.status == 503
        assert "record" in answer.body["detail"]
        assert not host.scim.rows()


async def test_the_token_is_still_needed(host):
    method, path, headers, data = host.signed()
    assert (await host.scim.call(method, path, data=data, headers=headers, token="wrong")).status == 401


async def test_a_signed_dry_run_stays_one_whatever_is_done_to_the_header_under_way(host):
    host.scim.served.settings = host.scim.served.settings.model_copy(update={"dry_run": "statements"})
    method, path, headers, data = host.signed(Dry_Run="true")
    tried = await host.send((method, path, headers, data))
    assert (tried.status, tried.body["detail"][:8]) == (422, "Dry run:")
    taken_away = {name: value for name, value in headers.items() if name != "Dry-Run"}
    for altered in (taken_away, headers | {"Dry-Run": "false"}):
        assert (await host.send((method, path, altered, data))).status == 403
    assert host.scim.rows() == []


async def test_a_dry_run_that_no_signature_covers_is_refused(host):
    host.scim.served.settings = host.scim.served.settings.model_copy(update={"dry_run": "statements"})
    method, path, headers, data = host.signed()
    answer = await host.send((method, path, headers | {"Dry-Run": "true"}, data))
    assert answer.status == 403
    assert '"dry-run" was not covered' in answer.body["detail"]
    assert host.scim.rows() == []

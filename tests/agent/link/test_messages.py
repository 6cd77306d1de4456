"""Ends of different versions read each other's messages: what is new stands last, and has a default."""

from __future__ import annotations

import msgspec
import pytest

from agent.link.messages import Failure, Health, Hello, Reason, RequestHead, ResponseHead
from agent.link.packing import decode, encode

MESSAGES = (
    Hello((1, 1), 65_536, "one", "1.0", frozenset({"deflate"}), b"c", b"d", b"p"),
    RequestHead("POST", "/ecma2host_HR/scim/Users", b"A: b\r\n", "id", 1000, 5, "record", known=True),
    ResponseHead(201, b"A: b\r\n", 5),
    Failure(Reason.BUSY, sent=False, detail="It is busy.", lasting=True),
    Health(reachable=False, record="r", detail="It is down."),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_an_older_end_wrote_is_read(message):
    fields = msgspec.structs.astuple(message)
    required = sum(field.required for field in msgspec.structs.fields(message))
    for known in range(required, len(fields)):
        older = decode(type(message), msgspec.msgpack.encode(fields[:known]))
        assert msgspec.structs.astuple(older)[:known] == fields[:known]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_a_newer_end_adds_is_passed_over(message):
    newer = msgspec.msgpack.encode((*msgspec.structs.astuple(message), "of the future", 7))
    assert decode(type(message), newer) == message
    assert decode(type(message), encode(message)) == message


def test_an_older_relay_that_does_not_say_whether_it_asked_the_client_did_not():
    fields = msgspec.structs.astuple(MESSAGES[1])
    assert not decode(RequestHead, msgspec.msgpack.encode(fields[:-1])).known

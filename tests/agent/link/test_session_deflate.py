"""Answers, and only they, are deflated where both ends said so and where it pays; credit counts them as they are."""

from __future__ import annotations

import hashlib

import pytest

from agent.errors import ProtocolViolation
from agent.link.frames import CREDIT, DEFLATED, HEADER, PAYLOAD_BYTES, Kind, pack, unpack
from agent.link.messages import VERSIONS, Hello
from agent.link.notices import Answered
from agent.link.session import Session
from agent.link.stretches import DEFLATE, WORTH_BYTES, deflated

WINDOW = 200_000
BODY = b'{"userName":"ann@example.org","active":true},' * 2_000
NOISE = hashlib.shake_128(b"noise").digest(2_000)
NEW, OLD = frozenset({DEFLATE}), frozenset()


def joined(relay_can=NEW, agent_can=NEW, *, deflates=True, window=WINDOW):
    """Return the relay's and the agent's session, greeted, and a stream on which the agent may answer."""
    relay = Session(Hello(VERSIONS, window, "relay", "1", relay_can), opens=True)
    agent = Session(Hello(VERSIONS, window, "agent", "1", agent_can), opens=False)
    agent.deflates = deflates
    agent.receive(relay.take())
    relay.receive(agent.take())
    stream = relay.open(b"", end=False)
    agent.receive(relay.take())
    return relay, agent, stream


def answer(agent, stream, body=BODY, *, encoded=False):
    """Return the frames of DATA that the agent sends after the head."""
    agent.respond(stream, b"200", end=False, encoded=encoded)
    head = agent.take()
    agent.send(stream, body, end=True)
    message = agent.take()
    return head + message, list(unpack(message))


def test_a_long_answer_goes_deflated_and_arrives_whole():
    relay, agent, stream = joined()
    message, frames = answer(agent, stream)
    assert len(message) < len(BODY) / 10
    assert all(frame.flags & DEFLATED for frame in frames)
    answered, *stretches = relay.receive(message)
    assert answered == Answered(stream, b"200", end=False)
    assert b"".join(stretch.data for stretch in stretches) == BODY
    assert [stretch.end for stretch in stretches] == [False, True]


@pytest.mark.parametrize(("relay_can", "agent_can"), [(OLD, NEW), (NEW, OLD), (OLD, OLD)])
def test_an_end_without_the_feature_sends_and_gets_what_it_always_did(relay_can, agent_can):
    relay, agent, stream = joined(relay_can, agent_can)
    message, frames = answer(agent, stream)
    assert [frame.flags & DEFLATED for frame in frames] == [0, 0]
    assert b"".join(event.data for event in relay.receive(message)[1:]) == BODY


@pytest.mark.parametrize(
    ("body", "encoded", "deflates"),
    [
        (BODY, True, True),
        (BODY, False, False),
        (BODY[: WORTH_BYTES - 1], False, True),
        (NOISE, False, True),
    ],
    ids=["encoded by the host", "on a near line", "short", "does not shrink"],
)
def test_what_does_not_pay_goes_as_it_is(body, encoded, deflates):
    relay, agent, stream = joined(deflates=deflates)
    message, frames = answer(agent, stream, body, encoded=encoded)
    assert b"".join(frame.payload for frame in frames) == body
    assert relay.receive(message)[-1].end


def test_a_body_that_did_not_shrink_once_is_not_tried_again():
    _, agent, stream = joined()
    agent.respond(stream, b"200", end=False, encoded=False)
    agent.send(stream, NOISE)
    agent.send(stream, BODY)
    assert not any(frame.flags & DEFLATED for frame in unpack(agent.take()))


def test_no_stretch_depends_on_what_went_before():
    _, agent, stream = joined()
    _, (first, second) = answer(agent, stream, BODY[:PAYLOAD_BYTES] * 2)
    assert first.payload == second.payload == deflated(BODY[:PAYLOAD_BYTES])


def test_requests_are_never_deflated():
    relay, agent, stream = joined()
    relay.deflates = True
    relay.send(stream, BODY, end=True)
    message = relay.take()
    assert not any(frame.flags & DEFLATED for frame in unpack(message))
    with pytest.raises(ProtocolViolation, match="nobody agreed on"):
        agent.receive(pack(Kind.DATA, stream, deflated(BODY[:PAYLOAD_BYTES]), deflated=True))


def test_a_deflated_stretch_without_the_feature_is_a_violation():
    relay, agent, stream = joined(relay_can=OLD)
    agent.respond(stream, b"200", end=False)
    relay.receive(agent.take())
    with pytest.raises(ProtocolViolation, match="nobody agreed on"):
        relay.receive(pack(Kind.DATA, stream, deflated(BODY[:2_000]), deflated=True))


def test_credit_counts_the_body_as_it_is():
    relay, agent, stream = joined(window=3_000)
    agent.respond(stream, b"200", end=False, encoded=False)
    agent.send(stream, BODY[:2_000])
    assert agent.credit(stream) == 1_000
    relay.receive(agent.take())
    with pytest.raises(ProtocolViolation, match="more data than the window allows"):
        relay.receive(pack(Kind.DATA, stream, deflated(BODY[:1_001]), deflated=True))


def test_credit_for_what_was_deflated_is_given_back_as_it_is():
    relay, agent, stream = joined(window=3_000)
    agent.respond(stream, b"200", end=False, encoded=False)
    agent.send(stream, BODY[:3_000])
    relay.receive(agent.take())
    relay.grant(stream, 3_000)
    (window,) = unpack(relay.take())
    assert CREDIT.unpack(window.payload) == (3_000,)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.DATA, Kind.HELLO} and kind < 0x80])
def test_the_flag_belongs_to_data_alone(kind):
    relay, _, stream = joined()
    with pytest.raises(ProtocolViolation, match="flags"):
        relay.receive(HEADER.pack(kind, DEFLATED, stream, 0))

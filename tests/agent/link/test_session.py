"""The session's rules, without a socket: flow control, ends, draining, and what an older or newer end may send."""

from __future__ import annotations

import pytest

from agent.errors import ProtocolViolation
from agent.link.frames import CREDIT, EXTENSION, HEADER, PAYLOAD_BYTES, Kind, pack
from agent.link.links import MESSAGE_BYTES
from agent.link.messages import VERSIONS, Health, Hello
from agent.link.notices import (
    Answered,
    Cancelled,
    Credited,
    Draining,
    Failed,
    Greeted,
    Opened,
    Ponged,
    Received,
    RenewalAsked,
    Renewed,
    Told,
)
from agent.link.outbox import BATCH_BYTES, REPLY_BYTES
from agent.link.packing import encode
from agent.link.session import Session

WINDOW = 100_000


def hello(window=WINDOW, versions=VERSIONS):
    return Hello(versions, window, "an end", "1.0")


def joined():
    """Return the relay's and the agent's session, both greeted."""
    relay, agent = Session(hello(), opens=True), Session(hello(), opens=False)
    assert agent.receive(relay.take()) == [Greeted(hello())]
    assert relay.receive(agent.take()) == [Greeted(hello())]
    return relay, agent


def move(source, target):
    """Deliver what waits, if anything does."""
    if message := source.take():
        target.receive(message)


def test_a_request_and_its_answer():
    relay, agent = joined()
    stream = relay.open(b"head", end=False)
    relay.send(stream, b"body", end=True)
    assert agent.receive(relay.take()) == [Opened(stream, b"head", end=True, body=b"body")]
    agent.respond(stream, b"200", end=False)
    agent.send(stream, b"answer", end=True)
    assert relay.receive(agent.take()) == [Answered(stream, b"200", end=True, body=b"answer")]
    assert (relay.open_streams, agent.open_streams) == (0, 0)


def test_a_body_that_does_not_come_with_its_head_is_told_of_by_itself():
    relay, agent = joined()
    stream = relay.open(b"head", end=False)
    assert agent.receive(relay.take()) == [Opened(stream, b"head", end=False)]
    relay.send(stream, b"body", end=True)
    assert agent.receive(relay.take()) == [Received(stream, b"body", end=True)]
    agent.respond(stream, b"200", end=False)
    agent.send(stream, b"some")
    agent.send(stream, b"more", end=True)
    some, more = Received(stream, b"some", end=False), Received(stream, b"more", end=True)
    assert relay.receive(agent.take()) == [Answered(stream, b"200", end=False), some, more]


@pytest.mark.parametrize("relays", [True, False])
def test_a_body_that_comes_with_its_head_stays_within_the_window(relays):
    relay, agent = Session(hello(3), opens=True), Session(hello(3), opens=False)
    agent.receive(relay.take())
    relay.receive(agent.take())
    relay.open(b"head", end=True)
    agent.receive(relay.take())
    here, kind, stream = (relay, Kind.RESPONSE, 1) if relays else (agent, Kind.REQUEST, 2)
    with pytest.raises(ProtocolViolation, match="more data"):
        here.receive(pack(kind, stream, b"head") + pack(Kind.DATA, stream, b"four", end=True))


def test_no_stream_is_opened_before_the_hello():
    with pytest.raises(ValueError, match="may not open"):
        Session(hello(), opens=True).open(b"", end=True)


def test_only_the_relay_opens_streams():
    _, agent = joined()
    with pytest.raises(ValueError, match="may not open"):
        agent.open(b"", end=True)


def test_data_stays_within_the_window_and_a_grant_lets_more_through():
    relay, agent = joined()
    stream = relay.open(b"", end=False)
    relay.send(stream, b"x" * WINDOW)
    assert relay.credit(stream) == 0
    with pytest.raises(ValueError, match="more data"):
        relay.send(stream, b"x")
    agent.receive(relay.take())
    agent.grant(stream, 10)
    assert relay.receive(agent.take()) == [Credited(stream)]
    assert relay.credit(stream) == 10


def test_no_message_is_longer_than_the_other_end_reads():
    relay, agent = Session(hello(10_000_000), opens=True), Session(hello(10_000_000), opens=False)
    agent.receive(relay.take())
    relay.receive(agent.take())
    stream = relay.open(b"", end=False)
    relay.send(stream, b"x" * (BATCH_BYTES - 3 * HEADER.size - PAYLOAD_BYTES))
    relay.send(stream, b"x" * 1_000_000)
    sizes = []
    while message := relay.take():
        sizes.append(len(message))
    assert max(sizes) <= BATCH_BYTES
    for _ in range(3):
        relay.open(b"h" * PAYLOAD_BYTES, b"x" * PAYLOAD_BYTES, end=True)
    while message := relay.take():
        sizes.append(len(message))
    assert BATCH_BYTES < max(sizes) == 2 * (HEADER.size + PAYLOAD_BYTES) <= MESSAGE_BYTES // 2 + 2 * HEADER.size


def test_only_agents_tell_and_ask_and_only_the_relay_issues():
    relay, agent = joined()
    assert relay.receive(pack(Kind.RENEWED, 0, b"x") + pack(Kind.RENEW, 0, b"x")) == [RenewalAsked(b"x")]
    health = pack(Kind.HEALTH, 0, encode(Health(reachable=True, record="")))
    assert agent.receive(pack(Kind.RENEW, 0, b"x") + health + pack(Kind.RENEWED, 0, b"x")) == [Renewed(b"x")]


def test_long_data_is_cut_into_frames():
    relay, agent = joined()
    stream = relay.open(b"", end=False)
    relay.send(stream, b"x" * WINDOW, end=True)
    sizes = [len(event.data) for event in agent.receive(relay.take()) if isinstance(event, Received)]
    assert sizes == [PAYLOAD_BYTES, WINDOW - PAYLOAD_BYTES]


def test_an_end_that_sends_more_than_the_window_is_cut_off():
    relay, agent = joined()
    stream = relay.open(b"", end=False)
    agent.receive(relay.take())
    flood = pack(Kind.DATA, stream, b"x" * 60_000)
    with pytest.raises(ProtocolViolation, match="more data than the window"):
        agent.receive(flood + flood)


def test_a_window_without_bounds_is_a_violation():
    relay, agent = joined()
    stream = relay.open(b"", end=False)
    agent.receive(relay.take())
    with pytest.raises(ProtocolViolation, match="without bounds"):
        agent.receive(pack(Kind.WINDOW, stream, CREDIT.pack(2**31 - 1)))


@pytest.mark.parametrize("waits", [False, True])
def test_how_the_host_is_goes_with_the_hello(waits):
    relay = Session(Hello(VERSIONS, WINDOW, "relay", "1"), opens=True)
    hello = Hello(VERSIONS, WINDOW, "agent", "1")
    agent = Session(hello, opens=False, reply=(lambda _: hello) if waits else None)
    agent.tell(Health(reachable=False, record=""))
    agent.tell(Health(reachable=True, record="r"))
    if waits:
        assert not agent.take(), "it says hello only once it was greeted"
        agent.receive(relay.take())
    first, *_, last = relay.receive(agent.take())
    assert (first, last) == (Greeted(hello), Told(Health(reachable=True, record="r")))


def test_a_request_that_was_not_taken_is_unsent():
    relay, _ = joined()
    stream = relay.open(b"", end=True)
    assert relay.is_unsent(stream)
    relay.take()
    assert not relay.is_unsent(stream)


def test_a_request_that_was_given_up_before_it_left_never_leaves():
    relay, agent = joined()
    before = relay.open(b"before", end=True)
    given_up = relay.open(b"given up", b"with a body", end=True)
    begun = relay.open(b"begun", end=False)
    relay.send(begun, b"a part of it")
    after = relay.open(b"after", b"it", end=True)
    assert relay.cancel(given_up)
    assert relay.cancel(begun)
    assert relay.is_unsent(given_up)
    message = relay.take()
    assert relay.waiting_bytes == 0
    assert [event.stream for event in agent.receive(message)] == [before, after]
    assert relay.open_streams == agent.open_streams == 2


def test_a_request_that_was_given_up_once_it_left_is_cancelled():
    relay, agent = joined()
    stream = relay.open(b"", end=False)
    agent.receive(relay.take())
    relay.send(stream, b"more of it")
    relay.cancel(stream)
    assert agent.receive(relay.take()) == [Received(stream, b"more of it", end=False), Cancelled(stream)]


def test_under_load_a_request_is_unsent_until_its_own_batch_leaves():
    relay, _ = joined()
    for _ in range(BATCH_BYTES // WINDOW + 1):
        relay.send(relay.open(b"", end=False), b"x" * WINDOW)
    last = relay.open(b"", end=True)
    relay.take()
    assert relay.is_unsent(last)
    relay.take()
    assert not relay.is_unsent(last)


def test_a_request_and_its_answer_go_with_their_bodies_as_frames_that_any_end_reads():
    relay, agent = joined()
    stream = relay.open(b"head", b"body", end=True)
    message = relay.take()
    assert message == pack(Kind.REQUEST, stream, b"head") + pack(Kind.DATA, stream, b"body", end=True)
    assert agent.receive(message) == [Opened(stream, b"head", end=True, body=b"body")]
    agent.respond(stream, b"200", b"answer", end=True)
    message = agent.take()
    assert message == pack(Kind.RESPONSE, stream, b"200") + pack(Kind.DATA, stream, b"answer", end=True)
    assert relay.receive(message) == [Answered(stream, b"200", end=True, body=b"answer")]
    assert relay.open_streams == agent.open_streams == 0


def test_bodies_that_wait_with_their_heads_are_no_replies_that_nobody_takes():
    relay, agent = joined()
    for _ in range(REPLY_BYTES // PAYLOAD_BYTES + 2):
        stream = relay.open(b"", end=True)
        agent.receive(relay.take())
        agent.respond(stream, b"200", b"x" * PAYLOAD_BYTES, end=True)
    for _ in range(REPLY_BYTES // BATCH_BYTES - 2):
        relay.receive(agent.take())
    for _ in range(REPLY_BYTES // PAYLOAD_BYTES):
        stream = relay.open(b"", end=True)
        agent.receive(relay.take())
        agent.fail(stream, b"x" * PAYLOAD_BYTES)
    with pytest.raises(ProtocolViolation, match="does not take"):
        agent.receive(pack(Kind.PING, 0, b"12345678"))


def test_what_comes_late_on_a_cancelled_stream_is_passed_over():
    relay, agent = joined()
    stream = relay.open(b"", end=True)
    agent.receive(relay.take())
    relay.cancel(stream)
    agent.respond(stream, b"200", end=False)
    agent.send(stream, b"late", end=True)
    assert relay.receive(agent.take()) == []
    assert agent.receive(relay.take()) == []


def test_a_cancel_ends_the_stream_at_the_other_end():
    relay, agent = joined()
    stream = relay.open(b"", end=False)
    agent.receive(relay.take())
    relay.cancel(stream)
    assert agent.receive(relay.take()) == [Cancelled(stream)]
    assert agent.open_streams == 0


def test_a_failure_ends_the_stream_with_its_reason():
    relay, agent = joined()
    stream = relay.open(b"", end=True)
    agent.receive(relay.take())
    agent.fail(stream, b"why")
    assert relay.receive(agent.take()) == [Failed(stream, b"why")]
    assert relay.open_streams == 0


def test_a_ping_is_answered():
    relay, agent = joined()
    relay.ping(b"12345678")
    assert agent.receive(relay.take()) == []
    assert relay.receive(agent.take()) == [Ponged(b"12345678")]


@pytest.mark.parametrize("who", ["relay", "agent"])
def test_a_link_has_drained_only_when_no_request_can_be_on_its_way(who):
    relay, agent = joined()
    ends = (relay, agent) if who == "relay" else (agent, relay)
    stream = relay.open(b"", end=True)
    ends[0].drain("a restart")
    move(relay, agent)
    move(agent, relay)
    move(relay, agent)
    assert relay.draining
    assert not ends[0].drained
    with pytest.raises(ValueError, match="may not open"):
        relay.open(b"", end=True)
    agent.respond(stream, b"200", end=True)
    move(agent, relay)
    move(relay, agent)
    assert ends[0].drained


def test_an_idle_link_waits_for_the_other_goaway_before_it_has_drained():
    relay, agent = joined()
    agent.drain("a restart")
    message = agent.take()
    assert not agent.drained, "a request may be on its way"
    relay.receive(message)
    move(relay, agent)
    assert agent.drained


def test_draining_says_why():
    relay, agent = joined()
    relay.drain("a restart")
    assert agent.receive(relay.take()) == [Draining("a restart")]


def test_kinds_of_a_newer_end_are_passed_over():
    relay, agent = joined()
    newer = HEADER.pack(EXTENSION + 100, 7, 99, 3) + b"new"
    assert agent.receive(newer) == []
    relay.ping(b"12345678")
    assert agent.receive(relay.take()) == []


@pytest.mark.parametrize("kind", [0, 11, 100, Kind.HELLO])
def test_other_kinds_are_a_violation(kind):
    _, agent = joined()
    with pytest.raises(ProtocolViolation, match="no place here"):
        agent.receive(HEADER.pack(kind, 0, 0, 0))


@pytest.mark.parametrize(
    ("ours", "theirs", "spoken"),
    [((1, 1), (1, 1), 1), ((1, 1), (1, 9), 1), ((1, 3), (1, 2), 2), ((2, 3), (1, 9), 3), ((1, 3), (3, 4), 3)],
)
def test_two_ends_speak_the_newest_version_that_both_know(ours, theirs, spoken):
    relay, agent = Session(hello(versions=ours), opens=True), Session(hello(versions=theirs), opens=False)
    agent.receive(relay.take())
    relay.receive(agent.take())
    assert (relay.version, agent.version) == (spoken, spoken)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ((1, 1), (2, 9), ("version 1", "versions 2 to 9")),
        ((3, 4), (1, 1), ("versions 3 to 4", "version 1")),
        ((1, 3), (3, 2), ("versions 1 to 3", "versions 3 to 2")),
        ((2, 1), (1, 2), ("versions 2 to 1", "versions 1 to 2")),
    ],
)
def test_ends_that_share_no_version_part_and_say_why(ours, theirs, words):
    session = Session(hello(versions=ours), opens=True)
    session.take()
    with pytest.raises(ProtocolViolation, match=f"^{words[1]} of the protocol, and this end speaks {words[0]}$"):
        session.receive(pack(Kind.HELLO, 0, encode(hello(versions=theirs))))
    assert session.take().endswith(f"it speaks {words[0]} of the protocol, and was offered {words[1]}".encode())


def test_a_hello_with_more_fields_than_we_know_is_understood():
    import msgspec

    payload = msgspec.msgpack.encode([[1, 2], 1000, "newer", "9.9", ["later"], b"", b"", b"", "a field of tomorrow"])
    assert Session(hello(), opens=True).receive(pack(Kind.HELLO, 0, payload))[0].hello.name == "newer"


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pack(Kind.REQUEST, 3, b""), "may not be opened"),
        (pack(Kind.DATA, 9, b""), "never opened"),
        (pack(Kind.DATA, 0, b""), "never opened"),
        (pack(Kind.DATA, 1, b""), "data where none may come"),
        (pack(Kind.WINDOW, 1, b"123"), "wrong length"),
        (pack(Kind.PING, 0, b"1"), "wrong length"),
    ],
)
def test_an_agent_that_breaks_the_rules_is_found_out(frame, words):
    relay, _ = joined()
    relay.open(b"", end=True)
    with pytest.raises(ProtocolViolation, match=words):
        relay.receive(frame)


def test_a_second_answer_is_a_violation():
    relay, _ = joined()
    relay.open(b"", end=True)
    relay.receive(pack(Kind.RESPONSE, 1, b""))
    with pytest.raises(ProtocolViolation, match="second answer"):
        relay.receive(pack(Kind.RESPONSE, 1, b""))


@pytest.mark.parametrize("kind", [Kind.RESPONSE, Kind.FAIL])
def test_a_relay_does_not_answer(kind):
    relay, agent = joined()
    relay.open(b"", end=True)
    agent.receive(relay.take())
    with pytest.raises(ProtocolViolation, match="from the end that asks"):
        agent.receive(pack(kind, 1, b""))


def test_stream_numbers_only_grow():
    _, agent = joined()
    agent.receive(pack(Kind.REQUEST, 5, b""))
    with pytest.raises(ProtocolViolation, match="may not be opened"):
        agent.receive(pack(Kind.REQUEST, 5, b""))


@pytest.mark.parametrize("asks", [lambda _: pack(Kind.PING, 0, b"01234567"), lambda stream: pack(Kind.REQUEST, stream)])
def test_whoever_asks_and_takes_no_answer_is_cut_off_before_memory_is(asks):
    _, agent = joined()

    def ask_on_and_on():
        for stream in range(1, 300_000):
            for event in agent.receive(asks(stream)):
                agent.fail(event.stream, b"busy" * 20)

    with pytest.raises(ProtocolViolation, match="does not take what is answered"):
        ask_on_and_on()
    assert agent.waiting_bytes < 5_000_000

"""Whatever both ends do, in whatever order messages move: bodies arrive whole and in order, and nobody trips."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from agent.link.messages import Hello
from agent.link.notices import Answered, Cancelled, Failed, Opened, Received
from agent.link.session import Session
from agent.link.stretches import DEFLATE

WINDOW = 3_000
BODIES = st.binary(max_size=64) | st.builds(
    lambda data, times: data * times, st.binary(max_size=64), st.integers(0, 60)
)
FEATURES = st.sampled_from([frozenset(), frozenset({DEFLATE})])


class TwoEnds(RuleBasedStateMachine):
    """A relay and an agent, and messages on their way between them."""

    streams = Bundle("streams")

    def __init__(self):
        super().__init__()
        self.opened, self.answered, self.broken = set(), set(), set()

    @initialize(relay_can=FEATURES, agent_can=FEATURES, deflates=st.booleans())
    def greet(self, relay_can, agent_can, deflates):
        self.relay = Session(Hello((1, 1), WINDOW, "relay", "1", relay_can), opens=True)
        self.agent = Session(Hello((1, 1), WINDOW, "agent", "1", agent_can), opens=False)
        self.agent.deflates = deflates
        self.agent.receive(self.relay.take())
        self.relay.receive(self.agent.take())
        self.sent = {self.relay: defaultdict(bytes), self.agent: defaultdict(bytes)}
        self.received = {self.relay: defaultdict(bytes), self.agent: defaultdict(bytes)}
        self.ended = {self.relay: set(), self.agent: set()}

    @rule(target=streams, end=st.booleans(), body=BODIES)
    def open(self, end, body):
        if self.relay.draining:
            return 0
        body = body[:WINDOW] if end else b""
        stream = self.relay.open(b"head", body, end=end)
        self.sent[self.relay][stream] += body
        if end:
            self.ended[self.relay].add(stream)
        return stream

    @rule(stream=streams, encoded=st.booleans(), end=st.booleans(), body=BODIES)
    def answer(self, stream, encoded, end, body):
        if stream in self.opened and stream not in self.answered | self.broken:
            self.answered.add(stream)
            body = body[: self.agent.credit(stream)] if end else b""
            self.agent.respond(stream, b"200", body, end=end, encoded=encoded)
            self.sent[self.agent][stream] += body
            if end:
                self.ended[self.agent].add(stream)

    @rule(stream=streams, data=BODIES, end=st.booleans(), from_relay=st.booleans())
    def send(self, stream, data, end, from_relay):
        session = self.relay if from_relay else self.agent
        if stream in self.broken or stream in self.ended[session] or not stream:
            return
        if session is self.agent and stream not in self.answered:
            return
        data = data[: session.credit(stream)]
        session.send(stream, data, end=end)
        self.sent[session][stream] += data
        if end:
            self.ended[session].add(stream)

    @rule(stream=streams, size=st.integers(1, WINDOW), from_relay=st.booleans())
    def grant(self, stream, size, from_relay):
        session, other = (self.relay, self.agent) if from_relay else (self.agent, self.relay)
        if stream in self.received[session] and stream not in self.ended[other]:
            session.grant(stream, min(size, len(self.received[session][stream])))

    @rule(stream=consumes(streams), from_relay=st.booleans())
    def give_up(self, stream, from_relay):
        if stream:
            self.broken.add(stream)
            (self.relay if from_relay else self.agent).cancel(stream)

    @rule(stream=consumes(streams))
    def fail(self, stream):
        if stream in self.opened and stream not in self.broken:
            self.broken.add(stream)
            self.agent.fail(stream, b"why")

    @rule(to_agent=st.booleans())
    def move(self, to_agent):
        source, target = (self.relay, self.agent) if to_agent else (self.agent, self.relay)
        message = source.take()
        for event in target.receive(message) if message else ():
            match event:
                case Opened(stream, _, end, body):
                    assert end or not body
                    self.opened.add(stream)
                    self.received[target][stream] += body
                case Received(stream, data, _):
                    self.received[target][stream] += data
                case Cancelled(stream) | Failed(stream, _):
                    self.broken.add(stream)
                case Answered(stream, _, end, body):
                    assert end or not body
                    assert stream in self.answered
                    self.received[target][stream] += body
                case _:
                    pass

    @rule(by_relay=st.booleans())
    def drain(self, by_relay):
        (self.relay if by_relay else self.agent).drain("enough")

    @invariant()
    def what_arrived_is_a_beginning_of_what_was_sent(self):
        for source, target in ((self.relay, self.agent), (self.agent, self.relay)):
            for stream, data in self.received[target].items():
                assert self.sent[source][stream].startswith(data)

    def teardown(self):
        for _ in range(3):
            self.move(to_agent=True)
            self.move(to_agent=False)
        for source, target in ((self.relay, self.agent), (self.agent, self.relay)):
            for stream, data in self.sent[source].items():
                if stream not in self.broken:
                    assert self.received[target][stream] == data


TestTwoEnds = TwoEnds.TestCase

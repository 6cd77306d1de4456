"""Whatever the other end sends, in whatever order: a session takes it, or says that it is a violation, and no more."""

from __future__ import annotations

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ProtocolViolation
from agent.link.frames import CREDIT, HEADER, Kind, pack
from agent.link.messages import Hello, RequestHead, ResponseHead
from agent.link.packing import encode
from agent.link.session import STREAM_LIMIT, Session
from agent.link.stretches import DEFLATE

HELLO = Hello((1, 1), 1_000, "end", "1", frozenset({DEFLATE}))
PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 2**32 - 1).map(CREDIT.pack),
    st.just(encode(RequestHead("GET", "/", b"", "id", 1))),
    st.just(encode(ResponseHead(200, b""))),
    st.just(b"12345678"),
    st.builds(lambda size: zlib.compress(bytes(size), wbits=-15), st.sampled_from([0, 1, 999, 1_001, 70_000])),
)
FRAMES = st.builds(
    lambda kind, flags, stream, payload: HEADER.pack(kind, flags, stream, len(payload)) + payload,
    st.one_of(st.sampled_from(Kind), st.integers(0, 255)),
    st.sampled_from([0, 0, 1, 2, 2, 3, 4]),
    st.one_of(st.integers(0, 4), st.integers(0, 2**32 - 1)),
    PAYLOADS,
)


@settings(max_examples=300)
@given(st.booleans(), st.lists(FRAMES, max_size=30), st.integers(0, 3))
def test_hostile_frames_do_no_worse_than_a_violation(opens, frames, opened):
    session = Session(HELLO, opens=opens)
    session.receive(pack(Kind.HELLO, 0, encode(HELLO)))
    for _ in range(opened if opens else 0):
        session.receive(pack(Kind.RESPONSE, session.open(b"head", end=False)))
    received = 0
    try:
        for frame in frames:
            for notice in session.receive(frame):
                received += len(getattr(notice, "data", b""))
    except ProtocolViolation:
        pass
    # However it went: no more was let in than each stream's window, and no more streams than were opened or may be.
    assert received <= 1_000 * (opened if opens else len(frames))
    assert session.open_streams <= (opened if opens else min(len(frames), STREAM_LIMIT))


@given(st.binary(max_size=300), st.booleans())
def test_bytes_instead_of_a_hello_do_no_worse_than_a_violation(message, opens):
    session = Session(HELLO, opens=opens)
    try:
        session.receive(message)
    except ProtocolViolation:
        assert session.peer is None or message.startswith(bytes([Kind.HELLO]))

"""Frames survive packing, and no bytes from outside do worse than a ProtocolViolation."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.errors import ProtocolViolation
from agent.link.frames import END, EXTENSION, HEADER, PAYLOAD_BYTES, Frame, Kind, pack, unpack
from agent.link.messages import Failure, Hello, RequestHead, ResponseHead
from agent.link.packing import decode

FRAMES = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    flags=st.sampled_from([0, END]),
    stream=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=200),
)


def apart(frames):
    """Return the frames as they stand in the message: a head's whole body by itself."""
    return [one for frame in frames for one in _apart(frame)]


def _apart(frame):
    yield Frame(frame.kind, frame.flags, frame.stream, frame.payload)
    if frame.body is not None:
        yield Frame(Kind.DATA, END, frame.stream, frame.body)


@given(st.lists(FRAMES, min_size=1, max_size=8))
def test_what_was_packed_is_unpacked(frames):
    message = b"".join(pack(Kind(one.kind), one.stream, one.payload, end=bool(one.flags)) for one in frames)
    assert apart(unpack(message)) == frames


@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.RESPONSE])
def test_a_head_and_its_whole_body_are_unpacked_together(kind):
    head, body = pack(kind, 1, b"head"), pack(Kind.DATA, 1, b"body", end=True)
    assert list(unpack(head + body + head)) == [Frame(kind, 0, 1, b"head", b"body"), Frame(kind, 0, 1, b"head")]
    others = [pack(Kind.DATA, 2, b"body", end=True), pack(Kind.DATA, 1, b"body"), pack(kind, 1, b"body", end=True)]
    for other in (*others, pack(Kind.DATA, 1, b"body", end=True, deflated=True)):
        assert [frame.body for frame in unpack(head + other)] == [None, None]
    assert [frame.body for frame in unpack(pack(kind, 1, b"head", end=True) + body)] == [None, None]


@given(st.binary(max_size=500))
def test_garbage_is_a_violation_or_frames_of_its_own_size(message):
    try:
        frames = list(unpack(message))
    except ProtocolViolation:
        return
    assert sum(HEADER.size + len(frame.payload) for frame in apart(frames)) == len(message)


@given(st.lists(FRAMES, min_size=1, max_size=4), st.data())
def test_a_message_cut_short_is_never_taken_for_whole(frames, data):
    message = b"".join(pack(Kind(one.kind), one.stream, one.payload, end=bool(one.flags)) for one in frames)
    cut = data.draw(st.integers(0, len(message) - 1))
    try:
        received = apart(unpack(message[:cut]))
    except ProtocolViolation:
        return
    assert received == frames[: len(received)]
    assert len(received) < len(frames)


@pytest.mark.parametrize("length", [PAYLOAD_BYTES + 1, 2**32 - 1])
def test_a_length_beyond_the_limit_is_refused_before_anything_is_kept(length):
    with pytest.raises(ProtocolViolation, match="is the most"):
        list(unpack(HEADER.pack(Kind.DATA, 0, 1, length)))


def test_flags_that_nobody_defined_are_refused_on_kinds_that_are_known():
    with pytest.raises(ProtocolViolation, match="flags"):
        list(unpack(HEADER.pack(Kind.DATA, 4, 1, 0)))
    assert next(unpack(HEADER.pack(EXTENSION, 2, 1, 0))).flags == 2


@given(st.sampled_from([Hello, RequestHead, ResponseHead, Failure]), st.binary(max_size=200))
@example(RequestHead, b"\x97\xa1\xff\xa1a\xc4\x00\xa1a\x01\xc0\xa0")
def test_a_payload_that_is_no_message_is_a_violation(kind, payload):
    try:
        message = decode(kind, payload)
    except ProtocolViolation:
        return
    assert isinstance(message, kind)

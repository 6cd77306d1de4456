"""A stretch is deflated where that saves, comes back as it was, and never grows beyond what one frame may hold."""

from __future__ import annotations

import hashlib
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ProtocolViolation
from agent.link.frames import PAYLOAD_BYTES
from agent.link.stretches import WORTH_BYTES, deflated, inflated

NOISE = hashlib.shake_128(b"noise").digest(PAYLOAD_BYTES)


def raw(data):
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


@given(st.binary(max_size=400), st.integers(1, 160))
def test_what_was_deflated_comes_back_as_it_was_and_is_a_quarter_shorter(data, times):
    stretch = (data * times)[:PAYLOAD_BYTES]
    payload = deflated(stretch)
    if payload is not None:
        assert len(payload) <= len(stretch) * 0.75
        assert inflated(payload) == stretch


def test_what_does_not_shrink_is_left_as_it_is():
    assert deflated(NOISE[:WORTH_BYTES]) is None
    assert deflated(NOISE) is None


def test_the_longest_stretch_passes_and_one_byte_more_does_not():
    assert inflated(raw(b"x" * PAYLOAD_BYTES)) == b"x" * PAYLOAD_BYTES
    with pytest.raises(ProtocolViolation, match="more than 65536 bytes"):
        inflated(raw(b"x" * (PAYLOAD_BYTES + 1)))


def test_a_bomb_is_refused_before_it_takes_memory():
    bomb = raw(bytes(60_000_000))
    assert len(bomb) < PAYLOAD_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolViolation, match="more than"):
            inflated(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * PAYLOAD_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "payload", [b"", raw(b"x" * 2_000)[:-1], raw(b"x") + b"!", zlib.compress(b"x" * 2_000), b"\xff" * 20]
)
def test_what_is_no_single_deflated_stretch_is_refused(payload):
    with pytest.raises(ProtocolViolation, match="deflated stretch"):
        inflated(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_stretch_or_a_violation(payload):
    with suppress(ProtocolViolation):
        assert len(inflated(payload)) <= PAYLOAD_BYTES

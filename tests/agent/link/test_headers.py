"""Header blocks: what passes is lines of a name and a value, and none that would change how a message is framed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.link.headers import FRAMING, HOP_BY_HOP, is_block, said

TOKEN = frozenset(b"!#$%&'*+.^_`|~-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
NAMES = st.sampled_from([*sorted(HOP_BY_HOP | FRAMING), b"X-Content-Length", b"Hosts", b"A", b"traceparent", b""])


def is_line(line):
    name, colon, value = line.partition(b": ")
    return (
        bool(name and colon)
        and TOKEN.issuperset(name)
        and name.lower() not in HOP_BY_HOP | FRAMING
        and not {0, 10, 13}.intersection(value)
    )


@given(st.lists(st.tuples(NAMES, st.sampled_from([b": ", b":", b" : ", b":  "]), st.binary(max_size=8))))
@example([(b"Content-Length", b": ", b"1"), (b"A", b": ", b"b")])
@example([(b"A", b": ", b"b"), (b"TRANSFER-encoding", b": ", b"chunked")])
def test_a_block_is_what_its_lines_are(parts):
    lines = [b"".join(part) for part in parts]
    whole = b"".join(line + b"\r\n" for line in lines)
    # What stands in a value may make lines of its own.
    assert is_block(whole) == all(is_line(line) for line in whole.split(b"\r\n")[:-1])


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | FRAMING))
def test_no_header_of_one_hop_passes_in_any_case(name):
    for spelling in (name, name.upper(), name.title()):
        assert not is_block(b"A: b\r\n%b: 1\r\n" % spelling)
        assert is_block(b"A: b\r\nX-%b: 1\r\n" % spelling)


@pytest.mark.parametrize(
    "block", [b"A: b", b"A: b\n", b"A: b\r\n\r\n", b"A: b\r\n c\r\n", b"\r\n", b"A\r\n", b"\xc3: b\r\n"]
)
def test_what_is_cut_short_folded_or_no_line_does_not_pass(block):
    assert not is_block(block)


@pytest.mark.parametrize(
    ("block", "value"),
    [
        (b"", None),
        (b"traceparent: a\r\n", "a"),
        (b"A: b\r\nTraceParent: 00-1\r\nC: d\r\n", "00-1"),
        (b"X-traceparent: a\r\n", None),
        (b"traceparent: a\r\nB: c\r\nTRACEPARENT: b\r\n", None),
        (b"A: traceparent: a\r\n", None),
        (b"traceparent: \r\n", None),
        (b"traceparent: a b\r\n", None),
        (b"traceparent: %b\r\n" % (b"a" * 128), "a" * 128),
        (b"traceparent: %b\r\n" % (b"a" * 129), None),
        (b"traceparent: \xff\r\n", None),
    ],
)
def test_a_header_is_shown_where_it_is_there_once_and_may_be_logged(block, value):
    assert said(block, "traceparent") == value

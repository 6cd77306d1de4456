"""A trace that a client names goes on with a span of our own; anything else begins a new one (W3C Trace Context)."""

import re

import pytest

from connector_host import traces

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{ID}-{SPAN}-01"
WELL_FORMED = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def test_a_trace_goes_on_with_a_span_of_our_own():
    trace = traces.go_on([GIVEN])
    assert (trace.id, trace.flags, trace.begun_here) == (ID, "01", False)
    assert trace.span != SPAN
    assert WELL_FORMED.fullmatch(trace.header)


def test_a_later_version_is_read_as_far_as_it_is_known():
    trace = traces.go_on([f"cc-{ID}-{SPAN}-ff-what-the-future-will-be-like"])
    assert (trace.id, trace.header[:3], trace.flags) == (ID, "00-", "01")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "hello",
        GIVEN.upper(),
        GIVEN + "x",
        GIVEN + "-more",
        GIVEN[:-1],
        f"ff-{ID}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        GIVEN.replace("4bf9", "xyz0"),
        f"{GIVEN}\n",
        "cc-" + GIVEN[3:] + "-" + "x" * 10_000,
    ],
)
def test_what_is_no_trace_begins_a_new_one(given):
    trace = traces.go_on([given])
    assert (trace.begun_here, trace.id == ID) == (True, False)
    assert WELL_FORMED.fullmatch(trace.header)


@pytest.mark.parametrize("given", [[], [GIVEN, GIVEN], [GIVEN, GIVEN.replace("4bf9", "1111")]])
def test_none_or_several_begin_a_new_one(given):
    trace = traces.go_on(given)
    assert (trace.begun_here, trace.id == ID) == (True, False)


def test_flags_that_nobody_defined_go_on_as_zero():
    assert traces.go_on([f"00-{ID}-{SPAN}-ff"]).flags == "03"


def test_every_request_of_a_trace_has_a_span_of_its_own():
    trace = traces.begin()
    spans = [trace.next_span() for _ in range(3)]
    assert {one.id for one in spans} == {trace.id}
    assert len({one.span for one in (trace, *spans)}) == 4

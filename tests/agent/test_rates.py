"""A bucket lets so many through, a burst after a quiet moment, and forgets who is idle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rates import BURST_S, KNOWN, Rates
from connector_host.networks import network_of


@given(st.lists(st.floats(0, 0.5), max_size=200), st.floats(0.1, 50))
def test_no_stretch_of_time_brings_more_than_its_share_and_one_burst(pauses, per_s):
    rates, now_s, begin_s, passed = Rates(per_s), 100.0, 100.0, 0
    for pause_s in pauses:
        now_s += pause_s
        passed += rates.take("one", now_s) == 0
    assert passed <= max(1.0, per_s * BURST_S) + per_s * (now_s - begin_s) + 1e-6


@given(st.floats(0.01, 100), st.integers(1, 300))
def test_whoever_waits_as_long_as_he_is_told_gets_in(per_s, asked):
    rates = Rates(per_s)
    for _ in range(asked):
        after_s = rates.take("one", 0.0)
    if after_s:
        assert rates.take("one", float(after_s)) == 0


def test_one_does_not_pay_for_another():
    rates = Rates(1)
    while not rates.take("greedy", 0.0):
        pass
    assert rates.take("modest", 0.0) == 0


def test_without_a_rate_nothing_is_bounded_or_kept():
    rates = Rates(None)
    assert not any(rates.take("one", 0.0) for _ in range(1_000))
    assert len(rates) == 0


def test_the_idle_are_forgotten_and_the_greedy_are_not():
    rates = Rates(10)
    for number in range(KNOWN):
        rates.take(str(number), 0.0)
    while not rates.take("greedy", 100.0):
        pass
    assert len(rates) == 1
    assert rates.take("greedy", 100.0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        (None, ""),
    ],
)
def test_an_ipv6_client_has_a_whole_network_and_counts_once(address, network):
    assert network_of(address) == network

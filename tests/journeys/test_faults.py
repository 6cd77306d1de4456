"""Parts of the chain fail, the client hears the truth, and everything recovers by itself."""

from __future__ import annotations

import signal

import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_without_an_agent_the_client_is_asked_to_come_back(chain, directory, number):
    chain.stop("agent", number=number)
    answer = directory.call("GET", "Users?count=1")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "agent" in answer.document["detail"]
    chain.spawn("agent")
    assert chain.connect().call("GET", "Users?count=1").status == 200


@pytest.mark.parametrize("part", ["relay", "connector host"])
def test_a_part_that_was_killed_is_found_again(chain, directory, part):
    chain.stop(part, number=signal.SIGKILL)
    chain.spawn(part)
    assert chain.connect().call("GET", "Users?count=1").status == 200


def test_a_host_that_is_down_is_named_as_the_hop_that_failed(chain, directory):
    chain.stop("connector host")
    answer = directory.call("GET", "Users?count=1")
    assert answer.status in {502, 503}
    assert "connector host" in answer.document["detail"]


@pytest.mark.parametrize("part", ["relay", "agent", "connector host"])
def test_each_part_ends_in_order_when_asked(chain, directory, part):
    assert chain.stop(part) == 0

"""What a node tells others about its agents: all of it once, then what is new; a number leads to one tenant only."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from agent.link.frames import PAYLOAD_BYTES
from agent.link.links import Heartbeat, Link
from agent.link.messages import VERSIONS, Health, Hello
from agent.link.packing import decode
from agent.link.session import WINDOW_BYTES, Session
from agent.relay.matching import Agents
from agent.relay.nodes.messages import Roster
from agent.relay.nodes.roster import PIECE, Numbered, news
from agent.relay.nodes.routes import FarLink

HELLO = Hello(VERSIONS, WINDOW_BYTES, "one", "1")


def live_link():
    link = Link(None, Session(HELLO, opens=True), Heartbeat())
    link.session.peer = HELLO
    return link


@pytest.fixture
async def agents():
    return Agents()


@pytest.fixture
def numbered(agents):
    return Numbered(agents, SimpleNamespace(named={}))


def told(before, now):
    return [decode(Roster, piece) for piece in news(before, now)]


async def test_a_link_is_found_for_its_own_tenant_only(agents, numbered):
    link = live_link()
    agents.add("acme", link)
    [number] = numbered.look()
    assert numbered.find("acme", number) is link
    assert numbered.find("other", number) is None
    assert numbered.find("acme", number + 1) is None


async def test_another_node_tells_agents_of_one_name_apart(agents, numbered):
    for instance in ("a", "b"):
        link = live_link()
        link.session.peer = msgspec.structs.replace(HELLO, instance=instance)
        agents.add("acme", link)
    [roster] = told({}, numbered.look())
    assert [FarLink(link, held).peer.who for held in roster.held] == ["a", "b"]


async def test_a_number_is_never_given_again(agents, numbered):
    link = live_link()
    agents.add("acme", link)
    [first] = numbered.look()
    agents.remove("acme", link)
    assert numbered.look() == {}
    assert numbered.find("acme", first) is None
    agents.add("acme", live_link())
    assert list(numbered.look()) != [first]


async def test_only_what_is_new_is_told(agents, numbered):
    one, other = live_link(), live_link()
    agents.add("acme", one)
    agents.add("acme", other)
    before = numbered.look()
    assert [len(roster.held) for roster in told({}, before)] == [2]
    assert told(before, numbered.look()) == []
    one.health = Health(reachable=False, record="", detail="it is down")
    agents.remove("acme", other)
    [roster] = told(before, numbered.look())
    assert [held.health.reachable for held in roster.held] == [False]
    assert roster.gone == [number for number, held in before.items() if held.number != roster.held[0].number]


async def test_a_slower_round_trip_is_no_news(agents, numbered):
    link = live_link()
    agents.add("acme", link)
    before = numbered.look()
    link.round_trip_s = 0.5
    assert told(before, numbered.look()) == []


async def test_many_links_are_told_in_pieces(agents, numbered):
    for _ in range(2 * PIECE + 1):
        agents.add("acme", live_link())
    rosters = told({}, numbered.look())
    assert [len(roster.held) for roster in rosters] == [PIECE, PIECE, 1]
    assert max(len(msgspec.msgpack.encode(roster)) for roster in rosters) < 65_536


async def test_a_message_fits_into_a_frame_whatever_agents_say_of_themselves(agents, numbered):
    for _ in range(PIECE + 1):
        link = live_link()
        link.session.peer = Hello(VERSIONS, WINDOW_BYTES, "\U0001f600" * 15_000, "\U0001f600" * 1_000)
        link.health = Health(reachable=True, record="\U0001f600" * 8_000, detail="\U0001f600" * 8_000)
        agents.add("t" * 64, link)
    pieces = list(news({}, numbered.look()))
    assert sum(len(decode(Roster, piece).held) for piece in pieces) == PIECE + 1
    assert max(map(len, pieces)) <= PAYLOAD_BYTES
    assert {held.health.record for piece in pieces for held in decode(Roster, piece).held} == {""}

"""A session between two nodes: messages arrive whole and in order, or the link hears that one is missing."""

from __future__ import annotations

import os

import pytest
from aiohttp import WSMsgType
from cryptography.hazmat.primitives.asymmetric import ec

from agent.relay.nodes.messages import Accepted, Opening
from agent.relay.nodes.seals import Seals, Unsealed
from agent.relay.nodes.sockets import NodeSocket

KEY = ec.generate_private_key(ec.SECP256R1())
OPENING = Opening("a" * 32, os.urandom(16), os.urandom(32))


def ends(accepted=None):
    """Return both ends of a session, and what each has sent."""
    accepted = accepted or Accepted("b" * 32, OPENING.session, os.urandom(32))
    pair = []
    for opener in (True, False):
        sent = []

        async def send(packet, sent=sent):
            sent.append(packet)

        keys = Seals(KEY).session(OPENING, accepted, opener=opener)
        pair.append((NodeSocket(OPENING.session, keys, send), sent))
    return pair


async def arrived(socket):
    message = await socket.receive()
    return message.type, message.data


async def test_messages_arrive_as_they_were_sent():
    (one, sent), (other, _) = ends()
    for number in range(3):
        await one.send_bytes(b"%d" % number)
    for packet in sent:
        other.take(packet)
    assert [await arrived(other) for _ in sent] == [(WSMsgType.BINARY, b"%d" % number) for number in range(3)]


async def test_a_message_that_is_missing_ends_the_session():
    (one, sent), (other, _) = ends()
    for number in range(3):
        await one.send_bytes(b"%d" % number)
    other.take(sent[0])
    other.take(sent[2])
    assert await arrived(other) == (WSMsgType.BINARY, b"0")
    assert await arrived(other) == (WSMsgType.ERROR, "a message between the nodes was lost")


@pytest.mark.parametrize("change", ["again", "changed", "renumbered", "cut", "from the other direction"])
async def test_what_the_other_end_did_not_send_now_is_passed_over(change):
    (one, sent), (other, back) = ends()
    await one.send_bytes(b"0")
    await other.send_bytes(b"0")
    other.take(sent[0])
    changed = {
        "again": sent[0],
        "changed": sent[0][:-1] + bytes((sent[0][-1] ^ 1,)),
        "renumbered": sent[0][:7] + b"\x01" + sent[0][8:],
        "cut": sent[0][:5],
        "from the other direction": back[0],
    }
    other.take(changed[change])
    await one.send_bytes(b"1")
    other.take(sent[1])
    assert [await arrived(other), await arrived(other)] == [(WSMsgType.BINARY, b"0"), (WSMsgType.BINARY, b"1")]


async def test_a_session_that_is_opened_again_has_other_keys():
    (one, sent), _ = ends()
    await one.send_bytes(b"a write")
    _, (other, _) = ends()
    other.take(sent[0])
    assert not other.has_begun


async def test_a_good_bye_is_heard():
    (one, sent), (other, _) = ends()
    await one.close()
    other.take(sent[0])
    assert (await arrived(other))[0] is WSMsgType.CLOSE


def test_a_message_is_opened_as_what_it_was_sealed_for_only():
    seals = Seals(KEY)
    assert seals.open(seals.seal(b"beat", b"beat"), b"beat") == b"beat"
    with pytest.raises(Unsealed):
        seals.open(seals.seal(b"beat", b"beat"), b"open")
    with pytest.raises(Unsealed):
        Seals(ec.generate_private_key(ec.SECP256R1())).open(seals.seal(b"beat", b"beat"), b"beat")

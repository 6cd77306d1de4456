"""A client's TLS connection, carried to the host as it is: whoever they are to each other, nobody here can read it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.errors import system_words
from agent.link.messages import Reason, ResponseHead
from agent.link.packing import encode
from agent.link.piping import pipe

if TYPE_CHECKING:
    from agent.outbound.exchange import Exchange


async def carry_untouched(exchange: Exchange) -> None:
    """Carry such a connection until one of its ends is done with it, where the agent has a place for it."""
    forwarder = exchange.forwarder
    if forwarder.untouched >= forwarder.most_untouched:
        exchange.give_up(Reason.BUSY, f"The agent already carries {forwarder.most_untouched} connections untouched.")
        return
    forwarder.untouched += 1
    try:
        await _carry(exchange)
    finally:
        forwarder.untouched -= 1


async def _carry(exchange: Exchange) -> None:
    host = exchange.host
    try:
        async with asyncio.timeout(host.connect_s):
            reader, writer = await asyncio.open_connection(host.name, host.port)
    except OSError as failure:  # TimeoutError, too
        late = isinstance(failure, TimeoutError) and failure.errno is None
        reason = f"no answer within {host.connect_s:g} s" if late else system_words(failure)
        exchange.give_up(Reason.HOST_UNREACHABLE, f"{host.described} cannot be reached: {reason}")
        return
    exchange.sent = exchange.answered = True
    exchange.stream.respond(encode(ResponseHead(200, b"")), end=False)
    try:
        await pipe(exchange.stream, reader, writer)
    except OSError as failure:
        exchange.give_up(Reason.HOST_DROPPED, f"the connection to the connector host broke ({failure})")
    finally:
        writer.close()

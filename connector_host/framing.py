"""HTTP connections on which a body that is not framed as its headers say is told of while somebody waits for it."""

from __future__ import annotations

from aiohttp import web
from aiohttp.web_protocol import _ErrInfo


class FramedHandler(web.RequestHandler):
    """One connection; whoever reads a body that got spoiled gets a `web.RequestPayloadError`.

    aiohttp would let them wait, and then answer a request that nobody has sent.
    """

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Take what came; where it spoils a body that somebody waits for, they hear of it at once."""
        super().data_received(data)
        if self._is_spoiled() and not self._tell():
            # aiohttp begins with a request one turn of the loop after it has taken it up, and knows of it only then.
            self._loop.call_soon(self._tell)

    def _is_spoiled(self) -> bool:
        return bool(self._messages) and isinstance(self._messages[-1][0], _ErrInfo)

    def _tell(self) -> bool:
        """Tell whoever waits for the rest of a request; return whether somebody does."""
        if not self._is_spoiled():
            return False
        error = self._messages.pop()
        while self._is_spoiled():
            error = self._messages.pop()  # whatever comes after the first error is another one
        body = self._messages[-1][1] if self._messages else getattr(self._current_request, "content", None)
        if body is None or body.is_eof():
            self._messages.append(error)  # the request before it is whole, and what cannot be read is the next one
            return False
        self._lingering_time = 0
        body.set_exception(web.RequestPayloadError("the body is not framed as its headers say"))
        self.close()
        return True

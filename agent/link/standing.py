"""How one open stream stands at one end of a link: what may still be sent, and what may still come."""

from __future__ import annotations

import msgspec


class Standing(msgspec.Struct, gc=False):
    """What this end knows of one open stream."""

    credit: int
    """Bytes of DATA that this end may still send, as they are before they are deflated."""
    allowance: int
    """Bytes of DATA that the other end may still send, as they are once they are inflated."""
    answered: bool = False
    """Whether the RESPONSE passed, in whichever direction."""
    sending: bool = True
    receiving: bool = True
    deflates: bool = False
    """Whether this end tries to deflate what it sends."""

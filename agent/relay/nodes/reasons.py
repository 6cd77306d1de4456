"""Why NATS does not serve this node, in words for an administrator; knows exceptions, and no connection."""

from __future__ import annotations

import ssl
from typing import Final

from agent.errors import system_words
from agent.link.tls import doubt

_LOGIN: Final = (
    "check relay.nats.user and password_file, or token_file, nkey_file or credentials_file, and certificate, whichever "
    "this server asks for"
)
_FORBIDDEN: Final = "permissions violation"
_MENDS: Final = {
    "authorization violation": _LOGIN,
    "authentication": _LOGIN,
    _FORBIDDEN: "have it allow this node to publish and subscribe on provisioning-relay.>",
}
"""By what NATS says."""


def reason_of(failure: Exception, limit_s: float) -> str:
    """Return why the connection did not come about within the limit, or what is wrong with it."""
    match failure:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {doubt(failure, 'relay.nats.trust')}"
        case ssl.SSLError():
            return f"it does not speak TLS as it should: {failure.reason or failure}"
        case TimeoutError():
            return f"it does not answer within {limit_s:g} s"
        case OSError():
            return f"it cannot be reached: {system_words(failure)}"
        case _:
            said = str(failure) or type(failure).__name__
            mend = next((mend for words, mend in _MENDS.items() if words in said.lower()), "")
            return f"{said}: {mend}" if mend else said


def is_missing_right(reason: str) -> bool:
    """Return whether this reason, as `reason_of` gives it, is that NATS lets a node publish or subscribe too little."""
    return _FORBIDDEN in reason.lower()

"""Requests that must be signed: judged before anything is carried out, and refused with words that say what is wrong.

What is signed, and how, is `connector_host.signing`'s. That a signed write is carried out once only is `repeats`'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from connector_host.endpoint import answers
from connector_host.endpoint.requests import REQUEST_ID, SERVED, is_write, read_bounded
from connector_host.observability import events
from connector_host.signing.requests import Asked, Proof, SignatureRefused, judge

if TYPE_CHECKING:
    from connector_host.endpoint.requests import Handler
    from connector_host.signing.requests import Demand

PROOF: Final = web.RequestKey("proof", Proof)
"""Who signed the request, where a signature was demanded of it."""

_ACCEPTED: Final = (
    'scim=("@method" "@target-uri" "content-digest" "idempotency-key");created;expires;nonce;keyid;alg="ed25519"'
)
"""What a signature must cover, as RFC 9421 §5.1 says it to a client; it shows no key."""


@web.middleware
async def demand_signature(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request that must be signed through only where it is."""
    one = request.get(SERVED)
    demand = one.signing if one is not None else None
    if demand is None or not (demand.reads or is_write(request)):
        return await handler(request)
    try:
        request[PROOF] = await _judged(request, demand)
    except SignatureRefused as refusal:
        structlog.get_logger().warning(events.SIGNATURE_REFUSED, reason=str(refusal))
        headers = {"Accept-Signature": _ACCEPTED}
        return answers.error(403, f"{refusal} Nothing was done.", request_id=request[REQUEST_ID], headers=headers)
    return await handler(request)


async def _judged(request: web.Request, demand: Demand) -> Proof:
    root = f"/ecma2host_{request[SERVED].name}/scim"
    if not request.raw_path.startswith(root):
        raise SignatureRefused("The signature is not accepted: the path is not spelled as the host's own.")
    asked = Asked(request.method, request.raw_path, request.headers, await read_bounded(request))
    return judge(asked, request.raw_path.removeprefix(root), demand)

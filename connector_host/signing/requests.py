"""A request signed at one end and judged at the other (RFC 9421, with the parameters and components of this product).

    @method  @target-uri  content-digest          always; the digest where there is a body
    if-match  if-none-match  dry-run              where the request has them: each changes what a write does, so that a
                                                  signature that leaves one out is refused
    idempotency-key  prefer  content-type         where the request has them
    created  expires  nonce  keyid  alg           parameters; expires may be left out

The target is the public URL, as the client writes it: a relay that takes a prefix away changes nothing, because the
host knows the URLs that it is reached by. Credentials are not covered, since an agent may exchange them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
    VerifyResult,
)
from http_message_signatures.algorithms import ED25519

from connector_host import clock
from connector_host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from connector_host.signing.keys import SigningKey

IDEMPOTENCY_KEY: Final = "idempotency-key"
LIFE_S: Final = 60
"""Seconds for which a signature that is made here is good: longer than any request takes on its way."""
SKEW_S: Final = 30
"""Seconds by which two clocks may differ."""
NONCE_CHARS: Final = 128

_ALWAYS: Final = ("@method", "@target-uri")
_DECISIVE: Final = ("if-match", "if-none-match", "dry-run")
_WHERE_PRESENT: Final = (IDEMPOTENCY_KEY, *_DECISIVE, "prefer", "content-type")
_LABEL: Final = "scim"


class CannotSign(HostError):
    """A request that no signature can be made for; the text says why."""


class SignatureRefused(HostError):
    """A request that is not signed as it must be; the text says what is wrong, and never quotes the request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request is signed, or judged."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """Who signed a request."""

    key_id: str
    nonce: str
    covers_key: bool
    """Whether the signature covers an idempotency key; one that it does not cover may be anybody's."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a host demands of requests."""

    keys: Mapping[str, Ed25519PublicKey]
    """Public keys by their id."""
    urls: Sequence[str]
    """The base URLs that clients may have signed for."""
    window_s: float
    """Seconds after which a signature is good no more, whatever it says itself."""
    reads: bool = False
    """Whether reads must be signed, too."""


@dataclass(slots=True)
class _Message:
    """A request as the library takes it."""

    method: str
    url: str
    headers: Mapping[str, str]
    """With every line of a field that comes more than once."""


def sign(asked: Asked, key: SigningKey) -> dict[str, str]:
    """Return the headers that a request needs on top of its own: Content-Digest, Signature-Input, Signature.

    Raises CannotSign where a covered header, or the URL, has characters that RFC 9421 does not allow.
    """
    now = clock.now()
    names = {name.lower() for name in asked.headers}
    headers: dict[str, str] = {}
    for name, value in asked.headers.items():
        # As whoever judges it sees a field of several lines (RFC 9421 §2.1).
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    message = _Message(asked.method, asked.url, headers)
    resolver = MappingKeyResolver(public_keys={}, private_keys={key.id: key.private})
    try:
        HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=resolver).sign(
            message,
            key_id=key.id,
            created=now,
            expires=now + timedelta(seconds=LIFE_S),
            nonce=secrets.token_urlsafe(18),
            label=_LABEL,
            covered_component_ids=(*_ALWAYS, *(name for name in _WHERE_PRESENT if name in names)),
            body=asked.body or None,
        )
    except HTTPMessageSignaturesException as failure:
        raise CannotSign(f"This request cannot be signed: {failure}.") from failure
    return {name: value for name, value in headers.items() if name not in asked.headers}


def judge(asked: Asked, path: str, demand: Demand) -> Proof:
    """Return who signed the request; `path` is what follows the base URL. Raises SignatureRefused."""
    names = {name.lower() for name in asked.headers}
    if not {"signature", "signature-input"} <= names:
        raise SignatureRefused("This request must be signed (RFC 9421), and it is not.")
    reasons = []
    for url in demand.urls:
        try:
            return _proof(_verified(asked, url + path, names, demand), names)
        except HTTPMessageSignaturesException as failure:
            reasons.append(_words(failure, demand))
    raise SignatureRefused(f"The signature is not accepted: {reasons[-1]}.")


def _verified(asked: Asked, url: str, names: set[str], demand: Demand) -> VerifyResult:
    verifier = _Verifier(
        signature_algorithm=ED25519, key_resolver=MappingKeyResolver(public_keys=demand.keys, private_keys={})
    )
    [result] = verifier.verify(
        _Message(asked.method, url, asked.headers),
        max_age=timedelta(seconds=demand.window_s),
        require_components=(*_ALWAYS, *(name for name in _DECISIVE if name in names)),
        body=asked.body,
    )
    return result


def _proof(result: VerifyResult, names: set[str]) -> Proof:
    nonce = result.nonce
    if not nonce or len(nonce) > NONCE_CHARS:
        raise InvalidSignature(f"it needs a nonce of 1 to {NONCE_CHARS} characters")
    covered = {name.strip('"') for name in result.covered_components}
    if "content-digest" in names and "content-digest" not in covered:
        raise InvalidSignature("it does not cover the Content-Digest")
    return Proof(str(result.parameters["keyid"]), nonce, IDEMPOTENCY_KEY in covered)


class _Verifier(HTTPMessageVerifier):
    """The library's, as patient with clocks as this product is; it is configured by subclassing."""

    max_clock_skew: timedelta = timedelta(seconds=SKEW_S)


_KNOWN: Final = (
    ("time in the past", "it has expired: check the clocks of both machines"),
    ("maximum allowable age", "it is older than the {window_s:g} s that this host allows: check the clocks"),
    ("time in the future", "it was made in the future: check the clocks of both machines"),
    ("Unable to resolve", "no key of that id is trusted here: add the signer's public key to `keys`"),
    ("Malformed", "its headers cannot be read"),
    ("Invalid URL", "the URL is not encoded as RFC 3986 says, so that it cannot be signed"),
    (
        "Content-Digest does not match",
        "the body is not the one that was signed, or it is compressed, which a signed one may not be",
    ),
    ("requires a signed Content-Digest", "it does not cover the body by a Content-Digest (RFC 9530)"),
)


def _words(failure: HTTPMessageSignaturesException, demand: Demand) -> str:
    text = str(failure)
    for fragment, words in _KNOWN:
        if fragment in text:
            return words.format(window_s=demand.window_s)
    if failure.__cause__ is not None or not text:
        return "it is not for this request: something was altered on the way, or the URL is none of the host's `urls`"
    return text[:1].lower() + text[1:].rstrip(".")

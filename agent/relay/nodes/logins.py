"""Who this node is at NATS: a user, a token, an nkey or a credentials file, read from their files for each connection.

nats-py's own extra for nkeys has no wheel, brings a second library of cryptography, and signs before TLS stands; so its
callbacks are used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.errors import ConfigurationError
from agent.relay.nodes.nkeys import Nkey, NoNkey, read_credentials, read_seed
from agent.secrets import read_secret, read_secret_lines, refuse_open
from connector_host.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nats.aio.client import Client

    from agent.settings import NatsSettings


@dataclass(frozen=True, slots=True)
class Password:
    """A user and a password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token, where NATS asks for one in place of a user."""

    token: str = field(repr=False)


Login: TypeAlias = Password | Token | Nkey | None
"""None is for a server that asks for nothing, or for a client certificate, which TLS shows."""


def read_login(settings: NatsSettings) -> Login:
    """Return what to show; raises ConfigurationError where the settings name two logins, or a file holds none."""
    kinds = ("user", "token_file", "nkey_file", "credentials_file")
    named = [f"relay.nats.{kind}" for kind in kinds if getattr(settings, kind) is not None]
    if len(named) > 1:
        raise ConfigurationError(f"{' and '.join(named)}: NATS takes one login; leave the others out.")
    if settings.token_file is not None:
        return Token(read_secret(settings.token_file, "relay.nats.token_file"))
    if settings.nkey_file is not None:
        return _nkey(read_seed, settings.nkey_file, "relay.nats.nkey_file")
    if settings.credentials_file is not None:
        return _nkey(read_credentials, settings.credentials_file, "relay.nats.credentials_file")
    if settings.user is None:
        return None
    if settings.password_file is None:
        raise ConfigurationError("relay.nats.password_file: is missing; relay.nats.user has a password.")
    return Password(settings.user, read_secret(settings.password_file, "relay.nats.password_file"))


def arguments(login: Login, client: Client) -> dict[str, Any]:
    """Return the login as arguments of `connect`: nothing is given away, and nothing signed, until TLS stands.

    The library goes on without TLS where a server says so; the nonce might then be that of another server, to which
    somebody on the way hands the signature.
    """

    def guarded(secret: str) -> Callable[[], str]:
        def shown() -> str:
            demand_encryption(client)
            return secret

        return shown

    match login:
        case Password(user, password):
            return {"user": guarded(user), "password": guarded(password)}
        case Token(token):
            return {"token": guarded(token)}
        case Nkey():
            return _signing(login, client)
        case _:
            return {}


def demand_encryption(client: Client) -> None:
    """Raise ConfigurationError where the connection is not encrypted."""
    transport = client._transport  # noqa: SLF001 - the library has no other word for it
    writer = getattr(transport, "_io_writer", None)
    if writer is None or writer.get_extra_info("ssl_object") is None:
        raise ConfigurationError("the server does not speak TLS: nothing is sent without, and no credentials")


def _signing(nkey: Nkey, client: Client) -> dict[str, Any]:
    def sign(nonce: str) -> bytes:
        demand_encryption(client)
        if nkey.ends_s and nkey.ends_s <= now().timestamp():
            # The server would only say that it does not let us in.
            end = datetime.fromtimestamp(nkey.ends_s, UTC)
            raise ConfigurationError(
                f"relay.nats.credentials_file: ended on {end:%Y-%m-%d %H:%M} UTC; put new ones there"
            )
        return nkey.sign(nonce)

    # The library asks its callbacks only where it was given a user, too; without a password that goes nowhere.
    given: dict[str, Any] = {"user": "nkey", "signature_cb": sign}
    if nkey.jwt:
        return given | {"user_jwt_cb": lambda: nkey.jwt.encode("ascii")}
    client._public_nkey = nkey.public  # noqa: SLF001 - the library sets it only where it makes the signature itself
    return given


def _nkey(read: Callable[[str], Nkey], file: Path, key: str) -> Nkey:
    text = read_secret_lines(file, key)
    refuse_open(file, key)
    try:
        return read(text)
    except NoNkey as failure:
        raise ConfigurationError(f"{key}: {file} {failure}.") from failure

"""The signer's configuration: one TOML file, every key documented where it is declared.

Every key may also be set by an environment variable: PROVISIONING_SIGNER__SIGN__PORT for `port` in `[sign]`.
"""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - msgspec reads these annotations when the program runs
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from agent.addresses import upstream_url
from agent.logs import LogFormat, LogLevel  # noqa: TC001 - msgspec reads these annotations when the program runs
from agent.mistakes import named
from agent.settings import Port, Seconds, Settings, load

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "PROVISIONING_SIGNER__"


class SignerSettings(Settings, frozen=True, kw_only=True):
    """What signs for a client that cannot: `[sign]`."""

    upstream: str
    """Where requests go, without the connector's path: `https://relay.example.org/t/acme`. A client that would use
    `https://relay.example.org/t/acme/ecma2host_HR/scim` uses `http://127.0.0.1:8686/ecma2host_HR/scim` instead."""
    key: Path
    """The private key, as `provisioning-agent sign new` makes it."""
    port: Port = 8686
    """The port on loopback, plain HTTP; 0 takes any free one, which the log then names."""
    trust: Path | None = None
    """The authorities, PEM, that the certificate of `upstream` must come from; left out, the operating system's. A
    changed file counts from the next connection on."""
    body_bytes: Annotated[int, Meta(ge=1_024)] = 4_194_304
    """The largest request body; a larger one is answered with 413."""
    request_s: Seconds = 75.0
    """Seconds of silence after which a request is given up."""
    stop_s: Seconds = 20.0
    """Seconds that requests in hand are given to end when the signer stops."""
    log_format: LogFormat = "auto"
    """`json` for machines, `console` for people, `auto` decides by whether the output is a terminal."""
    log_level: LogLevel = "info"
    """The least important events to log."""


class SignerConfiguration(Settings, frozen=True, kw_only=True):
    """The whole of sign.toml."""

    sign: SignerSettings
    """The signer itself."""


def load_signer(path: Path, environment: Mapping[str, str] | None = None) -> SignerConfiguration:
    """Read sign.toml with the environment laid over it; raises ConfigurationError that names file, key and mend."""
    settings = load(path, SignerConfiguration, PREFIX, os.environ if environment is None else environment)
    with named(path):
        upstream_url(settings.sign.upstream)
    return settings

"""The service itself: `[host]`, and its audit trail: `[audit]`."""

from __future__ import annotations

import re
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from connector_host.networks import is_network
from connector_host.settings.frozen import Settings

_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_ON_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "0.0.0.0"})  # noqa: S104 - looked for, not listened on


class HostSettings(Settings):
    """The service itself: `[host]`."""

    name: str = "localhost"
    """The host name that clients use; the certificate's subject must match it."""
    listen: str = "127.0.0.1"
    """The address to listen on, 0.0.0.0 for all; loopback is enough where the agent runs on the same machine."""
    port: int = Field(default=8585, ge=0, le=65_535)
    """The TLS port; 0 takes any free one, which the log then names."""
    certificate: Path = Field(examples=["tls/certificate.pem"])
    """The certificate and its chain, PEM, leaf first."""
    key: Path = Field(examples=["tls/key.pem"])
    """The private key of the certificate, PEM."""
    workers: int = Field(default=1, ge=1, le=16)
    """Processes that answer requests, on Linux only: more than one where one core is not enough. Each takes its share
    of a connector's `readers`, `writers`, `exports_per_s` and `reads_per_s`, and one connection at the least of each
    kind."""
    header_bytes: int = Field(default=32_768, ge=1_024)
    """The longest request line and the longest header; the longest filter fits in, escaped for the URL."""
    stop_s: float = Field(default=20.0, gt=0)
    """Seconds that requests in hand are given to end when the service stops; exports have `statement_s` besides. What a
    database that does not answer keeps for longer is given up, and named in the log: `exports.given_up`, whose outcome
    nobody knows, `request.cut` and `connector.left`."""
    state: Path = Path("state")
    """The folder for what must outlive a restart: the outcomes of writes that came with an idempotency key."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses and networks whose Forwarded headers are believed, so that `location` is where the client can ask."""
    allow: tuple[str, ...] = Field(default=(), examples=[("10.0.0.0/8", "127.0.0.1")])
    """Addresses and networks that may call; empty is any. Behind a trusted proxy it is the client's own that counts."""
    client_authority: Path | None = Field(default=None, examples=["tls/clients.pem"])
    """An authority, PEM: only clients that show a certificate of it may connect, for `/readyz`, too. An agent shows its
    `host_client_certificate`, `doctor` its `--client-certificate`. A changed file is taken over for new connections."""
    lock_out_failures: int = Field(default=10, ge=0)
    """Wrong tokens that one address (in IPv6: one /64) may give within `lock_out_s` before it has to wait as long; 0
    locks nobody out."""
    lock_out_s: float = Field(default=60.0, gt=0)
    """Seconds that wrong tokens are counted for, and that an address is then locked out for."""
    metrics_port: int | None = Field(default=None, ge=0, le=65_535, examples=[9585])
    """The port for Prometheus metrics, plain HTTP on 127.0.0.1 only; left out, there are none."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`json` for machines, `console` for people, `auto` decides by whether the output is a terminal."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to log."""
    log_values: bool = False
    """Whether the log may quote what drivers and libraries say, which can hold people's values. Keep it off, save
    while you look for a fault."""

    @field_validator("workers")
    @classmethod
    def _are_possible_here(cls, workers: int) -> int:
        if workers > 1 and sys.platform != "linux":
            raise ValueError("several processes serve on Linux only: write workers = 1")
        return workers

    @field_validator("listen")
    @classmethod
    def _can_be_an_address(cls, listen: str) -> str:
        """Refuse what no system makes an address of; an empty text would be all of them, unasked."""
        try:
            ip_address(listen)
        except ValueError:
            if not _HOST_NAME.fullmatch(listen):
                raise ValueError(f"{listen!r} is no address: write one of this machine, or 0.0.0.0 for all") from None
        return listen

    @field_validator("metrics_port")
    @classmethod
    def _is_another_port(cls, metrics_port: int | None, others: ValidationInfo) -> int | None:
        listen, port = others.data.get("listen"), others.data.get("port")
        if metrics_port and metrics_port == port and listen in _ON_LOOPBACK:
            raise ValueError(f"{metrics_port} is `port`, too, which serves the directory: write another one")
        return metrics_port

    @field_validator("allow", "trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for text in networks:
            if not is_network(text):
                raise ValueError(f"{text!r} is neither an address nor a network such as 10.0.0.0/8")
        return networks


class AuditSettings(Settings):
    """The audit trail: `[audit]`. One line for each export, on disk before its answer is sent."""

    enabled: bool = True
    """Whether exports are recorded. While they are, a trail that cannot be written stops exports, and nothing else."""
    folder: Path | None = Field(default=None, examples=["/var/log/connector-host/audit"])
    """Where its files are; left out, `audit` in the `state` folder of `[host]`."""
    rotate_bytes: int = Field(default=52_428_800, ge=4_096)
    """The size at which the next file is begun."""
    keep_files: int = Field(default=0, ge=0)
    """How many files are kept, two at the least, the oldest go first; 0 keeps all of them."""
    values: bool = False
    """Whether the values that an export writes are recorded, beside the names of the attributes."""
    redact: tuple[str, ...] = Field(default=(), examples=[("Salary", "Birthday")])
    """Attributes whose values are never recorded, even where values are, spelt as the columns are; `check` names one
    that no connector has."""

"""The configuration of relay and agent as frozen structs: one TOML file each, every key documented where it stands.

Every key may also be set by an environment variable: RELAY__RELAY__PORT=9000 stands for `port` in `[relay]`,
RELAY__TENANTS__ACME__AGENT_TOKEN_HASHES for a key of `[tenants.acme]`, PROVISIONING_AGENT__AGENT__TENANT for `tenant`
in `[agent]`; lists and tables are given as TOML values. Relative paths are relative to the folder of the file.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from agent.addresses import host_url, proxy_url, relay_url
from agent.errors import ConfigurationError
from agent.logs import LogFormat, LogLevel  # noqa: TC001 - msgspec reads these annotations when the program runs
from agent.mistakes import WANTED, named, networks, outlasts, words
from connector_host.small_files import read_small

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RELAY_PREFIX: Final = "RELAY__"
AGENT_PREFIX: Final = "PROVISIONING_AGENT__"

TENANT_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A DNS label, so that a tenant may also be a part of a host name."""

Port = Annotated[int, Meta(ge=0, le=65_535)]
Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


def _text(pattern: str, wanted: str) -> Meta:
    return Meta(pattern=pattern, extra={WANTED: wanted})


def _between(least: float, most: float, unit: str) -> Meta:
    return Meta(ge=least, le=most, extra={WANTED: f"{unit} from {least} to {most}"})


# In 43 s an agent comes to renew: it looks every 12 s, and gets one certificate in ten.
CertificateDays = Annotated[float, _between(0.0005, 36_500, "days")]
InvitationHours = Annotated[float, _between(0.01, 87_600, "hours")]


_NAME: Final = r"([a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
HostName = Annotated[str, _text(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", "a host name, in lower case")]
Authority = Annotated[str, _text(rf"^{_NAME}$", "NAME or NAME:PORT, in lower case")]
NatsUrl = Annotated[str, _text(rf"^tls://{_NAME}$", "tls://NAME:4222, in lower case")]
TokenHash = Annotated[
    str, _text(r"^sha256:[0-9a-f]{64}$", "sha256: and 64 hex digits in lower case, see docs/relay.md")
]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The root of what is frozen here: unknown keys are errors, and every key has a docstring."""


# ── the relay ─────────────────────────────────────────────────────────────────────────────────────────────────────


class LimitSettings(Settings, frozen=True, kw_only=True):
    """Bounds on what SCIM clients may ask of the relay: `[relay.limits]`."""

    body_bytes: Annotated[int, Meta(ge=1_024)] = 4_194_304
    """The largest request body; a larger one is answered with 413."""
    header_bytes: Annotated[int, Meta(ge=1_024, le=32_768)] = 16_384
    """The longest header line, and the longest request line; a longer one is answered with 431, or
    414. Of a head whose end has not come, four times as much is kept, and 64 KiB at the least."""
    replay_bytes: Annotated[int, Meta(ge=0)] = 262_144
    """Bytes of a request body that are kept so that another agent can be asked; a longer body is sent only once."""
    request_s: Seconds = 60.0
    """Seconds that a request may take from its head to the head of its answer, and each stretch of the answer then."""
    wait_s: Annotated[float, Meta(ge=0)] = 5.0
    """Seconds that a request waits for an agent, and for a host that restarts, where none can take it at once."""
    in_flight: Count = 512
    """Requests of one tenant that may be under way at once; more are answered with 429 and Retry-After. A request is
    under way once its body is there."""
    bodies: Count = 2_048
    """Request bodies that may be awaited at once, of all clients; more are answered with 429. As many proofs of agents
    may, which are counted by themselves, and answered with 503."""
    bodies_per_address: Count = 128
    """The same of one address, for IPv6 of one /64; behind a load balancer see `trusted_proxies`."""
    connections_per_address: Count = 256
    """Connections that one address, for IPv6 one /64, may hold at once, from the first packet on, and a quarter of all
    open files at the most. One connection may cost 1.5 MB of memory. A load balancer among `trusted_proxies` may hold
    four times as many; raise it where one that is not, or many agents, come from one address."""
    passthrough_connections: Count = 192
    """Connections of one tenant that may be carried in passthrough at once; more are closed. One address, for IPv6 one
    /64, may hold no more than are free then: half of them, where it comes alone. Each takes a place of an agent, which
    carries three for each four of its `in_flight`."""
    requests_per_s: Annotated[float, Meta(gt=0)] | None = None
    """Requests of one tenant in a second; more are answered with 429 and Retry-After. For a moment it may be twice as
    many. Left out, only what is under way is bounded. Requests that are refused at the relay do not count."""
    requests_per_s_and_address: Annotated[float, Meta(gt=0)] | None = None
    """Requests of one client address in a second, refused ones, enrolments and links, too; for IPv6 of one /64.
    Behind a load balancer see `trusted_proxies`."""
    idle_s: Seconds = 75.0
    """Seconds in which a connection must bring a request, its headers complete; then it is closed."""


class NatsSettings(Settings, frozen=True, kw_only=True):
    """How the nodes of one relay reach each other: `[relay.nats]`; needs the package nats-py.

    Left out, this node stands alone. All nodes have the same authority for agents (`agent_authority`), the same `store`
    and the same `[tenants]`.
    """

    urls: Annotated[tuple[NatsUrl, ...], Meta(min_length=1)]
    """The NATS servers, `tls://NAME:4222`, all of one cluster: nodes at servers that do not know each other never meet.
    Their certificate must be for the name. One is used at a time."""
    trust: Path | None = None
    """The authorities, PEM, that the servers' certificate must come from; left out, those of the operating system. A
    changed file, as one of `certificate` and `key`, counts from the next connection on."""
    user: str | None = None
    """The user at NATS, with `password_file`."""
    password_file: Path | None = None
    """A file that holds the user's password and nothing else; read again for each connection."""
    token_file: Path | None = None
    """A file that holds a token for NATS and nothing else, where it asks for one in place of a user."""
    nkey_file: Path | None = None
    """A file that holds the seed of a user's nkey (`SU…`) and nothing else, for a NATS that knows its public key."""
    credentials_file: Path | None = None
    """The credentials of a user, `.creds` as `nsc generate creds` writes it, for a NATS with operator and accounts. All
    four kinds of login are read again for each connection."""
    certificate: Path | None = None
    """The client certificate, PEM, for a NATS that asks for one."""
    key: Path | None = None
    """The private key of the client certificate, PEM."""
    beat_s: Seconds = 1.0
    """Seconds between two signs of life of a node."""
    dead_s: Seconds = 4.0
    """Seconds of silence after which another node, or NATS itself, is given up."""


class RelaySettings(Settings, frozen=True, kw_only=True):
    """The relay itself: `[relay]`."""

    certificate: Path
    """The relay's certificate and its chain, PEM, leaf first."""
    key: Path
    """The private key of the certificate, PEM."""
    name: str = "localhost"
    """The host name that SCIM clients and agents use; the certificate's subject must match it."""
    public: tuple[Authority, ...] = ()
    """What else SCIM clients may write in the Host header, `NAME` or `NAME:PORT`, where another name or port leads
    here; `name`, alone and with `port`, is always taken. Any other is answered with 421, so that no client can make the
    host name an address in `meta.location` that is not the relay's."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of the load balancers in front of the relay: whom one of them names in X-Forwarded-For (or
    Forwarded) is the client, for bounds by address, for the log, and for the host, which locks out who guesses."""
    listen: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    """The address to listen on; `0.0.0.0` for all of IPv4, `::` for all of IPv6 and IPv4."""
    port: Port = 8443
    """The TLS port for SCIM clients and agents; 0 takes any free one, which the log then names."""
    state: Path | None = None
    """The folder for tenants, agents, and the authority that issues agents' certificates; left out, `state` beside this
    file."""
    store: str | None = None
    """A PostgreSQL database in place of a file in `state`, where several nodes share tenants, tokens, agents and
    revocations: `postgresql://USER@HOST/DATABASE`; needs the package psycopg. Save on this machine, the server's
    certificate is verified and must be for HOST."""
    store_trust: Path | None = None
    """The authorities, PEM, that the database server's certificate must come from; left out, those of the operating
    system."""
    store_password_file: Path | None = None
    """A file that holds the password for the database and nothing else, read again for each connection; left out, libpq
    looks into its own places, PGPASSWORD and PGPASSFILE among them."""
    agent_authority: Path | None = None
    """The certificate of the authority that issues agents' certificates, PEM, the same at all nodes; left out, one is
    made in `state`."""
    agent_authority_key: Path | None = None
    """Its private key, PEM, readable by the relay's account alone. Nodes know each other by it, too."""
    agent_days: CertificateDays = 30.0
    """Days for which an agent's certificate is good; agents renew by themselves after two thirds of that."""
    enrolment_hours: InvitationHours = 24.0
    """Hours in which an enrolment token may be used, once."""
    heartbeat_s: Seconds = 5.0
    """Seconds between two signs of life on a link."""
    dead_s: Seconds = 15.0
    """Seconds of silence after which a link is given up."""
    compression: bool = True
    """Whether agents may compress answers on their links. Whoever can watch a line, measure lengths and choose values
    that stand in one answer with other people's may learn something about those: `false` ends that, for every agent."""
    retry_after_s: Count = 5
    """Seconds that a client is asked to wait where a request may be repeated."""
    stop_s: Seconds = 20.0
    """Seconds that requests in hand are given to end when the relay stops."""
    limits: LimitSettings = LimitSettings()
    """Bounds on what SCIM clients may ask."""
    node: Annotated[str, Meta(min_length=1, max_length=100)] = msgspec.field(default_factory=socket.gethostname)
    """What administrators call this node, where the relay has several; left out, the machine's name."""
    nats: NatsSettings | None = None
    """How the nodes reach each other, where the relay has several."""
    metrics_port: Port | None = None
    """A port on loopback for /metrics, as Prometheus reads them; left out, there is none."""
    log_format: LogFormat = "auto"
    """`json` for machines, `console` for people, `auto` decides by whether the output is a terminal."""
    log_level: LogLevel = "info"
    """The least important events to log."""


class TenantSettings(Settings, frozen=True, kw_only=True):
    """One tenant: `[tenants.NAME]`; SCIM clients reach it as `https://RELAY/t/NAME/`.

    Not needed for a tenant whose agents enrol (`provisioning-agent relay tenant add`), and that sets none of these.
    """

    agent_token_hashes: tuple[TokenHash, ...] = ()
    """SHA-256 of each token that an agent of this tenant may show, `sha256:` and 64 hex digits; several while one is
    being replaced."""
    client_token_hashes: tuple[TokenHash, ...] = ()
    """SHA-256 of each token that SCIM clients may show to the relay. Where there are any, the relay demands one and
    keeps it: the host's own token is added by the agent, from its `host_token_file`. Where there are none, the client's
    token goes to the host, which alone checks it."""
    passthrough: tuple[HostName, ...] = ()
    """Host names whose TLS connections go to this tenant's host untouched, by the name that the client asks for (SNI):
    the host's own certificate must have the name, and its agents must set `passthrough`."""


class RelayConfiguration(Settings, frozen=True, kw_only=True):
    """The whole of relay.toml."""

    relay: RelaySettings
    """The relay itself."""
    tenants: dict[str, TenantSettings] = {}
    """The tenants by name: lower-case letters, digits and hyphens."""


# ── the agent ─────────────────────────────────────────────────────────────────────────────────────────────────────


class AgentSettings(Settings, frozen=True, kw_only=True):
    """The agent itself: `[agent]`."""

    relay: str | Annotated[tuple[str, ...], Meta(min_length=1)]
    """The relay's URL: `https://relay.example.org`; a list where the relay has several nodes."""
    tenant: str
    """The tenant's name at the relay."""
    state: Path | None = None
    """The folder for the agent's key and certificate; left out, `state` beside this file."""
    token_file: Path | None = None
    """A file that holds the agent's token and nothing else, for an agent that is not enrolled; it is read again for
    each new link."""
    relay_trust: Path | None = None
    """The authorities, PEM, that the relay's certificate must come from; left out, those of the operating system."""
    host: str
    """The connector host's URL, without a path: `https://localhost:8585`. Requests go there and nowhere else."""
    host_trust: Path | None = None
    """The authorities, PEM, that the host's certificate must come from; left out, those of the operating system. An
    exchanged file is taken over with the next connection."""
    host_client_certificate: Path | None = None
    """The certificate that is shown to a host that demands one (`client_authority` in its [host]), PEM, with what
    issued it behind it. Exchanged files are taken over with the next connection."""
    host_client_key: Path | None = None
    """The key of that certificate, PEM, without a passphrase, readable by the agent's account alone."""
    host_token_file: Path | None = None
    """A file that holds the connector host's token and nothing else; requests carry it in place of what the client
    sent. It is read again every few seconds."""
    proxy: str | None = None
    """An HTTP proxy that the way to the relay leads through, `http://[USER@]NAME:PORT`; left out, the environment's
    HTTPS_PROXY and NO_PROXY (`NAME`, or `NAME:PORT`) count."""
    proxy_password_file: Path | None = None
    """A file that holds the password for the proxy and nothing else; it is read again for each new link."""
    passthrough: bool = False
    """Carry clients' TLS connections to the host untouched, too, where the relay's administrator set that up: then the
    host alone sees and checks what is asked."""
    name: Annotated[str, Meta(min_length=1, max_length=100)] = msgspec.field(default_factory=socket.gethostname)
    """What administrators call this agent; left out, the machine's name."""
    links: Annotated[int, Meta(ge=1, le=8)] = 2
    """Links that are held at once, over the relay's nodes in turn: one that breaks costs no availability."""
    probe_s: Seconds = 5.0
    """Seconds between two looks at the connector host, so that the relay knows which agents reach theirs."""
    in_flight: Count = 256
    """Requests that may be under way at once; more are left to other agents, or answered with 503. Connections in
    passthrough count, too, and get three quarters of it at the most, since anybody may open one."""
    compression: Literal["auto", "on", "off"] = "auto"
    """Compress answers of the host on their way to the relay: `auto` on lines with a round trip of 5 ms or more, where
    it shortens transfers; within a house it would only cost time. Never requests, which hold passwords, never headers,
    and never what the host compressed; see `relay.compression` for what lengths tell."""
    requests_per_s: Annotated[float, Meta(gt=0)] | None = None
    """Requests in a second, whatever the relay asks; for a moment it may be twice as many. More are left to other
    agents, or answered with 503. Left out, only what is under way is bounded."""
    body_bytes: Annotated[int, Meta(ge=1_024)] = 4_194_304
    """The largest request body that is carried to the host, whatever the relay lets through."""
    host_connect_s: Seconds = 5.0
    """Seconds for a connection to the connector host to come about."""
    relay_connect_s: Seconds = 10.0
    """Seconds for a link to the relay to come about."""
    heartbeat_s: Seconds = 5.0
    """Seconds between two signs of life on a link."""
    dead_s: Seconds = 15.0
    """Seconds of silence after which a link is given up."""
    reconnect_s: Seconds = 30.0
    """The longest pause before a link is dialled again; each pause is drawn at random, from nothing up."""
    stop_s: Seconds = 20.0
    """Seconds that requests in hand are given to end when the agent stops."""
    metrics_port: Port | None = None
    """A port on loopback for /metrics, as Prometheus reads them; left out, there is none."""
    log_format: LogFormat = "auto"
    """`json` for machines, `console` for people, `auto` decides by whether the output is a terminal."""
    log_level: LogLevel = "info"
    """The least important events to log."""


class AgentConfiguration(Settings, frozen=True, kw_only=True):
    """The whole of agent.toml."""

    agent: AgentSettings
    """The agent itself."""


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

Model = TypeVar("Model", bound=Settings)


def load_relay(path: Path, environment: Mapping[str, str] | None = None) -> RelayConfiguration:
    """Read relay.toml with the environment laid over it; raises ConfigurationError that names file, key and mend."""
    settings = load(path, RelayConfiguration, RELAY_PREFIX, os.environ if environment is None else environment)
    for name in settings.tenants:
        if not TENANT_NAME.fullmatch(name):
            wanted = "use lower-case letters, digits and hyphens, 63 at most"
            raise ConfigurationError(f"{path}: tenants.{name}: is no name for a tenant: {wanted}.")
    with named(path):
        networks(settings.relay.trusted_proxies, "relay.trusted_proxies")
        outlasts(settings.relay.dead_s, settings.relay.heartbeat_s, "relay.dead_s", "relay.heartbeat_s")
        if (nats := settings.relay.nats) is not None:
            outlasts(nats.dead_s, nats.beat_s, "relay.nats.dead_s", "relay.nats.beat_s")
    if settings.relay.state is None:
        relay = msgspec.structs.replace(settings.relay, state=path.resolve().parent / "state")
        return msgspec.structs.replace(settings, relay=relay)
    return settings


def load_agent(path: Path, environment: Mapping[str, str] | None = None) -> AgentConfiguration:
    """Read agent.toml with the environment laid over it; raises ConfigurationError that names file, key and mend."""
    settings = load(path, AgentConfiguration, AGENT_PREFIX, os.environ if environment is None else environment)
    if not TENANT_NAME.fullmatch(settings.agent.tenant):
        wanted = "lower-case letters, digits and hyphens; the relay's administrator knows it"
        raise ConfigurationError(f"{path}: agent.tenant: is no name of a tenant, which is {wanted}.")
    with named(path):
        _judge(settings.agent)
    if settings.agent.state is None:
        agent = msgspec.structs.replace(settings.agent, state=path.resolve().parent / "state")
        return msgspec.structs.replace(settings, agent=agent)
    return settings


def _judge(agent: AgentSettings) -> None:
    """Refuse what is well formed and cannot be used; raises ConfigurationError."""
    host_url(agent.host)
    for url in (agent.relay,) if isinstance(agent.relay, str) else agent.relay:
        relay_url(url)
    proxy = None if agent.proxy is None else proxy_url(agent.proxy)
    if agent.proxy_password_file is not None and (proxy is None or proxy.user is None):
        raise ConfigurationError(
            "agent.proxy_password_file: whose password it is does not stand in agent.proxy: write http://USER@NAME:PORT."
        )
    outlasts(agent.dead_s, agent.heartbeat_s, "agent.dead_s", "agent.heartbeat_s")


def load(path: Path, model: type[Model], prefix: str, environment: Mapping[str, str]) -> Model:
    """Read a file with the environment laid over it; raises ConfigurationError that names file, key and mend."""
    try:
        document = tomllib.loads(read_small(path).decode("utf-8-sig"))
    except OSError as failure:
        raise ConfigurationError(f"{path}: cannot be read ({failure.strerror}).") from failure
    except UnicodeDecodeError as failure:
        raise ConfigurationError(f"{path}: is not TOML: it is no text in UTF-8. Save it in UTF-8.") from failure
    except tomllib.TOMLDecodeError as failure:
        raise ConfigurationError(f"{path}: is not TOML: {failure}.") from failure
    for name, text in environment.items():
        if name.startswith(prefix):
            _overlay(document, name, name.removeprefix(prefix), text)
    folder = path.resolve().parent

    def to_path(kind: type, value: object) -> object:
        if kind is Path and isinstance(value, str):
            return folder / value
        raise NotImplementedError

    try:
        return msgspec.convert(document, model, dec_hook=to_path)
    except msgspec.ValidationError as failure:
        raise ConfigurationError(f"{path}: {words(str(failure), model, _tenant(document, to_path))}") from failure


def _tenant(document: Mapping[str, object], hook: Callable[[type, object], object]) -> str:
    """Return the first tenant that cannot be read, whom msgspec does not name; empty where there is none."""
    tenants = document.get("tenants")
    for name, table in tenants.items() if isinstance(tenants, dict) else ():
        try:
            msgspec.convert(table, TenantSettings, dec_hook=hook)
        except msgspec.ValidationError:
            return str(name)
    return ""


def _overlay(document: dict[str, object], variable: str, keys: str, text: str) -> None:
    """Put one environment variable into the document; keys are found without regard to case."""
    *parents, last = keys.split("__")
    table = document
    for part in parents:
        inner = table.setdefault(_spelled(table, part), {})
        if not isinstance(inner, dict):
            raise ConfigurationError(f"{variable}: {part.lower()} is not a table of the configuration.")
        table = inner
    table[_spelled(table, last)] = _value(text)


def _spelled(table: Mapping[str, object], part: str) -> str:
    """Return the key as the file spells it, in lower case where the file has it not."""
    return next((key for key in table if key.lower() == part.lower()), part.lower())


def _value(text: str) -> object:
    """Read a variable as a TOML value where it is one, and as plain text where it is not."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

"""The commands that a person types; imports rooms only when a command needs them."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__, memory, services
from agent.errors import ConfigurationError, Unavailable
from agent.signer import commands as signing
from connector_host import journald

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from agent.status import AgentStatus, RelayStatus

_STDIN = "-"
EXIT_REFUSED = 1
EXIT_CONFIGURATION = 2
EXIT_TEMPORARY = 75
"""EX_TEMPFAIL of sysexits.h."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 after a graceful stop, 2 where the configuration is not usable.

    75 where it may be later: a service manager tries again.
    """
    command: Callable[[argparse.Namespace], int]
    parsed = _parser().parse_args(arguments)
    command = parsed.command
    try:
        status = command(parsed)
        if sys.stdout is not None:  # a Windows service has none
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read what was printed went away, as `head` does; Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_REFUSED
    except ConfigurationError as failure:
        print(journald.spoken(sys.stderr, str(failure)), file=sys.stderr)  # noqa: T201 - for the person, or the journal
        return EXIT_TEMPORARY if isinstance(failure, Unavailable) else EXIT_CONFIGURATION
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="provisioning-agent",
        description="Carry SCIM requests from a public relay to a connector host that no inbound port leads to.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="dial the relay and carry its requests to the connector host",
        description="Dial the relay and carry its requests to the connector host, until SIGTERM or Ctrl-C. "
        "Every key may also be set by an environment variable, PROVISIONING_AGENT__AGENT__TENANT for `tenant`.",
    )
    run.add_argument("--config", type=Path, required=True, metavar="agent.toml", help="the agent's configuration")
    run.set_defaults(command=_run)
    enroll = commands.add_parser(
        "enroll",
        help="get this agent's certificate for a one-time token",
        description="Make a key on this machine, and get a certificate for it from the relay, for a token that the "
        "relay's administrator made with `provisioning-agent relay tenant add`. Also for an agent whose certificate "
        "has expired: a running agent takes the new one by itself.",
    )
    enroll.add_argument("--config", type=Path, required=True, metavar="agent.toml", help="the agent's configuration")
    token = enroll.add_mutually_exclusive_group(required=True)
    token.add_argument("--token", help="the token")
    token.add_argument("--token-file", metavar="FILE", help="a file that holds the token, `-` for standard input")
    enroll.set_defaults(command=_enroll)
    status = commands.add_parser("status", help="how the agent that runs with this configuration is")
    status.add_argument("--config", type=Path, required=True, metavar="agent.toml", help="the agent's configuration")
    status.add_argument("--json", action="store_true", help="for scripts")
    status.set_defaults(command=_agent_status)
    relay = commands.add_parser(
        "relay",
        help="serve SCIM clients and agents",
        description="Serve SCIM clients at https://RELAY/t/TENANT/ and the agents that dial in, until SIGTERM or "
        "Ctrl-C. Every key may also be set by an environment variable, RELAY__RELAY__PORT for `port` in [relay].",
    )
    relay.add_argument("--config", type=Path, required=True, metavar="relay.toml", help="the relay's configuration")
    relay.set_defaults(command=_relay)
    _add_administration(relay)
    signing.add_parser(commands, _serve)
    services.add_parser(commands)
    return parser


def _add_administration(relay: argparse.ArgumentParser) -> None:
    """Add what an administrator of the relay types; each works while the relay runs."""
    parts = relay.add_subparsers(metavar="PART", help="without one, the relay itself runs")
    status = parts.add_parser("status", help="how the relay that runs with this configuration is")
    status.add_argument("--json", action="store_true", help="for scripts")
    status.set_defaults(command=_relay_status)
    tenant = parts.add_parser("tenant", help="tenants").add_subparsers(required=True, metavar="ACTION")
    add = tenant.add_parser("add", help="add a tenant, or a further agent of one: prints a one-time enrolment token")
    add.add_argument("name", help="lower-case letters, digits and hyphens")
    add.set_defaults(command=_add_tenant)
    tenants = tenant.add_parser("list", help="every tenant, with its agents and its enrolment tokens")
    tenants.add_argument("--json", action="store_true", help="for scripts")
    tenants.set_defaults(command=_list_tenants)
    remove = tenant.add_parser(
        "remove", help="forget a tenant and its tokens; its agents are revoked, and their links end within seconds"
    )
    remove.add_argument("name", help="as `tenant list` shows it")
    remove.set_defaults(command=_remove_tenant)
    agent = parts.add_parser("agent", help="agents").add_subparsers(required=True, metavar="ACTION")
    listing = agent.add_parser("list", help="every agent that was enrolled")
    listing.add_argument("--json", action="store_true", help="for scripts")
    listing.set_defaults(command=_list_agents)
    revoke = agent.add_parser("revoke", help="let an agent in no more; its live links end within seconds")
    revoke.add_argument("id", help="as `agent list` shows it")
    revoke.set_defaults(command=_revoke_agent)


def _run(parsed: argparse.Namespace) -> int:
    from agent import logs  # noqa: PLC0415 - `--help` answers without the rooms that do the work

    with memory.lean_imports():
        from agent.outbound import service  # noqa: PLC0415
    from agent.settings import load_agent  # noqa: PLC0415

    settings = load_agent(parsed.config).agent
    logs.configure(settings.log_format, settings.log_level)
    _serve(lambda stop: service.run(settings, stop, _ready))
    return 0


def _relay(parsed: argparse.Namespace) -> int:
    from agent import logs  # noqa: PLC0415 - `--help` answers without the rooms that do the work

    with memory.lean_imports():
        from agent.relay import service  # noqa: PLC0415
    from agent.settings import load_relay  # noqa: PLC0415

    configuration = load_relay(parsed.config)
    logs.configure(configuration.relay.log_format, configuration.relay.log_level)
    _serve(lambda stop: service.run(configuration, stop, _ready))
    return 0


def _enroll(parsed: argparse.Namespace) -> int:
    from agent.addresses import relay_url  # noqa: PLC0415
    from agent.outbound.credentials import EnrolmentRefused, enrol_at_any  # noqa: PLC0415
    from agent.settings import load_agent  # noqa: PLC0415

    settings = load_agent(parsed.config).agent
    urls = (settings.relay,) if isinstance(settings.relay, str) else settings.relay
    relays = [relay_url(url) for url in urls]
    state = settings.state or Path("state")
    try:
        identity = asyncio.run(enrol_at_any(settings, relays, state, _enrolment_token(parsed)))
    except EnrolmentRefused as refused:
        print(f"Not enrolled: {refused}", file=sys.stderr)  # noqa: T201
        return EXIT_REFUSED
    end = identity.certificate.not_valid_after_utc
    print(f"Enrolled as {identity.name.agent} of tenant {identity.name.tenant}, until {end:%Y-%m-%d}.")  # noqa: T201
    print(f"Next: provisioning-agent run --config {parsed.config}")  # noqa: T201
    return 0


def _enrolment_token(parsed: argparse.Namespace) -> str:
    if parsed.token is not None:
        return str(parsed.token).strip()
    if parsed.token_file == _STDIN:
        return sys.stdin.read().strip()
    from agent.secrets import read_secret  # noqa: PLC0415 - `--help` answers without the rooms that do the work

    return read_secret(Path(parsed.token_file), "--token-file")


def _agent_status(parsed: argparse.Namespace) -> int:
    from agent.outbound.reporting import STATUS_FILE  # noqa: PLC0415
    from agent.settings import load_agent  # noqa: PLC0415
    from agent.status import AgentStatus, read  # noqa: PLC0415

    file = (load_agent(parsed.config).agent.state or Path()) / STATUS_FILE
    return _show_status(read(file, AgentStatus, time.time()), file, parsed)


def _relay_status(parsed: argparse.Namespace) -> int:
    from agent.relay.reporting import STATUS_FILE  # noqa: PLC0415
    from agent.settings import load_relay  # noqa: PLC0415
    from agent.status import RelayStatus, read  # noqa: PLC0415

    file = (load_relay(parsed.config).relay.state or Path()) / STATUS_FILE
    return _show_status(read(file, RelayStatus, time.time()), file, parsed)


def _show_status(status: RelayStatus | AgentStatus | None, file: Path, parsed: argparse.Namespace) -> int:
    import msgspec  # noqa: PLC0415

    from agent.status import words  # noqa: PLC0415

    if status is None:
        # Where it cannot write, by a full disk, say, its log tells why.
        old = f"Not running, held up, or unable to write: nothing has been written to {file} lately."
        print(old if file.exists() else "Not running.", file=sys.stderr)  # noqa: T201
        return EXIT_REFUSED
    print(msgspec.json.encode(status).decode() if parsed.json else words(status, time.time()))  # noqa: T201
    return 0


def _add_tenant(parsed: argparse.Namespace) -> int:
    from agent.relay import administration  # noqa: PLC0415

    token, hours = administration.add_tenant(parsed.config, parsed.name)
    print(token)  # noqa: T201
    print(  # noqa: T201
        f"One agent of tenant {parsed.name} may enrol with this token, within {hours:g} hours:\n"
        "  provisioning-agent enroll --config agent.toml --token TOKEN",
        file=sys.stderr,
    )
    return 0


def _list_tenants(parsed: argparse.Namespace) -> int:
    from agent.relay import administration  # noqa: PLC0415

    print(administration.list_tenants(parsed.config, as_json=parsed.json))  # noqa: T201
    return 0


def _remove_tenant(parsed: argparse.Namespace) -> int:
    from agent.relay import administration  # noqa: PLC0415

    if administration.remove_tenant(parsed.config, parsed.name):
        print("Removed.")  # noqa: T201
        return 0
    print("There is no such tenant: see `provisioning-agent relay tenant list`.", file=sys.stderr)  # noqa: T201
    return EXIT_REFUSED


def _list_agents(parsed: argparse.Namespace) -> int:
    from agent.relay import administration  # noqa: PLC0415

    print(administration.list_agents(parsed.config, as_json=parsed.json))  # noqa: T201
    return 0


def _revoke_agent(parsed: argparse.Namespace) -> int:
    from agent.relay import administration  # noqa: PLC0415

    if administration.revoke_agent(parsed.config, parsed.id):
        print("Revoked.")  # noqa: T201
        return 0
    print("There is no such agent: see `provisioning-agent relay agent list`.", file=sys.stderr)  # noqa: T201
    return EXIT_REFUSED


def _ready() -> None:
    memory.keep_what_stays()
    services.ready()


def _serve(serve: Callable[[asyncio.Event], Coroutine[object, object, None]]) -> None:
    """Run until told to stop, on uvloop where the extra `fast` installed it: a third less work for each request."""
    memory.keep_blocks_apart()
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - an extra, and not there on Windows
    except ImportError:
        asyncio.run(_until_told(serve))
        return
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_until_told(serve))


async def _until_told(serve: Callable[[asyncio.Event], Coroutine[object, object, None]]) -> None:
    """Run until SIGTERM, Ctrl-C or a terminal that goes away asks for a stop, which lets the requests in hand end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    # Windows has none; nohup has it ignored, and means it.
    if (hangup := getattr(signal, "SIGHUP", None)) is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    for number in numbers:
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError, ValueError):
            # Windows has no signal handlers in its event loop; the plain one must hop over to it. In a Windows service
            # this is not the main thread, which alone hears signals: the service manager asks below.
            with suppress(ValueError):
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    with services.told_to_stop(lambda: loop.call_soon_threadsafe(stop.set)):
        async with services.watched(), memory.given_back():
            await serve(stop)


if __name__ == "__main__":
    sys.exit(main())

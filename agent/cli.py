"""The commands that a person types; imports rooms only when a command needs them."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__
from agent.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

EXIT_CONFIGURATION = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 after a graceful stop, 2 where the configuration is not usable."""
    command: Callable[[argparse.Namespace], int]
    parsed = _parser().parse_args(arguments)
    command = parsed.command
    try:
        return command(parsed)
    except ConfigurationError as failure:
        print(failure, file=sys.stderr)  # noqa: T201 - for the person who typed the command
        return EXIT_CONFIGURATION


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
    relay = commands.add_parser(
        "relay",
        help="serve SCIM clients and agents",
        description="Serve SCIM clients at https://RELAY/t/TENANT/ and the agents that dial in, until SIGTERM or "
        "Ctrl-C. Every key may also be set by an environment variable, RELAY__RELAY__PORT for `port` in [relay].",
    )
    relay.add_argument("--config", type=Path, required=True, metavar="relay.toml", help="the relay's configuration")
    relay.set_defaults(command=_relay)
    return parser


def _run(parsed: argparse.Namespace) -> int:
    from agent import logs  # noqa: PLC0415 - `--help` answers without the rooms that do the work
    from agent.outbound import service  # noqa: PLC0415
    from agent.settings import load_agent  # noqa: PLC0415

    settings = load_agent(parsed.config).agent
    logs.configure(settings.log_format, settings.log_level)
    _serve(lambda stop: service.run(settings, stop))
    return 0


def _relay(parsed: argparse.Namespace) -> int:
    from agent import logs  # noqa: PLC0415 - `--help` answers without the rooms that do the work
    from agent.relay import service  # noqa: PLC0415
    from agent.settings import load_relay  # noqa: PLC0415

    configuration = load_relay(parsed.config)
    logs.configure(configuration.relay.log_format, configuration.relay.log_level)
    _serve(lambda stop: service.run(configuration, stop))
    return 0


def _serve(serve: Callable[[asyncio.Event], Coroutine[object, object, None]]) -> None:
    """Run until told to stop, on uvloop where the extra `fast` installed it: a third less work for each request."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - an extra, and not there on Windows
    except ImportError:
        asyncio.run(_until_told(serve))
        return
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_until_told(serve))


async def _until_told(serve: Callable[[asyncio.Event], Coroutine[object, object, None]]) -> None:
    """Run until SIGTERM or Ctrl-C asks for a graceful stop; which lets the requests in hand end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:
            # Windows has no signal handlers in its event loop; the plain one must hop over to it.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    await serve(stop)


if __name__ == "__main__":
    sys.exit(main())

"""`provisioning-agent service`: the agent, or the relay, as a service of this machine."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connector_host.errors import HostError
from connector_host.units import notifying
from connector_host.units.descriptions import Unit
from connector_host.units.stopping import REQUESTS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

AGENT: Final = "provisioning-agent"
RELAY: Final = "provisioning-relay"
EXIT_CONFIGURATION: Final = 2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `service` with its actions to the command line."""
    actions = commands.add_parser(
        "service",
        help="run the agent, or the relay, as a service of this machine",
        description="Install the agent, or with --relay the relay, as a hardened service with an account of "
        "its own. The folder of the configuration is handed to that account.",
    ).add_subparsers(required=True, metavar="ACTION")
    _add(actions, "install", "put it in place and start it", _install, configured=True)
    _add(actions, "uninstall", "stop it and take it away; configuration and state stay", _uninstall)
    _add(actions, "start", "start it", _start)
    _add(actions, "stop", "stop it", _stop)
    _add(actions, "status", "say whether it runs, with the end of its log", _status)


def unit_of(config: Path, *, relay: bool, state: Path | None = None, port: int = 0, stop_s: float = 20.0) -> Unit:
    """Return agent or relay as a unit; its state is beside the configuration, where `enroll` and others look, too."""
    program = shutil.which(AGENT, path=str(Path(sys.executable).parent)) or shutil.which(AGENT) or AGENT
    return Unit(
        name=RELAY if relay else AGENT,
        description="Provisioning relay: SCIM clients in, agents in"
        if relay
        else "Provisioning agent: dials the relay",
        entry="agent.cli:main",
        command=(program, "relay" if relay else "run", "--config", str(config)),
        folder=config.parent,
        port=port,
        stop_s=stop_s,
        watchdog_s=30,
        writable=() if state is None or state.is_relative_to(config.parent) else (state,),
        exits_for_good=(EXIT_CONFIGURATION,),
    )


def ready() -> None:
    """Tell the service manager that requests can be carried from now on."""
    notifying.notify(notifying.READY)


def watched() -> AbstractAsyncContextManager[None]:
    """Show the service manager signs of life for as long as the block lasts."""
    return notifying.watched()


def told_to_stop(listener: Callable[[], object]) -> AbstractContextManager[None]:
    """Call the listener, from any thread, when a service manager asks for a stop by other means than a signal."""
    return REQUESTS.heard_by(listener)


def _add(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int],
    *,
    configured: bool = False,
) -> None:
    parser = actions.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument("--relay", action="store_true", help="the relay instead of the agent")
    if configured:
        parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="agent.toml, or relay.toml")
        parser.add_argument("--no-start", action="store_true", help="only put it in place")
        parser.add_argument("--print", action="store_true", help="print what would be put in place, and change nothing")
    parser.set_defaults(command=lambda parsed: _told(run, parsed))


def _told(run: Callable[[argparse.Namespace], int], parsed: argparse.Namespace) -> int:
    try:
        return run(parsed)
    except HostError as failure:
        print(failure, file=sys.stderr)  # noqa: T201 - for the person who typed the command
        return 1


def _install(parsed: argparse.Namespace) -> int:
    from agent.settings import RelaySettings, load_agent, load_relay  # noqa: PLC0415 - `--help` answers without them
    from connector_host.units.managers import of_this_machine  # noqa: PLC0415 - the same

    config = parsed.config.absolute()
    settings = load_relay(config).relay if parsed.relay else load_agent(config).agent
    port = settings.port if isinstance(settings, RelaySettings) else 0
    unit = unit_of(config, relay=parsed.relay, state=settings.state, port=port, stop_s=settings.stop_s)
    manager = of_this_machine()
    if parsed.print:
        print(manager.show(unit))  # noqa: T201 - what was asked for
        return 0
    manager.install(unit, start=not parsed.no_start)
    print(f"{unit.name} is installed. Its log: {manager.log_of(unit.name)}")  # noqa: T201 - for the person
    return 0


def _uninstall(parsed: argparse.Namespace) -> int:
    from connector_host.units.managers import of_this_machine  # noqa: PLC0415 - the same

    of_this_machine().uninstall(_name(parsed))
    return 0


def _start(parsed: argparse.Namespace) -> int:
    from connector_host.units.managers import of_this_machine  # noqa: PLC0415 - the same

    of_this_machine().start(_name(parsed))
    return 0


def _stop(parsed: argparse.Namespace) -> int:
    from connector_host.units.managers import of_this_machine  # noqa: PLC0415 - the same

    of_this_machine().stop(_name(parsed))
    return 0


def _status(parsed: argparse.Namespace) -> int:
    from connector_host.units.managers import of_this_machine  # noqa: PLC0415 - the same

    running, text = of_this_machine().status(_name(parsed))
    print(text)  # noqa: T201 - what was asked for
    return 0 if running else 1


def _name(parsed: argparse.Namespace) -> str:
    return RELAY if parsed.relay else AGENT

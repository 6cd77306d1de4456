"""Writing a new configuration: all of its files, or none that matters, and never over one that is there unasked."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError
from connector_host.ownership import make_folder
from connector_host.settings import load
from connector_host.setup.certificates import issue
from connector_host.setup.documents import connector_lines, render
from connector_host.setup.secrets import seal_password
from connector_host.setup.tokens import add_token
from connector_host.tls.issuing import write_public
from connector_host.units.windows import keep_others_out, own_right

if TYPE_CHECKING:
    from connector_host.settings import Configuration
    from connector_host.setup.plans import ConnectorPlan, HostPlan


@dataclass(frozen=True, slots=True)
class Written:
    """What stands on the disk now."""

    config: Path
    configuration: Configuration
    token: str
    """The new token; only its hash was written."""


def refuse_overwriting(config: Path, *, force: bool) -> None:
    """Raise ConfigurationError where the file exists and nobody said that it may go."""
    if config.exists() and not force:
        raise ConfigurationError(
            f"{config} exists. Give another --config, add a connector to it with --add, or replace it with --force."
        )


def prepare_folder(config: Path) -> None:
    """Make the folder of a new configuration before any key is written there; raises ConfigurationError.

    Below ProgramData every account of the machine may read what is new, so a new folder is closed on Windows.
    """
    folder = config.absolute().parent
    if folder.is_dir():
        return
    try:
        make_folder(folder)
        if sys.platform == "win32":
            keep_others_out(folder, own_right())
    except OSError as failure:
        raise ConfigurationError(f"{folder}: cannot be written ({failure.strerror}).") from failure


def write(config: Path, host: HostPlan, connector: ConnectorPlan, password: str | None, *, force: bool) -> Written:
    """Write certificate, configuration, password and token hash, and return them as they were read back.

    The text is proven to load before anything is written. Raises ConfigurationError, with the old state untouched.
    """
    refuse_overwriting(config, force=force)
    _refuse_revoking(connector, force=force)
    text = render(host, connector, config.absolute().parent)
    _prove(text, config)
    if host.issue_into is not None:
        issue(host.issue_into, host.name)
    return _put(config, text, connector, password)


def _refuse_revoking(connector: ConnectorPlan, *, force: bool) -> None:
    """Raise ConfigurationError where tokens or password of a connector of this name are there, and may be in use."""
    for file in (connector.token_hash_file, connector.password_sealed_file):
        if file is not None and file.exists() and not force:
            raise ConfigurationError(
                f"{file} exists: a connector {connector.name} of another configuration may use it. Give another "
                "--name, a --config in another folder, or replace it with --force, which ends its tokens."
            )


def add(config: Path, connector: ConnectorPlan, password: str | None, *, force: bool) -> Written:
    """Add one connector to a configuration that is there, whose text otherwise stays as it is, comments included.

    Raises ConfigurationError where it has a connector of this name, and as `write` does.
    """
    if connector.name in load(config).connectors:
        raise ConfigurationError(f"{config} has a connector {connector.name} already. Give another --name.")
    _refuse_revoking(connector, force=force)
    old = config.read_text(encoding="utf-8")
    text = "\n".join([old.rstrip(), "", *connector_lines(connector, config.absolute().parent), ""])
    _prove(text, config)
    return _put(config, text, connector, password)


def _put(config: Path, text: str, connector: ConnectorPlan, password: str | None) -> Written:
    try:
        mode = config.stat().st_mode & 0o777 if config.exists() else 0o644
        if connector.password_sealed_file is not None and password is not None:
            seal_password(connector.name, password, connector.password_sealed_file)
        connector.token_hash_file.unlink(missing_ok=True)
        token = add_token(connector.token_hash_file, connector.name)
        write_public(config, text.encode(), mode=mode)
    except OSError as failure:
        raise ConfigurationError(f"{failure.filename or config}: cannot be written ({failure.strerror}).") from failure
    return Written(config, load(config), token)


def _prove(text: str, config: Path) -> None:
    """Load the text before it is the configuration's; raises ConfigurationError that names that file."""
    folder = config.absolute().parent
    try:
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".toml", encoding="utf-8") as draft:
            draft.write(text)
            draft.flush()
            try:
                load(Path(draft.name))
            except ConfigurationError as failure:
                raise ConfigurationError(str(failure).replace(draft.name, str(config))) from failure
    except OSError as failure:
        raise ConfigurationError(f"{folder}: cannot be written ({failure.strerror}).") from failure

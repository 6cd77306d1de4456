"""The tokens of a connector: adding, listing and revoking them in its file of hashes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from connector_host import clock
from connector_host.access.tokens import KnownToken, TokenGate, hash_token, make_token
from connector_host.errors import ConfigurationError
from connector_host.small_files import read_small
from connector_host.tls.issuing import write_private
from connector_host.vault.keys import KEY_NAME

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from connector_host.settings import Configuration, SqlSettings

_NOTHING_BUT_A_TOKEN: Final = re.compile(rb"(?:[A-Za-z0-9._~+/-]{12,1024}=*\r?\n?)?")
_READ_BYTES: Final = 2_048
"""More than any token has."""


def connector_named(configuration: Configuration, name: str | None) -> tuple[str, SqlSettings]:
    """Return the connector of this name, or the only one; raises ConfigurationError that names those there are."""
    names = ", ".join(configuration.connectors)
    if name is None:
        if len(configuration.connectors) > 1:
            raise ConfigurationError(f"There are several connectors; name one with --connector: {names}.")
        name = next(iter(configuration.connectors))
    if name not in configuration.connectors:
        raise ConfigurationError(f"There is no connector {name}; there are: {names}.")
    return name, configuration.connectors[name]


def add_token(
    file: Path | None, connector: str, *, token: str | None = None, name: str = "", expires: datetime | None = None
) -> str:
    """Return the token, or a new one, after its hash was added to the file; those that are there stay valid.

    Raises ConfigurationError where the connector has no file for hashes, where it cannot be written, or where the
    name would not stay one word.
    """
    if file is None:
        raise ConfigurationError(f"connectors.{connector}: set token_hash_file, so that there is a place for the hash.")
    if not re.fullmatch(r"[\w.@-]{0,40}", name):
        raise ConfigurationError("The name of a token is one word of up to 40 letters, digits and . _ - @.")
    token = token or make_token()
    known = KnownToken(hash_token(token), name, f"{clock.now():%Y-%m-%d}", expires)
    lines = _lines(file)
    if any(line.startswith(known.hash) for line in lines):
        raise ConfigurationError("This token is there already.")
    _write(file, [*lines, known.line()])
    return token


def refuse_token_file(file: Path, *others: Path | None) -> None:
    """Raise ConfigurationError where a token that is written there would replace anything but a token.

    `others` are files of the configuration, which may be written only after this.
    """
    mend = "Give a file that is not there yet, or one that holds a token and nothing else."
    try:
        if file.name == KEY_NAME or file.resolve() in {other.resolve() for other in others if other is not None}:
            raise ConfigurationError(f"--token-file: {file} is for something else in this configuration. {mend}")
        if not file.exists():
            _refuse_folder(file, others)
            return
        if not file.is_file():
            raise ConfigurationError(f"--token-file: {file} is no ordinary file, and would be replaced by one. {mend}")
        with file.open("rb") as opened:
            content = opened.read(_READ_BYTES)
    except OSError as failure:
        raise ConfigurationError(f"--token-file: {file} cannot be read ({failure.strerror}). {mend}") from failure
    if not _NOTHING_BUT_A_TOKEN.fullmatch(content):
        raise ConfigurationError(f"--token-file: {file} exists and is no token; it would be lost. {mend}")


def _refuse_folder(file: Path, others: tuple[Path | None, ...]) -> None:
    """Raise where no file can be made there, save where the folder is one that is made for the configuration."""
    folder = file.absolute().parent
    if not folder.is_dir():
        if folder not in {other.absolute().parent for other in others if other is not None}:
            raise ConfigurationError(f"--token-file: the folder {file.parent} is not there. Make it, or give another.")
    elif not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"--token-file: this account cannot write in {file.parent}. Give another folder.")


def write_token(file: Path, token: str) -> None:
    """Put the token there, readable by whoever runs this only; raises ConfigurationError where it is lost."""
    try:
        write_private(file, f"{token}\n".encode(), give_away=False)
    except OSError as failure:
        raise ConfigurationError(
            f"--token-file: {file} cannot be written ({failure.strerror}). Its hash is kept, the token itself is "
            "lost: make another one with `connector-host token new`."
        ) from failure


def list_tokens(settings: SqlSettings) -> tuple[KnownToken, ...]:
    """Return every token that is kept, those of the configuration itself first; raises ConfigurationError."""
    return TokenGate(settings.token_hashes, settings.token_hash_file).known()


def revoke_token(settings: SqlSettings, connector: str, token_id: str) -> KnownToken:
    """Take the token with this id or name out of the file, and return it; the running host sees it at once.

    Raises ConfigurationError where there is none, more than one, or where it stands in the configuration itself.
    """
    tokens = list_tokens(settings)
    found = [known for known in tokens if token_id in {known.id, known.name}]
    if len(found) != 1:
        there = ", ".join(known.id for known in tokens) or "none"
        raise ConfigurationError(f"{len(found)} tokens of {connector} are called {token_id}; there are: {there}.")
    if found[0].hash in settings.token_hashes or settings.token_hash_file is None:
        raise ConfigurationError(
            f"{token_id} stands in the configuration: remove it from connectors.{connector}.token_hashes."
        )
    kept = [line for line in _lines(settings.token_hash_file) if not line.startswith(found[0].hash)]
    _write(settings.token_hash_file, kept)
    return found[0]


def _lines(file: Path) -> list[str]:
    """Return the lines of the file as they stand, comments included."""
    try:
        return read_small(file).decode().splitlines() if file.exists() else []
    except OSError as failure:
        raise ConfigurationError(f"{file}: cannot be read ({failure.strerror}).") from failure


def _write(file: Path, lines: list[str]) -> None:
    try:
        write_private(file, "".join(f"{line}\n" for line in lines).encode())
    except OSError as failure:
        raise ConfigurationError(f"{file}: cannot be written ({failure.strerror}).") from failure

"""Where the key is that seals secrets: held by the service manager, or in a file that only its owner may read.

1. systemd     $CREDENTIALS_DIRECTORY/connector-host.key    decrypted by systemd for this service alone
2. a file      connector-host.key beside the configuration   mode 0600, checked at each use; on Windows its
                                                            content is protected by DPAPI for this machine
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connector_host.ownership import make_folder
from connector_host.small_files import read_small
from connector_host.tls.issuing import write_private
from connector_host.vault.errors import LET_READ, SecretUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_NAME: Final = "connector-host.key"
CREDENTIAL: Final = Path("/etc/credstore.encrypted") / KEY_NAME
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Key:
    """The key and where it came from."""

    material: bytes = field(repr=False)
    source: Path

    @property
    def id(self) -> str:
        """Return what tells this key from any other: the first digits of its hash."""
        return hashlib.sha256(b"connector-host key id\0" + self.material).hexdigest()[:12]


def find_key(folder: Path, environment: Mapping[str, str] | None = None) -> Key | None:
    """Return the key that the service manager holds, else the one in the folder, else None.

    Raises SecretUnusable where there is one that others may read, or that is no key.
    """
    environment = os.environ if environment is None else environment
    held = environment.get("CREDENTIALS_DIRECTORY")
    if held and _is_there(credential := Path(held) / KEY_NAME, hidden=True):
        return _read(credential, strict=False)
    file = folder / KEY_NAME
    if _is_there(file):
        return _read(file, strict=True)
    return _decrypted(CREDENTIAL) if _is_there(CREDENTIAL) else None


def has_key(folder: Path) -> bool:
    """Return whether there is a key for the configuration in this folder, without opening it."""
    return _is_there(folder / KEY_NAME) or _is_there(CREDENTIAL)


def _is_there(path: Path, *, hidden: bool = False) -> bool:
    """Return whether a file is there, and `hidden` where this account cannot look, as into a folder of root's own."""
    try:
        path.stat()
    except PermissionError:
        return hidden
    except OSError:
        return False
    return True


def make_key(folder: Path) -> Key:
    """Write a new key into the folder, for its owner only; raises OSError where that fails."""
    key = Key(secrets.token_bytes(_KEY_BYTES), folder / KEY_NAME)
    make_folder(folder)
    write_private(key.source, base64.b64encode(_protected(key.material)) + b"\n")
    return key


def _read(path: Path, *, strict: bool) -> Key:
    try:
        if strict:
            _demand_private(path)
        material = _unprotected(base64.b64decode(read_small(path), validate=False), strict=strict)
    except OSError as failure:
        raise SecretUnusable(f"{path}: the key cannot be read ({failure.strerror}). {LET_READ}") from failure
    except (binascii.Error, ValueError) as failure:
        raise SecretUnusable(f"{path}: is no key. Restore it from a backup, or set the passwords anew.") from failure
    if len(material) != _KEY_BYTES:
        raise SecretUnusable(f"{path}: is no key of {_KEY_BYTES} bytes. Restore it from a backup.")
    return Key(material, path)


def _decrypted(path: Path) -> Key:
    """Ask systemd-creds for the key that was handed over to systemd; only root may."""
    command = ("systemd-creds", "decrypt", f"--name={KEY_NAME}", str(path), "-")
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=30)  # noqa: S603 - a fixed list
        material = base64.b64decode(done.stdout)
    except (OSError, subprocess.SubprocessError, binascii.Error) as failure:
        raise SecretUnusable(
            f"{path}: systemd holds the key, and gives it to root only. Run this with sudo."
        ) from failure
    return Key(material, path)


def _demand_private(path: Path) -> None:
    mode = path.stat().st_mode
    if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretUnusable(f"{path}: others may read the key (mode {stat.S_IMODE(mode):o}). Run: chmod 600 {path}")


def _protected(material: bytes) -> bytes:
    if sys.platform == "win32":
        from connector_host.vault.dpapi import protect  # noqa: PLC0415 - exists on Windows only

        return protect(material)
    else:  # noqa: RET505 - mypy tells platforms apart by branches
        return material


def _unprotected(content: bytes, *, strict: bool) -> bytes:
    if sys.platform == "win32":
        if not strict:
            return content
        from connector_host.vault.dpapi import unprotect  # noqa: PLC0415 - exists on Windows only

        return unprotect(content)
    else:  # noqa: RET505 - the same
        return content

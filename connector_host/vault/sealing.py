"""Sealing a secret: AES-256-GCM, bound to what it is for, so that one sealed secret cannot stand in for another.

connector-host sealed secret, version 1
key 0a1b2c3d4e5f
<base64 of nonce and ciphertext>
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector_host.small_files import read_small
from connector_host.vault.errors import LET_READ, SecretUnusable

if TYPE_CHECKING:
    from pathlib import Path

    from connector_host.vault.keys import Key

_FIRST_LINE: Final = "connector-host sealed secret, version 1"
_NONCE_BYTES: Final = 12
_ANEW: Final = "Set the password anew: connector-host secret set"


def seal(secret: str, purpose: str, key: Key) -> bytes:
    """Return the content of a file that only the same key opens, for the same purpose only."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(key.material).encrypt(nonce, secret.encode(), purpose.encode())
    return f"{_FIRST_LINE}\nkey {key.id}\n{base64.b64encode(sealed).decode()}\n".encode()


def unseal(path: Path, purpose: str, key: Key | None) -> str:
    """Return the secret in the file; raises SecretUnusable with the cause and the mend."""
    try:
        lines = read_small(path).decode("ascii").splitlines()
    except FileNotFoundError as failure:
        raise SecretUnusable(f"{path}: there is no sealed secret. {_ANEW}") from failure
    except OSError as failure:
        raise SecretUnusable(f"{path}: the sealed secret cannot be read ({failure.strerror}). {LET_READ}") from failure
    except UnicodeDecodeError as failure:
        raise SecretUnusable(f"{path}: is no sealed secret that this version reads. {_ANEW}") from failure
    if len(lines) != 3 or lines[0] != _FIRST_LINE:  # noqa: PLR2004 - drawn above
        raise SecretUnusable(f"{path}: is no sealed secret that this version reads. {_ANEW}")
    if key is None:
        raise SecretUnusable(f"{path}: the key that opens it is not on this machine, or only root may see it. {_ANEW}")
    if lines[1] != f"key {key.id}":
        raise SecretUnusable(f"{path}: was sealed on another machine, or with a key that is gone. {_ANEW}")
    try:
        sealed = base64.b64decode(lines[2], validate=True)
        return AESGCM(key.material).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError) as failure:
        raise SecretUnusable(f"{path}: was altered, or belongs to another connector. {_ANEW}") from failure

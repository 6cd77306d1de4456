"""Names in any convention: the words of which they are made, and whether they name a secret."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRETS: Final = frozenset(
    {
        "password", "passwd", "pwd", "passphrase", "passwort", "kennwort", "secret", "pin", "salt", "otp", "totp",
        "mfa", "hash", "credential", "credentials", "apikey", "token", "motdepasse", "contrasena", "ssn", "unicodepwd",
    }
)  # fmt: skip
"""Words of columns that no directory should see."""
_WITHIN: Final = tuple(word for word in SECRETS if "pass" in word or word in ("kennwort", "unicodepwd", "contrasena"))
"""Those that are found inside of a longer name, too: `USERPASSWORD` has no words to be split into."""

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[^\W\d_]+|\d+")


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name in any convention: `FirstName`, `first_name`, `EMP-FIRST-NAME`, `userUPN2`."""
    return tuple(word.lower() for word in _WORD.findall(_HUMP.sub(" ", name)))


def holds_secret(split: Sequence[str]) -> bool:
    """Return whether a name of these words is that of a secret, however it is written: `pass_word`, `PWD`."""
    joined = "".join(split)
    return joined in SECRETS or not SECRETS.isdisjoint(split) or any(word in joined for word in _WITHIN)


@lru_cache(maxsize=4_096)
def names_secret(name: str) -> bool:
    """Return whether a name is that of a secret."""
    return holds_secret(words(name))

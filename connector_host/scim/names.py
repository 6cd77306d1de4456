"""Names in any convention: the words of which they are made, and whether they name a secret."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSWORDS: Final = frozenset(
    {"password", "passwd", "pwd", "passphrase", "passwort", "kennwort", "motdepasse", "contrasena", "unicodepwd"}
)
"""Words that make a name a password's: refused through every door, and never shown (DESIGN §2.2)."""
SECRETS: Final = PASSWORDS | {
    "secret", "pin", "salt", "otp", "totp", "mfa", "hash", "credential", "credentials", "apikey", "token", "ssn",
}  # fmt: skip
"""Words of columns that are not proposed to an administrator; one who maps them means it."""

ATTRIBUTE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""What SCIM can spell as the name of an attribute (ATTRNAME of RFC 7643 §2.1); a column of another name needs a
mapping."""

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[^\W\d_]+|\d+")


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name in any convention: `FirstName`, `first_name`, `EMP-FIRST-NAME`, `userUPN2`."""
    return tuple(word.lower() for word in _WORD.findall(_HUMP.sub(" ", name)))


def holds_secret(split: Sequence[str]) -> bool:
    """Return whether a name of these words is that of a secret, however it is written: `api_key`, `PWD`."""
    return "".join(split) in SECRETS or not SECRETS.isdisjoint(split) or holds_password(split)


def holds_password(split: Sequence[str]) -> bool:
    """Return whether a name of these words is a password's: `pass_word`, `PasswordHash`, `USERPASSWORD`."""
    joined = "".join(split)
    # `pwd` alone would be found inside of innocent names.
    return not PASSWORDS.isdisjoint(split) or any(word in joined for word in PASSWORDS if word != "pwd")


@lru_cache(maxsize=4_096)
def names_password(name: str) -> bool:
    """Return whether a name is that of a password."""
    return holds_password(words(name))

"""A file that holds one secret and nothing else, as administrators hand passwords and tokens to a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError
from connector_host.small_files import read_small

if TYPE_CHECKING:
    from pathlib import Path


def read_secret_file(file: Path, key: str) -> str:
    """Return the secret without the end of its line, and without a byte order mark, which editors of Windows write.

    Raises ConfigurationError that names `key`, the cause and the mend, and nothing of what the file holds.
    """
    secret = read_secret_text(file, key).rstrip("\r\n")
    if "\n" in secret or "\r" in secret:
        raise ConfigurationError(f"{key}: {file} has more than one line. {_MEND}")
    return secret


def read_secret_text(file: Path, key: str) -> str:
    """Return a secret of several lines; raises as `read_secret_file` does, save for the number of its lines."""
    try:
        text = read_small(file).decode("utf-8-sig")
    except OSError as failure:
        mend = "Name the file that holds it, and let the account that runs this read it."
        raise ConfigurationError(f"{key}: {file} cannot be read ({failure.strerror}). {mend}") from failure
    except UnicodeDecodeError:  # whose text quotes the file
        raise ConfigurationError(f"{key}: {file} is no text in UTF-8. {_MEND}") from None
    if "\0" in text:
        raise ConfigurationError(f"{key}: {file} has a NUL character in it. {_MEND}")
    return text


_MEND = "Write the secret into it and nothing else, as text in UTF-8."

"""What may go wrong with a secret; no text ever holds a part of one."""

from __future__ import annotations

from typing import Final

from connector_host.errors import ConfigurationError

LET_READ: Final = "Let the account that runs this read it, and nobody else: chown, chmod 600."


class SecretUnusable(ConfigurationError):
    """A secret or its key cannot be used; the text names the file and the mend."""

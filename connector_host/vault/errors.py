"""What may go wrong with a secret; no text ever holds a part of one."""

from __future__ import annotations

from connector_host.errors import ConfigurationError


class SecretUnusable(ConfigurationError):
    """A secret or its key cannot be used; the text names the file and the mend."""

"""The outbound path: an agent on premises and the relay that it dials."""

from __future__ import annotations

from connector_host import __version__

__all__ = ["__version__"]

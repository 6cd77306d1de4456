"""Builds every room from the configuration and joins them: the only one that knows them all."""

from __future__ import annotations

from connector_host.app.addresses import url_of
from connector_host.app.checking import check
from connector_host.app.serving import run

__all__ = ["check", "run", "url_of"]

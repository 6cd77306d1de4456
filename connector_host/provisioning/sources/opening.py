"""From a source's settings to the source; the only module that knows them all, and loads each one's library late."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError
from connector_host.provisioning.secrets import revealed
from connector_host.provisioning.settings import (
    CsvSettings,
    GraphSettings,
    LdapSettings,
    NdjsonSettings,
    ScimSettings,
    SqlSettings,
)

if TYPE_CHECKING:
    from connector_host.provisioning.settings import SourceSettings
    from connector_host.provisioning.sources.contract import Source


def open_source(settings: SourceSettings) -> Source:
    """Return the source; raises ConfigurationError where a secret or a library that it needs is not there."""
    match settings:
        case CsvSettings() | NdjsonSettings():
            from connector_host.provisioning.sources.files import FileSource  # noqa: PLC0415 - loaded where used

            return FileSource(settings)
        case SqlSettings():
            from connector_host.provisioning.sources.sql import SqlSource  # noqa: PLC0415 - loaded where used

            return SqlSource(settings, revealed(settings.secret, settings.secret_file))
        case ScimSettings():
            from connector_host.provisioning.sources.scim import ScimSource  # noqa: PLC0415 - loaded where used

            return ScimSource(settings, revealed(settings.secret, settings.secret_file))
        case GraphSettings():
            from connector_host.provisioning.sources.graph import GraphSource  # noqa: PLC0415 - loaded where used

            return GraphSource(settings, revealed(settings.secret, settings.secret_file))
        case LdapSettings():
            return _ldap(settings)


def _ldap(settings: LdapSettings) -> Source:
    try:
        from connector_host.provisioning.sources.ldap import LdapSource  # noqa: PLC0415 - a native extra
    except ImportError as failure:
        mend = f"with a compiler and the headers of libldap and libsasl, {sys.executable} -m pip install bonsai"
        raise ConfigurationError(f"LDAP needs bonsai: {mend}") from failure
    return LdapSource(settings, revealed(settings.secret, settings.secret_file))

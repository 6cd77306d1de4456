"""The configuration as frozen models: one TOML file, every key documented where it is declared.

Every key may also be set by an environment variable: CONNECTOR_HOST__HOST__PORT=9000 stands for `port` in `[host]`,
CONNECTOR_HOST__CONNECTORS__HR__DATABASE for `database` in `[connectors.HR]`; lists and tables are given as TOML values.
Relative paths are relative to the folder of the file.
"""

from __future__ import annotations

from connector_host.settings.connectors import (
    REFUSAL_PRESETS,
    ColumnSettings,
    ConnectorSettings,
    DeleteFlow,
    DisableFlow,
    ExportSettings,
    LimitSettings,
    OnNull,
    RefusalAction,
    RefusalSettings,
    SigningSettings,
    SqlSettings,
)
from connector_host.settings.databases import placed_database, refuse_uri
from connector_host.settings.frozen import Settings
from connector_host.settings.host import AuditSettings, HostSettings
from connector_host.settings.loading import (
    CONNECTOR_NAME,
    ENVIRONMENT_PREFIX,
    FORMAT_VERSION,
    Configuration,
    explain,
    load,
    read_document,
)

__all__ = [
    "CONNECTOR_NAME",
    "ENVIRONMENT_PREFIX",
    "FORMAT_VERSION",
    "REFUSAL_PRESETS",
    "AuditSettings",
    "ColumnSettings",
    "Configuration",
    "ConnectorSettings",
    "DeleteFlow",
    "DisableFlow",
    "ExportSettings",
    "HostSettings",
    "LimitSettings",
    "OnNull",
    "RefusalAction",
    "RefusalSettings",
    "Settings",
    "SigningSettings",
    "SqlSettings",
    "explain",
    "load",
    "placed_database",
    "read_document",
    "refuse_uri",
]

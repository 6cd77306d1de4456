"""The names of all log events: constants with fields, never sentences with values in them."""

from __future__ import annotations

from typing import Final

HOST_STARTED: Final = "host.started"
HOST_STOPPING: Final = "host.stopping"
HOST_STOPPED: Final = "host.stopped"
REQUEST_ANSWERED: Final = "request.answered"
REQUEST_FAILED: Final = "request.failed"
CONNECTOR_DISCOVERED: Final = "connector.discovered"
CONNECTOR_UNAVAILABLE: Final = "connector.unavailable"
CONNECTOR_RECOVERED: Final = "connector.recovered"
ANCHOR_UNENFORCED: Final = "anchor.unenforced"
COLUMN_TYPE_CHANGED: Final = "column.type_changed"
EXPORT_DROPPED: Final = "export.dropped"
EXPORT_FINISHED_LATE: Final = "export.finished_late"
DATABASE_ERROR: Final = "database.error"
LIBRARY_MESSAGE: Final = "library.message"
CONNECTOR_MISCONFIGURED: Final = "connector.misconfigured"
CERTIFICATE_JUDGED: Final = "certificate.judged"
COLUMN_UNREADABLE: Final = "column.unreadable"

"""The types of columns as the host knows them (DESIGN §2.8): a small file that outlives the process.

New columns are added by themselves; a type that changed stays as it was until the file is taken away, which is how an
administrator accepts it. Holds names and types, never a value.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from connector_host.connectors.contract import AttributeType
from connector_host.connectors.sql.columns import Family, Kind
from connector_host.connectors.sql.discovery import Column
from connector_host.connectors.survey import ColumnFacts
from connector_host.errors import ConfigurationError
from connector_host.ownership import make_folder
from connector_host.tls.issuing import write_public

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from connector_host.settings import SqlSettings

Known = dict[str, Column]
"""The columns by name, as they were when they were first seen or last accepted."""


def file_of(state: Path, connector: str) -> Path:
    """Return where the types of one connector are kept."""
    return state / "types" / f"{connector}.json"


def types_of(settings: SqlSettings, connector: str, state: Path | None) -> KnownTypes:
    """Return the known types of a connector: of this table, in this kind of database.

    Another kind of database spells its types in its own way, so what was known in one says nothing about the other.
    """
    kind = make_url(settings.database).get_backend_name()
    return KnownTypes(None if state is None else file_of(state, connector), settings.place, kind)


class KnownTypes:
    """The known columns of one table; without a file they last as long as the process."""

    def __init__(self, path: Path | None, table: str, kind: str) -> None:
        self._path = path
        self._table = table
        self._kind = kind
        self._remembered: Known = {}

    def load(self) -> Known:
        """Return the known columns; none where nothing is known, or the file is about another table."""
        if self._path is None:
            return dict(self._remembered)
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            # What an older host has kept names no kind of database: it is believed.
            if content["table"] != self._table or content.get("database", self._kind) != self._kind:
                return {}
            return {name: _column(kept) for name, kept in content["columns"].items()}
        except FileNotFoundError:
            return {}
        except OSError as failure:
            raise ConfigurationError(
                f"state: {self._path} cannot be read ({failure.strerror}). Let the account that runs the host read it."
            ) from failure
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigurationError(
                f"state: {self._path} holds no types of columns. Run `connector-host check --accept-types` to make it "
                "anew from the table as it is."
            ) from None

    def keep(self, columns: Mapping[str, Column]) -> None:
        """Keep these columns; writes only where something is new."""
        if dict(columns) == self.load():
            return
        self._remembered = dict(columns)
        if self._path is None:
            return
        content = {
            "table": self._table,
            "database": self._kind,
            "columns": {name: asdict(column) for name, column in columns.items()},
        }
        try:
            make_folder(self._path.parent)
            write_public(self._path, json.dumps(content, indent=1, sort_keys=True).encode())
        except OSError as failure:
            raise ConfigurationError(f"state: {self._path} cannot be written ({failure.strerror}).") from failure


def _column(kept: dict[str, Any]) -> Column:
    facts = kept["facts"]
    facts["allowed"] = tuple(facts["allowed"])
    facts["type"] = None if facts["type"] is None else AttributeType(facts["type"])
    kind = kept["kind"]
    return Column(ColumnFacts(**facts), Kind(Family(kind["family"]), kind["low"], kind["high"]))

"""SQLAlchemy dialects that say nothing but what standard SQL knows: for any ODBC data source, and for DB2.

Registered with SQLAlchemy on import; the drivers are imported only when an engine is made. What a data source tells of
itself is asked in datasource, and what goes beyond the standard is never said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.connectors.pyodbc import PyODBCConnector
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from connector_host.connectors.sql.datasource import quote_of

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection, IsolationLevel


class AnyDatabase(PyODBCConnector, DefaultDialect):
    """A data source of which nothing is known but what its driver tells."""

    name = "odbc"
    supports_statement_cache = True
    supports_sane_multi_rowcount = False
    insert_returning = update_returning = delete_returning = False
    supports_multivalues_insert = True
    postfetch_lastrowid = False
    default_paramstyle = "qmark"

    def initialize(self, connection: Connection) -> None:
        """Ask how names are quoted; raises ConfigurationError where the data source knows no quotes or transactions."""
        self.server_version_info = ()
        self.default_schema_name = None
        driver: Any = connection.connection.driver_connection
        quote = quote_of(driver)
        self.identifier_preparer = IdentifierPreparer(self, initial_quote=quote, escape_quote=quote)

    def set_isolation_level(self, dbapi_connection: DBAPIConnection, level: IsolationLevel) -> None:
        """Commit each statement by itself, or none; the level of isolation is left as the data source has it."""
        dbapi_connection.autocommit = level == "AUTOCOMMIT"

    def get_default_isolation_level(self, dbapi_conn: DBAPIConnection) -> IsolationLevel:
        """Return a name for transactions as the data source isolates them."""
        return "READ COMMITTED" if not dbapi_conn.autocommit else "AUTOCOMMIT"

    def get_isolation_level_values(self, dbapi_conn: DBAPIConnection) -> list[IsolationLevel]:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the levels that can be asked for."""
        return ["READ COMMITTED", "AUTOCOMMIT"]


class DB2OverODBC(AnyDatabase):
    """DB2 by IBM's ODBC driver: its facts are known, and its savepoints want a clause more than the standard's."""

    name = "db2"
    supports_statement_cache = True

    def initialize(self, connection: Connection) -> None:  # noqa: ARG002 - SQLAlchemy's signature
        """Ask nothing: what there is to know is in databases.db2."""
        self.server_version_info = ()
        self.default_schema_name = None

    def do_savepoint(self, connection: Connection, name: str) -> None:
        """Set a savepoint; the name is SQLAlchemy's own."""
        connection.exec_driver_sql(f"SAVEPOINT {name} ON ROLLBACK RETAIN CURSORS")


registry.register("db2.pyodbc", __name__, "DB2OverODBC")
registry.register("odbc.pyodbc", __name__, "AnyDatabase")

"""What the codes of each database mean: SQLSTATEs, vendor codes, and the words of SQLite, which has too few codes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Happened(StrEnum):
    """What went wrong, whatever the database calls it."""

    UNIQUE = "unique"
    NOT_NULL = "not null"
    FOREIGN_KEY = "foreign key"
    CHECK = "check"
    BAD_VALUE = "bad value"
    RULE = "rule"
    """A trigger refused the change, by its author's own decision."""
    COMPUTED = "computed column"
    DEADLOCK = "deadlock"
    """A deadlock or a serialisation failure: the whole transaction is undone, and may be tried again."""
    LOCKED = "locked"
    TIME_LIMIT = "time limit"
    CONNECTION = "connection"
    CROWDED = "too many connections"
    """The server answers, but has no connection left for anybody, or for this login."""
    LOGIN = "login"
    NO_DRIVER = "no driver"
    """The ODBC driver or the data source is not known on this machine."""
    DENIED = "denied"
    SCHEMA = "schema"
    """The table or a column is not there, or not any more."""
    READ_ONLY = "read-only"
    FULL = "full"
    EXHAUSTED = "exhausted"
    """A sequence, an identity column or AUTO_INCREMENT came to its end."""
    OTHER = "other"


_H = Happened

CODES: Mapping[str, Mapping[str, Happened]] = {
    # https://www.postgresql.org/docs/current/errcodes-appendix.html; a class of two digits stands for the rest of it.
    "postgresql": {
        "23505": _H.UNIQUE,
        "23P01": _H.UNIQUE,
        "23502": _H.NOT_NULL,
        "23503": _H.FOREIGN_KEY,
        "23001": _H.FOREIGN_KEY,
        "23514": _H.CHECK,
        "22": _H.BAD_VALUE,
        "2200H": _H.EXHAUSTED,
        **dict.fromkeys(("P0001", "P0004", "09000", "45000"), _H.RULE),
        "428C9": _H.COMPUTED,
        "40": _H.DEADLOCK,
        "40003": _H.CONNECTION,
        "55P03": _H.LOCKED,
        "57014": _H.TIME_LIMIT,
        "08": _H.CONNECTION,
        "57P01": _H.CONNECTION,
        "57P02": _H.CONNECTION,
        "57P03": _H.CONNECTION,
        "57P05": _H.CONNECTION,
        "25P03": _H.CONNECTION,
        "53300": _H.CROWDED,
        "3D000": _H.LOGIN,
        "28": _H.LOGIN,
        "42501": _H.DENIED,
        "42P01": _H.SCHEMA,
        "42703": _H.SCHEMA,
        "3F000": _H.SCHEMA,
        "25006": _H.READ_ONLY,
        "53": _H.FULL,
        "HYT00": _H.TIME_LIMIT,
        "HYT01": _H.CONNECTION,
    },
    # https://mariadb.com/kb/en/mariadb-error-codes/ and https://dev.mysql.com/doc/mysql-errors/8.4/en/
    "mysql": {
        **dict.fromkeys(("1062", "1586", "1169"), _H.UNIQUE),
        **dict.fromkeys(("1048", "1364"), _H.NOT_NULL),
        **dict.fromkeys(("1452", "1451", "1216", "1217"), _H.FOREIGN_KEY),
        **dict.fromkeys(("3819", "4025"), _H.CHECK),
        **dict.fromkeys(("1406", "1264", "1292", "1366", "1265", "1411", "1690"), _H.BAD_VALUE),
        **dict.fromkeys(("167", "1467", "4084"), _H.EXHAUSTED),
        **dict.fromkeys(("1642", "1643", "1644"), _H.RULE),
        **dict.fromkeys(("1906", "3105"), _H.COMPUTED),
        **dict.fromkeys(("1213", "1020"), _H.DEADLOCK),
        "1205": _H.LOCKED,
        **dict.fromkeys(("1969", "3024", "1317"), _H.TIME_LIMIT),
        **dict.fromkeys(("1053", "1159", "1160", "1161", "1927"), _H.CONNECTION),
        **dict.fromkeys(("1040", "1203", "1226"), _H.CROWDED),
        **dict.fromkeys(("2002", "2003", "2005", "2006", "2013", "2014", "2026", "2055", "4031", "0"), _H.CONNECTION),
        **dict.fromkeys(("1045", "1044", "1049", "1698", "1130"), _H.LOGIN),
        **dict.fromkeys(("1142", "1143", "1227", "1370"), _H.DENIED),
        **dict.fromkeys(("1146", "1054"), _H.SCHEMA),
        **dict.fromkeys(("1290", "1836", "1792"), _H.READ_ONLY),
        **dict.fromkeys(("1021", "1114", "1041", "1037"), _H.FULL),
    },
    # https://www.sqlite.org/rescode.html; extended codes first, then their last byte.
    "sqlite": {
        **dict.fromkeys(("2067", "1555", "2579"), _H.UNIQUE),
        "1299": _H.NOT_NULL,
        "787": _H.FOREIGN_KEY,
        "275": _H.CHECK,
        "1811": _H.RULE,
        **dict.fromkeys(("20", "3091", "18"), _H.BAD_VALUE),
        **dict.fromkeys(("5", "6"), _H.LOCKED),
        "9": _H.TIME_LIMIT,
        **dict.fromkeys(("14", "10", "11", "26"), _H.CONNECTION),
        **dict.fromkeys(("23", "3"), _H.DENIED),
        "8": _H.READ_ONLY,
        "13": _H.FULL,
    },
    # https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-events-and-errors
    "mssql": {
        **dict.fromkeys(("2627", "2601"), _H.UNIQUE),
        "515": _H.NOT_NULL,
        "547": _H.CHECK,  # foreign keys, too: one number for both
        **dict.fromkeys(("8152", "2628", "245", "241", "242", "8114", "8115", "220", "248"), _H.BAD_VALUE),
        # An identity's 8115 is told apart by its message (failures.IDENTITY_IN_TEXT).
        "11728": _H.EXHAUSTED,
        **dict.fromkeys(("271", "544"), _H.COMPUTED),
        **dict.fromkeys(("1205", "3960", "3961"), _H.DEADLOCK),
        "1222": _H.LOCKED,
        **dict.fromkeys(("64", "233", "258", "10053", "10054", "10060", "10929"), _H.CONNECTION),
        "10928": _H.CROWDED,
        **dict.fromkeys(("40197", "40501", "40613", "49918", "49919", "49920", "596"), _H.CONNECTION),
        **dict.fromkeys(("18456", "4060"), _H.LOGIN),
        **dict.fromkeys(("229", "230", "297", "300"), _H.DENIED),
        **dict.fromkeys(("208", "207"), _H.SCHEMA),
        **dict.fromkeys(("3906", "978"), _H.READ_ONLY),
        **dict.fromkeys(("1105", "9002"), _H.FULL),
        "50000": _H.RULE,
    },
    # https://docs.oracle.com/en/error-help/db/ and
    # https://python-oracledb.readthedocs.io/en/latest/user_guide/troubleshooting.html
    "oracle": {
        "ORA-00001": _H.UNIQUE,
        **dict.fromkeys(("ORA-01400", "ORA-01407"), _H.NOT_NULL),
        **dict.fromkeys(("ORA-02291", "ORA-02292"), _H.FOREIGN_KEY),
        "ORA-02290": _H.CHECK,
        **dict.fromkeys(("ORA-12899", "ORA-01438", "ORA-01426", "ORA-01722", "ORA-01401", "ORA-01461"), _H.BAD_VALUE),
        **dict.fromkeys(("ORA-01830", "ORA-01839", "ORA-01841", "ORA-01843", "ORA-01847", "ORA-01861"), _H.BAD_VALUE),
        # https://docs.oracle.com/en/error-help/db/oci-08004; the second of a sequence that is scalable.
        **dict.fromkeys(("ORA-08004", "ORA-64603"), _H.EXHAUSTED),
        **dict.fromkeys(("ORA-54013", "ORA-54017", "ORA-32795", "ORA-32796"), _H.COMPUTED),
        **dict.fromkeys(("ORA-00060", "ORA-08177"), _H.DEADLOCK),
        **dict.fromkeys(("ORA-00054", "ORA-30006"), _H.LOCKED),
        **dict.fromkeys(("ORA-01013", "ORA-03136", "DPY-4024"), _H.TIME_LIMIT),
        **dict.fromkeys(("ORA-00028", "ORA-00031", "ORA-01033", "ORA-01034", "ORA-01089", "ORA-01090"), _H.CONNECTION),
        **dict.fromkeys(("ORA-03113", "ORA-03114", "ORA-03135", "ORA-01012", "ORA-02396"), _H.CONNECTION),
        **dict.fromkeys(("ORA-12170", "ORA-12514", "ORA-12516", "ORA-12520", "ORA-12521", "ORA-12541"), _H.CONNECTION),
        **dict.fromkeys(("ORA-12505", "ORA-12537", "ORA-12547", "ORA-12519"), _H.CONNECTION),
        **dict.fromkeys(("ORA-00018", "ORA-00020", "ORA-02391"), _H.CROWDED),
        **dict.fromkeys(("DPY-1001", "DPY-4011", "DPY-6000", "DPY-6001", "DPY-6003", "DPY-6005"), _H.CONNECTION),
        **dict.fromkeys(("DPY-4027", "DPY-6010", "DPY-4010"), _H.CONNECTION),
        **dict.fromkeys(("ORA-01017", "ORA-28000", "ORA-28001", "ORA-01045", "ORA-01005"), _H.LOGIN),
        **dict.fromkeys(("ORA-01031", "ORA-41900"), _H.DENIED),
        **dict.fromkeys(("ORA-00942", "ORA-00904", "ORA-04043"), _H.SCHEMA),
        **dict.fromkeys(("ORA-16000", "ORA-01456", "ORA-12081"), _H.READ_ONLY),
        **dict.fromkeys(("ORA-01653", "ORA-01654", "ORA-01536", "ORA-30036", "ORA-00257", "ORA-01691"), _H.FULL),
        # What a trigger or a procedure says by raise_application_error: 20000 to 20999.
        "ORA-20": _H.RULE,
    },
    # Messages first, where a SQLSTATE stands for several facts; then SQLSTATEs and their classes:
    # https://www.ibm.com/docs/en/db2/11.5.x?topic=messages-sqlstate
    "db2": {
        "SQL30082N": _H.LOGIN,
        "SQL0438N": _H.RULE,
        "SQL0911N": _H.DEADLOCK,
        "SQL0913N": _H.LOCKED,
        "SQL0952N": _H.TIME_LIMIT,
        "23505": _H.UNIQUE,
        "23502": _H.NOT_NULL,
        **dict.fromkeys(("23001", "23503", "23504"), _H.FOREIGN_KEY),
        "23513": _H.CHECK,
        # https://www.ibm.com/support/knowledgecenter/SSEPEK_12.0.0/codes/src/tpc/n359.html
        "23522": _H.EXHAUSTED,
        "22": _H.BAD_VALUE,
        "428C9": _H.COMPUTED,
        "40001": _H.DEADLOCK,
        "57033": _H.LOCKED,
        "57014": _H.TIME_LIMIT,
        "08": _H.CONNECTION,
        **dict.fromkeys(("40003", "55032", "57019", "57030", "58031"), _H.CONNECTION),
        "28": _H.LOGIN,
        **dict.fromkeys(("42501", "42502"), _H.DENIED),
        **dict.fromkeys(("42704", "42703"), _H.SCHEMA),
        **dict.fromkeys(("25006", "51020"), _H.READ_ONLY),
        "57011": _H.FULL,
        # States of an application's own (SIGNAL, RAISE_ERROR).
        **dict.fromkeys(("70", "75", "77", "78", "80", "99"), _H.RULE),
    },
    # What any ODBC driver says by itself, and what the standard's own subclasses of 23 say (ISO 9075-2 §24.1; DB2,
    # PostgreSQL and Derby agree on them).
    "odbc": {
        "23502": _H.NOT_NULL,
        **dict.fromkeys(("23001", "23503", "23504"), _H.FOREIGN_KEY),
        **dict.fromkeys(("23513", "23514"), _H.CHECK),
        "428C9": _H.COMPUTED,
        "23": _H.UNIQUE,
        "22": _H.BAD_VALUE,
        "45": _H.RULE,
        "40": _H.DEADLOCK,
        # Statement completion unknown: no reason to do it again.
        "40003": _H.CONNECTION,
        "08": _H.CONNECTION,
        "HYT00": _H.TIME_LIMIT,
        "HYT01": _H.CONNECTION,
        "28": _H.LOGIN,
        **dict.fromkeys(("IM002", "IM003", "IM004", "01000"), _H.NO_DRIVER),
        "42S02": _H.SCHEMA,
        "42S22": _H.SCHEMA,
    },
}

# SQLite's ODBC driver says HY000 to everything, and its native library one code for several facts: only the text
# tells (sql-connectors.md §3.6). These texts are constants of SQLite's source and are not translated; a trigger may
# say the same, so that a code which tells goes before them.
SQLITE_CONSTRAINT = 19
SQLITE_TEXTS: Mapping[str, Happened] = {
    "UNIQUE constraint failed": _H.UNIQUE,
    "NOT NULL constraint failed": _H.NOT_NULL,
    "FOREIGN KEY constraint failed": _H.FOREIGN_KEY,
    "CHECK constraint failed": _H.CHECK,
    "datatype mismatch": _H.BAD_VALUE,
    "cannot INSERT into generated column": _H.COMPUTED,
    "cannot UPDATE generated column": _H.COMPUTED,
    "no such table": _H.SCHEMA,
    "no such column": _H.SCHEMA,
    "has no column named": _H.SCHEMA,
    "database is locked": _H.LOCKED,
    "database table is locked": _H.LOCKED,
    "interrupted": _H.TIME_LIMIT,
    "readonly database": _H.READ_ONLY,
    "database or disk is full": _H.FULL,
    "unable to open database file": _H.CONNECTION,
    "Can't open lib": _H.NO_DRIVER,
    "Data source name not found": _H.NO_DRIVER,
}

VENDORS: Mapping[str, str] = {
    "[SQLite]": "sqlite",
    "[ma-": "mysql",
    "[MySQL]": "mysql",
    "[SQL Server]": "mssql",
    "[Oracle]": "oracle",
    "[IBM]": "db2",
}
"""Who speaks in an ODBC driver's message, by the tags that it begins with:
https://learn.microsoft.com/en-us/sql/odbc/reference/develop-app/diagnostic-messages"""

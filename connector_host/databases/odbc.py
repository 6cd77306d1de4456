"""What MariaDB's and SQLite's ODBC drivers need before pyodbc can read all that they hold."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection

DRIVER_NAME = 6
"""What SQLGetInfo is asked for: https://learn.microsoft.com/en-us/sql/odbc/reference/syntax/sqlgetinfo-function"""
SQL_WMETADATA = -888
SQL_WCHAR = -8
"""What pyodbc decodes the names of columns as: https://github.com/mkleehammer/pyodbc/wiki/Unicode"""
UTF_16 = f"utf-16-{sys.byteorder[0]}e"
DECIMAL_CODES = (2, 3)
"""SQL_NUMERIC and SQL_DECIMAL."""
MOMENTS: Mapping[int, Callable[[str], object]] = {
    91: date.fromisoformat,
    92: lambda text: time.fromisoformat(text).replace(microsecond=0),
    93: datetime.fromisoformat,
}
"""SQL_TYPE_DATE, SQL_TYPE_TIME and SQL_TYPE_TIMESTAMP. The driver cuts the fractions of a time that is written."""


def adapt(connection: Any) -> None:  # noqa: ANN401 - the driver's door
    """Speak UTF-8 with MariaDB's driver, read decimals and moments as plain bytes; leave every other driver as it is.

    pyodbc has no word for 2020-00-00 or 25:00:00, and fails the whole row; as bytes they are the text that they are.
    Of wide text, which pyodbc prefers, its version 3.1.15 loses letters where it comes in pieces, and in a decimal it
    writes beyond the end of a buffer where sign, digits and point come to forty signs, and the process dies of it.
    """
    if "maodbc" in str(connection.getinfo(DRIVER_NAME)).lower():
        connection.setencoding("utf-8")
        for code in DECIMAL_CODES:
            connection.add_output_converter(code, _decimal)
        for code, read in MOMENTS.items():
            connection.add_output_converter(code, partial(_moment, read))


@contextmanager
def as_declared(connection: Connection) -> Iterator[Callable[[str], str]]:
    """Have a query that is executed meanwhile described by its columns' types; yield what reads their names.

    No row of it may be read. pyodbc describes a column as text where something else reads its values, as adapt() has
    it.
    """
    raw: Any = connection.connection.dbapi_connection
    reading = {}
    if connection.dialect.driver == "pyodbc":
        reading = {code: raw.get_output_converter(code) for code in (*DECIMAL_CODES, *MOMENTS)}
    for code in reading:
        raw.remove_output_converter(code)
    try:
        with any_names(connection) as name_of:
            yield name_of
    finally:
        for code, read in reading.items():
            if read is not None and not connection.invalidated:
                raw.add_output_converter(code, read)


@contextmanager
def any_names(connection: Connection) -> Iterator[Callable[[str], str]]:
    """Take whatever names the columns of a result have meanwhile; yield what reads them.

    SQLite's driver (0.9998) counts a name in bytes of UTF-8 where ODBC wants units of UTF-16, so that pyodbc reads on
    behind the final NUL, into what is no UTF-16 now and then, and fails; as Latin-1 it takes whatever is there.
    The words of an error come as the names do: only its number can be read of it.
    """
    raw: Any = connection.connection.dbapi_connection
    counts_bytes = connection.dialect.driver == "pyodbc" and "sqlite" in str(raw.getinfo(DRIVER_NAME)).lower()
    if counts_bytes:
        raw.setdecoding(SQL_WMETADATA, encoding="latin-1", ctype=SQL_WCHAR)
    try:
        yield _up_to_the_end if counts_bytes else str
    finally:
        if counts_bytes and not connection.invalidated:
            raw.setdecoding(SQL_WMETADATA, encoding=UTF_16, ctype=SQL_WCHAR)


def _up_to_the_end(name: str) -> str:
    units = memoryview(name.encode("latin-1")).cast("H").tolist()
    return name.encode("latin-1")[: units.index(0) * 2 if 0 in units else None].decode(UTF_16)


def _moment(read: Callable[[str], object], raw: bytes) -> object:
    text = raw.decode("ascii")
    try:
        return read(text)
    except ValueError:
        return text


def _decimal(raw: bytes) -> Decimal:
    return Decimal(raw.decode("ascii"))

"""What MariaDB's ODBC driver has to be told before pyodbc can read all that it holds."""

from __future__ import annotations

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
def as_declared(connection: Connection) -> Iterator[None]:
    """Have a query that is executed meanwhile described by the types of its columns; read no row of it.

    pyodbc describes a column as text where something else reads its values, as adapt() has it.
    """
    raw: Any = connection.connection.dbapi_connection
    reading = {}
    if connection.dialect.driver == "pyodbc":
        reading = {code: raw.get_output_converter(code) for code in (*DECIMAL_CODES, *MOMENTS)}
    for code in reading:
        raw.remove_output_converter(code)
    try:
        yield
    finally:
        for code, read in reading.items():
            if read is not None and not connection.invalidated:
                raw.add_output_converter(code, read)


def _moment(read: Callable[[str], object], raw: bytes) -> object:
    text = raw.decode("ascii")
    try:
        return read(text)
    except ValueError:
        return text


def _decimal(raw: bytes) -> Decimal:
    return Decimal(raw.decode("ascii"))

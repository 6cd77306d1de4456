"""Columns: the families of types, what a codec is, and the canonical text of a value.

Nothing here knows a database or a driver; the codecs themselves are in codecs and moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import func, literal_column
from sqlalchemy.types import UserDefinedType

from connector_host.connectors.contract import AttributeType, Value, to_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from sqlalchemy import BindParameter, ColumnElement


class Family(StrEnum):
    """What kind of values a column holds, whatever its database calls the type."""

    TEXT = "text"
    PADDED_TEXT = "padded text"
    """CHAR(n): the database fills it with blanks, which are no part of the value."""
    INTEGER = "integer"
    DECIMAL = "decimal"
    SINGLE = "single"
    """Four bytes of floating point: six digits survive."""
    DOUBLE = "double"
    """Eight bytes of floating point: fifteen digits survive."""
    BOOLEAN = "boolean"
    MOMENT = "moment"
    """A date and time with its zone."""
    NAIVE_MOMENT = "naive moment"
    """A date and time without a zone: taken as UTC."""
    DATE = "date"
    TIME = "time"
    UUID = "uuid"
    BINARY_UUID = "binary uuid"
    """Sixteen bytes that an administrator says are a UUID, and in which order."""
    BINARY = "binary"
    MULTI_VALUED = "multi-valued"
    UNKNOWN = "unknown"


EIGHT_BYTES_MAX = 2**63 - 1
"""The largest whole number of eight bytes with a sign."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A family, and the range of its whole numbers."""

    family: Family
    low: int = -(2**63)
    high: int = EIGHT_BYTES_MAX


def integers(bits: int, *, unsigned: bool = False) -> Kind:
    """Return the kind of whole numbers that are kept in so many bits."""
    if unsigned:
        return Kind(Family.INTEGER, 0, 2**bits - 1)
    return Kind(Family.INTEGER, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


ATTRIBUTE_TYPES: dict[Family, AttributeType] = {
    Family.TEXT: AttributeType.STRING,
    Family.PADDED_TEXT: AttributeType.STRING,
    Family.UUID: AttributeType.STRING,
    Family.BINARY_UUID: AttributeType.STRING,
    Family.TIME: AttributeType.STRING,
    Family.INTEGER: AttributeType.INTEGER,
    Family.DECIMAL: AttributeType.DECIMAL,
    Family.SINGLE: AttributeType.DECIMAL,
    Family.DOUBLE: AttributeType.DECIMAL,
    Family.BOOLEAN: AttributeType.BOOLEAN,
    Family.MOMENT: AttributeType.DATE_TIME,
    Family.NAIVE_MOMENT: AttributeType.DATE_TIME,
    Family.DATE: AttributeType.DATE_TIME,
}
"""Families that can be attributes; the others are left out with a reason."""

TEXTS = (Family.TEXT, Family.PADDED_TEXT)
"""Families that any text may be compared with."""

MICROSECOND_DIGITS = 6


class Unfit(ValueError):
    """A value cannot be in the column; the text says what the column takes instead."""


class AsDriver(UserDefinedType[object]):
    """A column type that leaves values to our codecs and parameters to the server's own inference."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return nothing useful: these tables are never created."""
        raise NotImplementedError


class Converted(AsDriver):
    """A column whose values the driver and the database do not hand over as they are: SQL converts them on the way."""

    cache_ok = True

    def __init__(self, read: str, write: tuple[str, ...]) -> None:
        self.read = read
        self.write = write

    def column_expression(self, colexpr: ColumnElement[object]) -> ColumnElement[object]:
        """Return the column as it is selected."""
        return getattr(func, self.read)(colexpr, type_=self) if self.read else colexpr

    def bind_expression(self, bindvalue: BindParameter[object]) -> ColumnElement[object]:
        """Return a parameter as it is stored and compared: what stands in `write`, from the inside out."""
        expression: ColumnElement[object] = bindvalue
        for step in self.write:
            name, *constants = step.split("|")
            expression = getattr(func, name)(expression, *(literal_column(f"'{constant}'") for constant in constants))
        return expression


class Spelled(UserDefinedType[object]):
    """A type of CAST, as the database spells it."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_: object) -> str:
        """Return the spelling."""
        return self.spelling


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a driver takes what is not text or an integer."""

    native_booleans: bool = True
    """Whether it takes bool; a number is sent instead."""
    native_moments: bool = True
    """Whether it takes datetime without harm; ISO text is sent instead (sql-connectors.md §3.3.3, §3.3.4)."""
    without_zone: bool = False
    """Whether moments are sent without their zone, which is UTC."""
    empty_text: bool = True
    """Whether the database tells the empty text from null."""
    checks_documents: bool = False
    """Whether json and jsonb take JSON alone, and the database does not say which column it refuses."""
    native_decimals: bool = True
    """Whether it takes Decimal; text is sent instead."""
    decimal_digits: int | None = None
    """Significant digits that the database keeps in any decimal column; None is as declared."""
    fraction_digits: int = MICROSECOND_DIGITS
    """Digits after the second that a column keeps that declares none."""
    clock_digits: int = MICROSECOND_DIGITS
    """Digits after the second of a time of day that the driver hands out."""
    misreads_unsigned: bool = False
    """Whether the driver hands out whole numbers without a sign as if they had one."""
    plain: frozenset[Family] = frozenset()
    """Families whose results are values of the contract as they come, so that nothing needs to be looked at."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where a value lies among all that a column can hold, as parameters."""

    below: object
    """The greatest that is not above it; None where all are above it."""
    above: object
    """The least that is not below it; None where all are below it."""

    @property
    def meet(self) -> bool:
        """Return whether the column can hold the value itself."""
        return self.below is not None and self.below == self.above


@dataclass(frozen=True, slots=True)
class Codec:
    """One column's way between values of the contract and values of the driver."""

    type: AttributeType
    encode: Callable[[Value], object]
    """To a parameter; raises Unfit."""
    decode: Callable[[object], Value]
    """From a result that is not null; raises Unfit where the column holds what its type does not allow."""
    parse: Callable[[str], Value]
    """From text, an anchor's for one; raises Unfit."""

    neighbours: Callable[[Value], Neighbours] | None = None
    """What a value is compared with, where the column's values have an order and not every value can be among them;
    raises Unfit where the value is of another type."""
    zone: tzinfo | None = None
    """Where the clock hangs that shows the moments as they are kept; None where they are kept as moments."""

    def compared(self, value: Value) -> Neighbours:
        """Return the parameters between which the value lies; raises Unfit where it cannot be compared at all."""
        if self.neighbours is not None:
            return self.neighbours(value)
        parameter = self.encode(value)
        return Neighbours(parameter, parameter)

    def from_anchor(self, text: str) -> Value:
        """Return the value whose canonical text this is; raises Unfit where there is none.

        MariaDB finds row 1 for `1abc` and `01` (sql-connectors.md §3.3.1), so only the canonical text will do.
        """
        value = self.parse(text)
        if to_text(value) != text:
            raise Unfit("is not the canonical text of a value")
        return value

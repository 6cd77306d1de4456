"""Neighbours of a number: between which values that a column can hold it lies, so that comparisons stay true.

Pure arithmetic; nothing here knows a column or a driver.
"""

from __future__ import annotations

import math
import struct
import sys
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING

from connector_host.connectors.sql.columns import Neighbours

if TYPE_CHECKING:
    from connector_host.connectors.sql.columns import Kind

SINGLE_MAX: float = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
SINGLE_MIN: float = struct.unpack("<f", b"\x01\x00\x00\x00")[0]
"""The greatest number of four bytes, and the least above zero."""


EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Arithmetic that keeps every digit: the ordinary one rounds to 28, fewer than a column may have."""


def whole(number: Decimal, kind: Kind) -> Neighbours:
    """Return the whole numbers beside a number within the range of a kind."""
    if not kind.low <= number <= kind.high:
        return Neighbours(None, kind.low) if number < kind.low else Neighbours(kind.high, None)
    return Neighbours(math.floor(number), math.ceil(number))


def fixed(number: Decimal, precision: int, scale: int) -> Neighbours:
    """Return the numbers of so many digits, `scale` of them after the point, beside a number."""
    step = Decimal(1).scaleb(-scale)
    limit = EXACT.multiply(10**precision - 1, step)
    if number.copy_abs() > limit:
        return Neighbours(None, limit.copy_negate()) if number < 0 else Neighbours(limit, None)
    # Enough digits for any number within the limit.
    ways = (Context(prec=precision, rounding=way) for way in (ROUND_FLOOR, ROUND_CEILING))
    return Neighbours(*(number.quantize(step, context=way) for way in ways))


def double(number: Decimal) -> Neighbours:
    """Return the numbers of eight bytes beside a number; each counts as the shortest text that stands for it."""
    near = float(number)
    if math.isinf(near):
        return Neighbours(None, -sys.float_info.max) if near < 0 else Neighbours(sys.float_info.max, None)
    shown = Decimal(repr(near))
    if shown == number:
        return Neighbours(near, near)
    if shown < number:
        return Neighbours(near, _finite(math.nextafter(near, math.inf)))
    return Neighbours(_finite(math.nextafter(near, -math.inf)), near)


def single(number: Decimal, digits: int) -> Neighbours:
    """Return the numbers of four bytes beside a number; each counts as the few digits that it reads back with."""
    near = _nearest_single(number)
    if math.isinf(near):
        return Neighbours(None, -SINGLE_MAX) if near < 0 else Neighbours(SINGLE_MAX, None)
    if len(number.normalize(EXACT).as_tuple().digits) <= digits:
        return Neighbours(float(number), float(number))
    if Decimal(f"{near:.{digits}g}") < number:
        return Neighbours(near, _beside(near, 1))
    return Neighbours(_beside(near, -1), near)


def _nearest_single(number: Decimal) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", float(number)))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def _beside(near: float, direction: int) -> float | None:
    """Return the next number of four bytes above or below: their bits, read as integers, are in their order."""
    if near == 0:
        return direction * SINGLE_MIN
    bits: int = struct.unpack("i", struct.pack("f", near))[0]
    bits += direction if near > 0 else -direction
    return _finite(float(struct.unpack("f", struct.pack("i", bits))[0]))


def _finite(number: float) -> float | None:
    return None if math.isinf(number) else number

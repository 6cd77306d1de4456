"""From a row of a database's own catalogue to the facts of a column, and the kind of its values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from connector_host.connectors.sql.columns import MICROSECOND_DIGITS, TEXTS, Family, Kind
from connector_host.connectors.sql.databases.anyodbc import KINDS_BY_CODE
from connector_host.connectors.sql.dialect import UNKNOWN
from connector_host.connectors.sql.dialects import kind_of
from connector_host.connectors.survey import ColumnFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector_host.connectors.sql.dialect import Dialect

    Row: TypeAlias = Mapping[str, Any]
    """One row of a catalogue's answer, by the names that discovery gives its columns."""

LABEL_SEPARATOR = "\x1f"
"""Between the labels of an enum in the answer of PostgreSQL's catalogue."""


def _arguments(declared: str) -> tuple[int, ...]:
    """Return the numbers of `varchar(20)` or `decimal(10, 2)`."""
    found = re.search(r"\(([\d\s,]+)\)", declared)
    return tuple(int(part) for part in found[1].split(",")) if found else ()


def _number(value: Any) -> int | None:  # noqa: ANN401 - the driver's door
    return None if value is None else int(value)


def _sqlite_column(row: Row, dialect: Dialect) -> tuple[ColumnFacts, Kind]:
    declared = str(row["declared"] or "")
    kind = kind_of(dialect, declared)
    numbers = _arguments(declared)
    is_text = kind.family is Family.TEXT
    is_decimal = kind.family is Family.DECIMAL and bool(numbers)
    # Only this very spelling makes the column the row's number, which is never null.
    rowid = declared.upper() == "INTEGER" and row["key_position"] == 1
    generated = row["hidden"] in (2, 3)
    facts = ColumnFacts(
        name=str(row["name"]),
        declared=declared,
        type=None,
        nullable=not (row["not_null"] or rowid),
        default=row["default_text"],
        generated=generated,
        identity=rowid,
        always=generated,
        length=numbers[0] if is_text and numbers else None,
        precision=numbers[0] if is_decimal else None,
        scale=(numbers[1] if len(numbers) > 1 else 0) if is_decimal else None,
    )
    return facts, kind


def _postgresql_column(row: Row, dialect: Dialect) -> tuple[ColumnFacts, Kind]:
    declared = str(row["declared"])
    labels = row["labels"]
    kind = Kind(Family.TEXT) if labels else kind_of(dialect, declared)
    modifier = int(row["modifier"])
    length = precision = scale = None
    match kind.family:
        case Family.TEXT | Family.PADDED_TEXT if modifier > 4:  # noqa: PLR2004 - the length's own four bytes
            length = modifier - 4
        case Family.TEXT if declared == "name":
            length = _NAME_LENGTH
        case Family.DECIMAL if modifier > 4:  # noqa: PLR2004 - the same
            # Of the eleven bits of the scale, the highest is its sign.
            precision, scale = (modifier - 4) >> 16, (((modifier - 4) & 0x7FF) ^ 0x400) - 0x400
        case Family.MOMENT | Family.NAIVE_MOMENT | Family.TIME if modifier >= 0:
            precision = modifier
        case _:
            pass
    generated = bool(row["generated_kind"])
    default = row["default_text"]
    facts = ColumnFacts(
        name=str(row["name"]),
        declared=declared,
        type=None,
        nullable=not true(row["not_null"]),
        default=None if generated else default,
        generated=generated,
        identity=bool(row["identity_kind"]) or str(default or "").startswith("nextval("),
        always=generated or row["identity_kind"] == "a",
        length=length,
        precision=precision,
        scale=scale,
        allowed=tuple(str(labels).split(LABEL_SEPARATOR)) if labels else (),
        collation=row["collation_name"],
        nondeterministic=true(row["is_nondeterministic"]),
        comment=str(row["comment_text"] or ""),
    )
    return facts, kind


_NAME_LENGTH = 63
"""A `name` of PostgreSQL is cut to as many bytes, without a word."""


def _mysql_column(row: Row, dialect: Dialect) -> tuple[ColumnFacts, Kind]:
    declared = plain(row["declared"])
    kind = kind_of(dialect, declared)
    extra = plain(row["extra"]).upper()
    generated = "GENERATED" in extra and "DEFAULT_GENERATED" not in extra
    default = row["default_text"]
    moment = kind.family in (Family.MOMENT, Family.NAIVE_MOMENT, Family.TIME)
    is_floating = kind.family in (Family.SINGLE, Family.DOUBLE)
    # DOUBLE(10,2) rounds to two digits after the point; a plain one has no scale.
    is_decimal = kind.family is Family.DECIMAL or (is_floating and row["scale"] is not None)
    facts = ColumnFacts(
        name=plain(row["name"]),
        declared=declared,
        type=None,
        nullable=not true(row["not_null"]),
        # MariaDB spells "no default" as the text NULL (sql-connectors.md §3.8).
        default=None if default is None or plain(default).upper() == "NULL" else plain(default),
        generated=generated,
        identity="AUTO_INCREMENT" in extra,
        always=generated,
        length=_number(row["char_length"]) if kind.family in TEXTS else None,
        precision=_number(row["fraction_digits"] if moment else row["digits"] if is_decimal else None),
        scale=_number(row["scale"]) if is_decimal else None,
        allowed=_labels(declared) if declared.startswith("enum(") else (),
        collation=row["collation_name"],
        comment=plain(row["comment_text"] or ""),
    )
    return facts, kind


def _labels(declared: str) -> tuple[str, ...]:
    """Return the labels of an enum as they are written down: only quotation marks are doubled."""
    return tuple(label.replace("''", "'") for label in re.findall(r"'((?:[^']|'')*)'", declared))


def _mssql_column(row: Row, dialect: Dialect) -> tuple[ColumnFacts, Kind]:
    declared = str(row["declared"])
    kind = kind_of(dialect, declared)
    is_made = bool(row["is_made"])
    size = int(row["byte_length"])
    # Wide types count two bytes a character; -1 is max, which has no limit that matters, and the size of text and ntext
    # is that of the pointer to it.
    is_bounded = size >= 0 and declared not in ("text", "ntext")
    length = (size // 2 if declared.startswith("n") else size) if is_bounded else None
    is_decimal = kind.family is Family.DECIMAL
    facts = ColumnFacts(
        name=str(row["name"]),
        declared=declared,
        type=None,
        nullable=bool(row["nullable"]),
        default=row["default_text"],
        generated=is_made,
        identity=bool(row["is_identity"]),
        always=is_made or bool(row["is_identity"]),
        length=length if kind.family in TEXTS else None,
        precision=_number(row["digits"]) if is_decimal else _MSSQL_FRACTIONS.get(declared, _number(row["scale"])),
        scale=_number(row["scale"]) if is_decimal else None,
        collation=row["collation_name"],
        comment=str(row["comment_text"] or ""),
    )
    return facts, kind


_MSSQL_FRACTIONS = {"datetime": 2}
"""datetime keeps three-hundredths of a second: hundredths are what survives it exactly."""


def _oracle_column(row: Row, dialect: Dialect) -> tuple[ColumnFacts, Kind]:
    declared = str(row["declared"]).lower()
    # TIMESTAMP(6) WITH TIME ZONE has its digits in the middle.
    kind = kind_of(dialect, re.sub(r"\(\d+\)", "", declared))
    digits, scale = _number(row["digits"]), _number(row["scale"])
    if declared == "number" and scale == 0:
        # Without digits of its own (INTEGER is so declared) it keeps 38.
        limit = 10 ** (digits or 38) - 1
        kind = Kind(Family.INTEGER, -limit, limit)
    is_virtual = row["is_virtual"] == "YES"
    identity = row["identity_kind"]
    moment = kind.family in (Family.MOMENT, Family.NAIVE_MOMENT)
    default = None if row["default_text"] is None else str(row["default_text"]).strip()
    facts = ColumnFacts(
        name=str(row["name"]),
        declared=declared,
        type=None,
        nullable=row["nullable"] == "Y",
        default=None if is_virtual or not default or default.upper() == "NULL" else default,
        generated=is_virtual,
        identity=identity is not None,
        always=is_virtual or identity == "ALWAYS",
        length=_number(row["char_length"]) or None if kind.family in TEXTS else None,
        precision=digits if kind.family is Family.DECIMAL else (scale or 0) if moment else None,
        scale=(scale or 0) if kind.family is Family.DECIMAL and digits is not None else None,
        comment=str(row["comment_text"] or ""),
    )
    return facts, kind


def _db2_column(row: Row, dialect: Dialect) -> tuple[ColumnFacts, Kind]:
    declared = str(row["declared"]).strip().lower()
    kind = kind_of(dialect, declared)
    is_text = kind.family in TEXTS
    if is_text and row["code_page"] == 0:
        kind, is_text = Kind(Family.BINARY), False
    identity, made = row["is_identity"] == "Y", str(row["generated_kind"] or "").strip()
    generated = bool(made) and not identity
    is_decimal = kind.family is Family.DECIMAL
    default = None if row["default_text"] is None else str(row["default_text"])
    facts = ColumnFacts(
        name=str(row["name"]),
        declared=declared,
        type=None,
        nullable=row["nullable"] == "Y",
        default=None if generated or not default or default.upper() == "NULL" else default,
        generated=generated or row["is_row_change"] == "Y",
        identity=identity,
        always=generated or row["is_row_change"] == "Y" or (identity and made == "A"),
        length=_number(row["char_length"]) if is_text else None,
        precision=_number(row["digits"])
        if is_decimal
        else min(_number(row["scale"]) or 0, MICROSECOND_DIGITS)
        if kind.family is Family.NAIVE_MOMENT
        else None,
        scale=_number(row["scale"]) if is_decimal else None,
        comment=str(row["comment_text"] or ""),
    )
    return facts, kind


def _odbc_column(row: Row, dialect: Dialect) -> tuple[ColumnFacts, Kind]:
    declared = str(row["declared"])
    kind = _odbc_kind(declared, int(row["code"]), dialect)
    primary = row["keys"] == [row["name"]]
    default = str(row["default_text"] or "")
    numbers = _arguments(declared)
    is_text = kind.family in TEXTS
    is_decimal = kind.family is Family.DECIMAL
    size = numbers[0] if numbers else _number(row["size"])
    facts = ColumnFacts(
        name=str(row["name"]),
        declared=declared,
        type=None,
        nullable=int(row["nullable"]) != 0 and row["name"] not in row["keys"],
        # SQLite's driver and MariaDB's spell "no default" as the text NULL (sql-connectors.md §3.8).
        default=None if default.upper() in ("", "NULL") else default,
        # Nobody says whether the database numbers a key: it may, and where it does not, it refuses the row.
        identity=primary and kind.family is Family.INTEGER,
        # MariaDB's driver says -1 of what has no limit that matters.
        length=size if is_text and size and size > 0 else None,
        precision=size if is_decimal else 0 if kind.family is Family.NAIVE_MOMENT else None,
        scale=(numbers[1] if len(numbers) > 1 else _number(row["digits"]) or 0) if is_decimal else None,
        comment=str(row["comment_text"] or ""),
    )
    return facts, kind


def _odbc_kind(declared: str, code: int, dialect: Dialect) -> Kind:
    """Return the kind by the type's name where that says more than its code, else by the code."""
    plain_name = re.sub(r"\s*\([^)]*\)", "", declared.strip().lower())
    kind = dialect.types.get(plain_name) or KINDS_BY_CODE.get(code, UNKNOWN)
    if kind.family is Family.INTEGER and "unsigned" in plain_name:
        return Kind(Family.INTEGER, 0, 2 * kind.high + 1)
    return kind


def plain(value: object) -> str:
    """Return text of MySQL's catalogue, which some drivers hand out as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def true(value: object) -> bool:
    """Return a truth as drivers spell it."""
    return value in (True, 1, "1", "t")


READERS: Mapping[str, Callable[[Row, Dialect], tuple[ColumnFacts, Kind]]] = {
    "sqlite": _sqlite_column,
    "postgresql": _postgresql_column,
    "mysql": _mysql_column,
    "mssql": _mssql_column,
    "oracle": _oracle_column,
    "db2": _db2_column,
    "odbc": _odbc_column,
}

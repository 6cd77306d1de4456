"""The customer's table: Microsoft's sample `Employees`, with what real tables have on top, and a few hundred rows."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """
CREATE TABLE Employees (
    ContosoLogin  varchar(128) NOT NULL PRIMARY KEY COLLATE NOCASE,                      -- the anchor
    FirstName     varchar(50)  NOT NULL,                                                 -- required
    LastName      varchar(50)  NOT NULL,                                                 -- required
    Email         varchar(128) UNIQUE COLLATE NOCASE,
    Department    varchar(64),
    JobTitle      varchar(64),
    Active        boolean      NOT NULL DEFAULT 1,                                       -- boolean
    HireDate      date,                                                                  -- dated
    Country       char(2)      NOT NULL DEFAULT 'US',                                    -- defaulted
    AzureID       uniqueidentifier,
    InternalGUID  uniqueidentifier NOT NULL DEFAULT (lower(hex(randomblob(16)))),        -- defaulted by the database
    textID        varchar(128),
    DisplayName   varchar(101) GENERATED ALWAYS AS (FirstName || ' ' || LastName) STORED -- generated
)
"""

EXISTING = 300

FIRST_NAMES = (
    "Ada Bao Carla Deniz Emil Farah Goran Hana Ines Jonas Kofi Lena Mateo Nadia Oskar Priya Rosa Sven Tariq Uma"
)
LAST_NAMES = (
    "Abara Berg Costa Dubois Eriksen Fischer Garcia Haddad Ivanova Jensen Kaya Larsen Moreau Novak Okafor Patel"
)
DEPARTMENTS = ("Sales", "Finance", "Engineering", "Support", "Legal")


def create(path: Path) -> None:
    """Make the database with its table and its existing rows; the same ones each time."""
    chance = random.Random(8585)  # noqa: S311 - sample data
    people = [(first, last) for first in FIRST_NAMES.split() for last in LAST_NAMES.split()]
    chance.shuffle(people)
    rows = [
        (f"{first}.{last}@contoso.com".lower(), first, last, chance.choice(DEPARTMENTS), _hire_date(chance))
        for first, last in people[:EXISTING]
    ]
    # Two people whom the directory knows, too: it must match them, not create them again.
    rows[0] = ("alice.keller@contoso.com", "Alice", "Keller", "Sales", "2019-03-01")
    rows[1] = ("bo.lind@contoso.com", "Bo", "Lind", "Support", "2021-11-15")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE)
        database.executemany(
            "INSERT INTO Employees (ContosoLogin, FirstName, LastName, Department, HireDate, Email)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(*row, row[0]) for row in rows],
        )


def _hire_date(chance: random.Random) -> str:
    return f"{chance.randint(2009, 2025)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"


def rows(path: Path, logins: list[str]) -> list[dict[str, object]]:
    """Return the rows of these people as they stand in the table, read behind the product's back."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        marks = ", ".join("?" * len(logins))
        found = database.execute(
            f"SELECT * FROM Employees WHERE ContosoLogin IN ({marks}) ORDER BY ContosoLogin",  # noqa: S608 - only marks
            logins,
        )
        return [dict(row) for row in found]


def count(path: Path) -> int:
    """Return how many rows the table has."""
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM Employees").fetchone()[0])

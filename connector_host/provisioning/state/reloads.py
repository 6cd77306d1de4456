"""Requests to read the configuration again, and what became of them: the way from a command to engines that run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from connector_host.provisioning.state.tables import RELOADS

if TYPE_CHECKING:
    from connector_host.provisioning.state.store import State


@dataclass(frozen=True, slots=True)
class Answered:
    """What engines have made of a request so far."""

    applied: int
    """How many have taken the file over."""
    refused: str | None
    """Why one has not."""


def ask(state: State) -> int:
    """Leave a request and return its number; those before it are done with."""
    with state.writing() as connection:
        (number,) = cast("tuple[int]", connection.execute(sa.insert(RELOADS)).inserted_primary_key)
        connection.execute(sa.delete(RELOADS).where(RELOADS.c.number < number))
    return number


def newest(state: State) -> int:
    """Return the number of the last request, 0 where there was none."""
    with state.reading() as connection:
        return connection.scalar(sa.select(sa.func.max(RELOADS.c.number))) or 0


def answer(state: State, number: int, refused: str | None) -> None:
    """Say what one engine has made of a request."""
    told = {"applied": RELOADS.c.applied + 1} if refused is None else {"refused": refused}
    with state.writing() as connection:
        connection.execute(sa.update(RELOADS).where(RELOADS.c.number == number).values(told))


def answered(state: State, number: int) -> Answered | None:
    """Return what engines have made of a request; None where none has answered yet."""
    query = sa.select(RELOADS.c.applied, RELOADS.c.refused).where(RELOADS.c.number == number)
    with state.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None or (row.applied, row.refused) == (0, None) else Answered(row.applied, row.refused)

"""A context variable that has a value for the length of a block, and in the tasks that begin in it.

A class, since every request enters several: contextlib's generator costs it twice as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from contextvars import ContextVar, Token

_Value = TypeVar("_Value")


class Scope(Generic[_Value]):
    """Give the variable its value in a `with` block, and the one before afterwards; for one block."""

    __slots__ = ("_before", "_value", "_variable")

    def __init__(self, variable: ContextVar[_Value], value: _Value) -> None:
        self._variable, self._value = variable, value

    def __enter__(self) -> None:
        self._before: Token[_Value] = self._variable.set(self._value)

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._before)

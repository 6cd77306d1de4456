"""A test that asks how work grows can fail."""

from __future__ import annotations

from tests.growth import is_linear


def test_work_that_looks_at_all_again_for_each_piece_is_not_linear():
    assert is_linear(lambda size: sum(range(size * 50)), 2_000)
    assert not is_linear(lambda size: [sum(range(size)) for _ in range(size)], 2_000)

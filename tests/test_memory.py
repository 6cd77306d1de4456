"""A server's folder in memory goes with the run, even with one that was killed."""

from __future__ import annotations

from tests.memory import Folder


def test_what_a_killed_run_left_is_removed_and_what_is_in_use_is_not(tmp_path):
    (tmp_path / "test-x-left" / "data").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    folders = [Folder("test-x-", tmp_path), Folder("test-x-", tmp_path)]
    assert set(tmp_path.iterdir()) == {tmp_path / "other", *(folder.path for folder in folders)}
    for folder in folders:
        folder.remove()
    assert list(tmp_path.iterdir()) == [tmp_path / "other"]

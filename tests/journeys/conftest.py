"""The whole chain as real processes, the very one of ./scripts/run, over the database that a test wants."""

from __future__ import annotations

import pytest
from chain import Chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Relay, agent and host over SQLite, up and connected."""
    folder = tmp_path_factory.mktemp("chain")
    with Chain(folder / "run", folder / "certs") as running:
        running.prepare()
        running.describe_table()
        running.start()
        running.directory = running.connect()
        yield running


@pytest.fixture
def directory(chain):
    """A directory that is connected through a chain in which everything runs."""
    for part in ("connector host", "relay", "agent"):
        if part not in chain.processes:
            chain.spawn(part)
    return chain.connect()

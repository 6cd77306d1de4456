"""What the tests of agent and relay share: certificates, the log to await, a chain to start, a client."""

from __future__ import annotations

import logging

import pytest

from tests.agent.chain import chain_of, host_server, issue_papers, scim_client
from tests.agent.events import EventLog


@pytest.fixture(scope="session")
def papers(tmp_path_factory):
    return issue_papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
async def log():
    logger = logging.getLogger("agent")
    handler = EventLog()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
async def host(papers):
    async with host_server(papers) as server:
        yield server


@pytest.fixture
async def chain(tmp_path, papers, log):
    async with chain_of(tmp_path, papers, log) as parts:
        yield parts


@pytest.fixture
async def client(papers):
    async with scim_client(papers) as session:
        yield session

"""What every test may ask for: private servers, once a session; and what none may leave behind."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.memory import memory
from tests.servers import NATS, MariaDB, Missing, PgBouncer, PostgreSQL, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.workermanage import WorkerController

MISSING = pytest.StashKey[dict[str, str]]()

if place := memory():
    # Where pytest makes the folders of tests.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(place))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what a command that ran inside a test did to the logging of the process."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgresql_server(request: pytest.FixtureRequest) -> Iterator[PostgreSQL]:
    yield from _serve(PostgreSQL, request.config)


@pytest.fixture(scope="session")
def mariadb_server(request: pytest.FixtureRequest) -> Iterator[MariaDB]:
    yield from _serve(MariaDB, request.config)


@pytest.fixture(scope="module")
def own_postgresql(request: pytest.FixtureRequest) -> Iterator[PostgreSQL]:
    """A server of the module's own, for tests that stop or kill it."""
    yield from _serve(PostgreSQL, request.config)


@pytest.fixture
def pgbouncer(request: pytest.FixtureRequest, postgresql_server: PostgreSQL) -> Iterator[PgBouncer]:
    """A pooler before a new, empty database."""
    yield from _serve(PgBouncer, request.config, postgresql_server, postgresql_server.database())


@pytest.fixture(scope="module")
def own_mariadb(request: pytest.FixtureRequest) -> Iterator[MariaDB]:
    """A server of the module's own, for tests that stop or kill it."""
    yield from _serve(MariaDB, request.config)


@pytest.fixture(scope="module")
def own_nats(request: pytest.FixtureRequest) -> Iterator[NATS]:
    """A NATS server of the module's own; a test that kills it starts it again."""
    yield from _serve(NATS, request.config)


def _serve(kind: type[Server], config: pytest.Config, *behind: object) -> Iterator[Server]:
    try:
        server = kind(*behind)
    except Missing as missing:
        absent(str(missing), kind.name, config)
    try:
        yield server
    finally:
        server.remove()


def absent(reason: str, part: str, config: pytest.Config) -> None:
    """Skip what needs a part that this machine lacks; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    config.stash.setdefault(MISSING, {})[part] = reason
    pytest.skip(reason)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what a process that runs a part of the tests, as pytest-xdist starts them, found missing."""
    if (handed_on := getattr(session.config, "workeroutput", None)) is not None:
        handed_on["missing"] = session.config.stash.get(MISSING, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Take in what such a process found missing; one that died has nothing to say."""
    missing = getattr(node, "workeroutput", {}).get("missing", {})
    node.config.stash.setdefault(MISSING, {}).update(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say on one line which parts were missing, and why."""
    missing = config.stash.get(MISSING, {})
    if missing:
        skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
        count = sum(any(reason in told for reason in missing.values()) for told in skipped)
        reasons = "; ".join(f"{part}: {reason}" for part, reason in sorted(missing.items()))
        terminalreporter.write_line(f"{count} tests skipped for want of a server — {reasons}")

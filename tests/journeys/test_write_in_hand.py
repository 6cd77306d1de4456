"""A part is killed with a write in hand, and a stranger speaks: what the client hears, and what the logs keep."""

from __future__ import annotations

import http.client
import itertools
import signal
import socket
import sqlite3
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

SECRET = "s3cret-t0ken"
_NUMBERS = itertools.count()


@contextmanager
def locked(chain):
    """Keep everybody else from writing to the database, so that the host has a write in hand for as long."""
    with closing(sqlite3.connect(chain.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def wait_until_in_hand(chain):
    """Return once the host has begun a write whose outcome it does not know yet."""
    [record] = chain.folder.rglob("outcomes.sqlite3")
    limit_s = time.monotonic() + 20
    with closing(sqlite3.connect(record)) as connection:
        while not connection.execute("SELECT count(*) FROM outcome WHERE answer IS NULL").fetchone()[0]:
            assert time.monotonic() < limit_s, "the host did not begin the write"
            time.sleep(0.02)


@pytest.fixture
def user():
    login = f"inhand{next(_NUMBERS)}"
    return {"userName": login, "name": {"givenName": "I", "familyName": "H"}, "displayName": login}


def rows(chain, user):
    with closing(sqlite3.connect(chain.database)) as connection:
        query = "SELECT count(*) FROM Employees WHERE ContosoLogin = ?"
        return connection.execute(query, (user["userName"],)).fetchone()[0]


def test_a_host_that_is_killed_with_a_write_in_hand_leaves_its_outcome_unknown(chain, directory, user):
    with ThreadPoolExecutor() as pool, locked(chain):
        asked = pool.submit(directory.call, "POST", "Users", user)
        wait_until_in_hand(chain)
        chain.stop("connector host", number=signal.SIGKILL)
        answer = asked.result(timeout=60)
    assert answer.status == 504
    assert "outcome of this request is unknown" in answer.document["detail"]
    chain.spawn("connector host")
    chain.connect()
    assert rows(chain, user) == 0


def test_a_relay_that_is_killed_with_a_write_in_hand_answers_nothing_and_repeats_nothing(chain, directory, user):
    with ThreadPoolExecutor() as pool:
        with locked(chain):
            asked = pool.submit(directory.call, "POST", "Users", user)
            wait_until_in_hand(chain)
            chain.stop("relay", number=signal.SIGKILL)
            with pytest.raises((OSError, http.client.HTTPException)):
                asked.result(timeout=60)
        chain.spawn("relay")
        chain.connect()
    assert rows(chain, user) <= 1


@pytest.mark.parametrize("part", ["relay", "connector host"])
def test_what_cannot_be_read_leaves_nothing_in_the_log(chain, directory, part):
    port, trust = (chain.relay_port, chain.relay_trust) if part == "relay" else (chain.host_port, chain.host_trust)
    before = chain.log(part).stat().st_size
    context = ssl.create_default_context(cafile=str(trust))
    with (
        socket.create_connection(("localhost", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(f"GET /{SECRET} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {SECRET}\n\n".encode())
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert SECRET.encode() not in answer
    # The host writes its log at the end of a turn, which may be after the answer.
    limit_s = time.monotonic() + 20
    while b"request.unreadable" not in (logged := chain.log(part).read_bytes()[before:]):
        assert time.monotonic() < limit_s, "nothing was logged"
        time.sleep(0.02)
    assert SECRET.encode() not in logged

"""A host that is told to stop while its database hangs stops all the same, and says what was under way."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from tests.app.test_oversight import PERSON, add, free_port, records
from tests.app.test_reloading import figures, reload
from tests.folders import Folder

TABLE = """
CREATE TABLE Employees (
    ContosoLogin varchar(64) PRIMARY KEY, FirstName varchar(50) NOT NULL, LastName varchar(50) NOT NULL
)
"""


@pytest.fixture
def folder(tmp_path, own_mariadb):
    """Return a folder whose host has a database of a server that may be made to hang."""
    name = own_mariadb.database()
    with own_mariadb.connect(name) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
    folder = Folder(tmp_path)
    folder.write("password", own_mariadb.password)
    (tmp_path / "password").chmod(0o600)
    url = f"mariadb://{own_mariadb.user}@{own_mariadb.host}:{own_mariadb.port}/{name}"
    given = ("--database-url", url, "--password-file", "password", "--table", "Employees", "--token-file", "token")
    done = folder.run("init", "--yes", "--port", "0", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    port = free_port()
    add(folder, f"stop_s = 0.5\nmetrics_port = {port}")
    text = folder.read("connector-host.toml").replace("\ntable =", "\nstatement_s = 1\nreaders = 2\ntable =")
    folder.write("connector-host.toml", text)
    folder.metrics = port
    return folder


def wait_until(folder, name, least):
    """Return once a figure of the host is so high."""
    figure = re.compile(rf"^connector_host_{name}{{[^}}]*}} ([0-9.]+)$", re.MULTILINE)
    limit_s = time.monotonic() + 20
    while sum(map(float, figure.findall(figures(folder.metrics)))) < least:
        assert time.monotonic() < limit_s, f"{name} stayed below {least}"
        time.sleep(0.02)


def await_lines(host, event, count):
    """Return once the host has said this so often."""
    while len(told(host, event)) < count:
        host.wait_for(event)


def asked(host, *request):
    try:
        return host.ask(*request)[0]
    except (OSError, HTTPException):
        return None


def told(host, event):
    return [line for line in host.lines if line["event"] == event]


def test_an_export_that_a_hanging_database_keeps_is_given_up_as_unknown(folder, own_mariadb):
    add(folder, "workers = 2")
    with folder.serve() as host, ThreadPoolExecutor() as pool:
        await_lines(host, "metrics.served", 1)
        await_lines(host, "connector.discovered", 2)
        assert host.ask("POST", "/Users", PERSON)[0] == 201
        reload(host, folder.read("connector-host.toml").replace("statement_s = 1\n", "statement_s = 1.5\n"))
        with own_mariadb.hanging():
            write = pool.submit(asked, host, "POST", "/Users", PERSON | {"userName": "late"})
            wait_until(folder, "exports_in_hand", 1)
            assert host.stop() == 0
    assert write.result() == 504
    assert [(line["exports"], line["after_s"]) for line in told(host, "exports.given_up")] == [(1, 2.0)]
    assert [(one["anchor"], one["outcome"]) for one in records(folder)][1:] == [("late", "InDoubt")]
    assert told(host, "connector.left")


def test_reads_that_a_hanging_database_keeps_are_cut_and_named(folder, own_mariadb):
    with folder.serve() as host, ThreadPoolExecutor() as pool:
        await_lines(host, "metrics.served", 1)
        await_lines(host, "connector.discovered", 1)
        assert host.ask("GET", "/Users")[0] == 200
        with own_mariadb.hanging():
            reads = [pool.submit(asked, host, "GET", f"/Users?count={number}") for number in (1, 2, 3)]
            wait_until(folder, "queue_depth", 1)
            assert host.stop() == 0
    assert [read.result() for read in reads] == [None] * 3
    assert [line["route"] for line in told(host, "request.cut")] == ["/ecma2host_{name}/scim/Users{slash}"] * 3
    assert [line["connector"] for line in told(host, "connector.left")] == ["Employees"]

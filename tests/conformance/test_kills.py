"""A server that is killed as by a power cut, in the middle of a transaction, and comes back."""

from __future__ import annotations

import asyncio
import threading

import pytest

from connector_host.connectors.contract import Add, Modify, Query
from connector_host.connectors.errors import Unavailable
from connector_host.connectors.registry import open_connector
from connector_host.settings import SqlSettings
from tests.conformance.platforms import EMPLOYEES, on_server
from tests.servers import MariaDB, Missing, PostgreSQL


class DurableMariaDB(MariaDB):
    """Keeps what it committed when it is killed, unlike the one of the other tests."""

    def command(self):
        return [*super().command(), "--innodb-flush-log-at-trx-commit=1"]


@pytest.fixture(params=[PostgreSQL, DurableMariaDB], ids=["postgresql", "mariadb"])
def mortal(request):
    """A server of this test's own, with the table of users."""
    try:
        server = request.param()
    except Missing as missing:
        pytest.skip(str(missing))
    platform = on_server(server, "native", server.database())
    platform.execute(EMPLOYEES[platform.database])
    yield platform
    server.remove()


async def test_a_server_that_dies_in_the_middle_of_a_transaction_leaves_nothing_and_comes_back(mortal):
    settings = SqlSettings(database=mortal.url, password=mortal.password, table="Employees", anchor="Login", writers=1)
    connector = open_connector("HR", settings)
    await connector.export(Add({"Login": "anna", "Name": "Anna"}))
    inside, may_go_on = threading.Event(), threading.Event()

    def revise(_):
        inside.set()
        may_go_on.wait(30)
        return {"Name": "Anne"}

    caught = asyncio.create_task(connector.export(Modify("anna", revise)))
    await asyncio.to_thread(inside.wait, 30)
    await asyncio.to_thread(mortal.server.kill)
    may_go_on.set()
    with pytest.raises(Unavailable):  # nothing was committed, so it is known that nothing was done
        await caught
    with pytest.raises(Unavailable):
        await connector.search(Query())
    await asyncio.to_thread(mortal.server.start)
    assert (await connector.read("anna")).values["Name"] == "Anna"
    assert (await connector.export(Modify("anna", lambda _: {"Name": "Anne"}))).written
    await connector.close()

"""Databases without room, without the right to write, and without connections left: refused, and soon well again."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from connector_host.connectors.contract import Add, Modify, Query
from connector_host.connectors.errors import Unavailable

ANNA = Add({"Login": "anna", "Name": "Anna"})


def each_connection(engine, statement):
    """Have a statement run on each new connection of an engine."""

    @event.listens_for(engine, "connect")
    def say(connection, _):
        connection.cursor().execute(statement).close()


async def test_a_database_without_room_undoes_the_export_and_says_so(employees):
    employees.only("sqlite")
    employees.execute(
        *(f"""INSERT INTO "Employees" ("Login", "Name") VALUES ('user{number}', 'x')""" for number in range(300))
    )
    pages = employees.execute("PRAGMA page_count")[0][0]
    connector = employees.open()
    each_connection(connector._writing, f"PRAGMA max_page_count = {pages}")
    failures = []
    for number in range(300):
        try:
            await connector.export(Add({"Login": f"more{number}", "Name": "x" * 40}))
        except Unavailable as failure:
            failures.append(failure)
            break
    assert "no room" in str(failures[0])
    assert failures[0].retry_after_s >= 30
    before = employees.execute('SELECT count(*) FROM "Employees"')[0][0]
    assert (await connector.search(Query(limit=0))).total == before == 300 + number
    assert (await connector.read("user1")) is not None
    await connector.close()


async def test_a_database_that_became_read_only_is_unavailable_for_exports_and_readable(employees):
    employees.only("sqlite", "postgresql")
    employees.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('bob', 'Bob')""")
    connector = employees.open()
    if employees.database == "sqlite":
        each_connection(connector._writing, "PRAGMA query_only = 1")
    else:
        name = employees.server_database
        employees.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        with pytest.raises(Unavailable, match="read-only"):
            await connector.export(ANNA)
        assert (await connector.read("bob")).values["Name"] == "Bob"
    finally:
        if employees.database == "postgresql":
            admin = employees.connect()
            admin.cursor().execute("SET default_transaction_read_only = off")
            admin.cursor().execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            admin.close()
    await connector.close()


@pytest.fixture
def few(employees):
    """A login that may have one connection, and may do everything else."""
    employees.only("postgresql", "mariadb")
    if employees.database == "postgresql":
        employees.execute("DROP USER IF EXISTS few", "CREATE USER few SUPERUSER PASSWORD 'few' CONNECTION LIMIT 0")
        employees.execute("ALTER USER few NOSUPERUSER CONNECTION LIMIT 1", 'GRANT ALL ON "Employees" TO few')
    else:
        employees.execute(
            "DROP USER IF EXISTS few",
            "CREATE USER few IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS 1",
            'GRANT ALL ON "Employees" TO few',
        )
    yield employees
    if employees.database == "postgresql":
        employees.execute("DROP OWNED BY few")
    employees.execute("DROP USER few")


async def test_a_server_without_a_connection_to_spare_is_unavailable_and_soon_well_again(few):
    connector = few.open(database=few.url.replace("scim@", "few@"), password="few", readers=1, writers=1)
    await connector.describe()
    with pytest.raises(Unavailable) as refused:
        await connector.export(ANNA)
    assert refused.value.retry_after_s >= 1
    assert (await connector.search(Query())).total == 0, "nothing was done, and reads go on"
    more = (
        "ALTER USER few CONNECTION LIMIT 9"
        if few.database == "postgresql"
        else "ALTER USER few WITH MAX_USER_CONNECTIONS 9"
    )
    few.execute(more)
    assert (await connector.export(ANNA)).written
    assert (await connector.export(Modify("anna", lambda _: {"Name": "b"}))).entry.values["Name"] == "b"
    await connector.close()

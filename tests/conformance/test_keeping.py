"""What an export by statements of one's own does not change: it stays as it is, even what cannot be read."""

from __future__ import annotations

from decimal import Decimal

from connector_host.connectors.contract import Modify

ODD = {
    "sqlite": ("due text, fine decimal(4, 2), salary decimal(20, 2)", "'soon', 0.30000000000000004, 0.1"),
    "postgresql": ("due timestamptz, fine numeric, salary time", "'infinity', 'NaN', '24:00'"),
    "mariadb": ("due datetime, fine double, salary int unsigned", "'0000-00-00', 0.1234567890123456, 4000000000"),
}
NOT_TOLD = {"sqlite": ("0.30000000000000004", "0.3")}
"""What the ODBC driver keeps to itself, and what it tells."""


async def test_an_update_leaves_what_it_does_not_change_as_it_is_even_what_cannot_be_read(platform):
    """A state or a number that SCIM has no word for reads as absent, and is no null to the database."""
    columns, values = ODD[platform.database]
    if platform.driver == "odbc":
        values = values.replace(*NOT_TOLD.get(platform.database, ("", "")))
    kept_as_text = (
        f"SELECT {', '.join(f'CAST({name} AS char(30))' for name in ('state', 'due', 'fine', 'salary'))} FROM odd"
    )
    platform.execute(
        "DROP TABLE IF EXISTS odd",
        f"CREATE TABLE odd (login varchar(20) NOT NULL PRIMARY KEY, name varchar(20), state char(6), {columns})",
        f"INSERT INTO odd VALUES ('anna', 'Anna', 'J', {values})",
    )
    kept = platform.execute(kept_as_text)
    names = ("name", "state", "due", "fine", "salary")
    update = f"UPDATE odd SET {', '.join(f'{name} = :{name}' for name in names)} WHERE login = :login"
    connector = platform.open(
        table="odd", anchor="login", column={"state": {"true": "Y", "false": "N"}}, exports={"update": [update]}
    )
    try:
        assert (await connector.read("anna")).values["state"] is None
        changed = await connector.export(Modify("anna", lambda _: {"name": "Anne"}))
        assert changed.entry.values["name"] == "Anne"
        assert platform.execute(kept_as_text) == kept
    finally:
        await connector.close()


async def test_an_update_rounds_no_number_that_it_does_not_change(platform):
    """MariaDB tells a FLOAT of seven digits as one of six."""
    single = "float" if platform.database == "mariadb" else "real"
    platform.execute(
        "DROP TABLE IF EXISTS finely",
        f"CREATE TABLE finely (login varchar(20) NOT NULL PRIMARY KEY, name varchar(20), a {single}, b {single})",
        "INSERT INTO finely (login, name, a) VALUES ('anna', 'Anna', 16777215)",
    )
    update = "UPDATE finely SET name = :name, a = :a, b = :b WHERE login = :login"
    connector = platform.open(table="finely", anchor="login", column={}, exports={"update": [update]})
    try:
        await connector.export(Modify("anna", lambda _: {"name": "Anne"}))
        assert [tuple(row) for row in platform.execute("SELECT name, a + 0e0, b FROM finely")] == [
            ("Anne", 16777215, None)
        ]
        await connector.export(Modify("anna", lambda _: {"a": Decimal("0.5")}))
        assert platform.execute("SELECT a + 0e0 FROM finely")[0][0] == 0.5
    finally:
        await connector.close()

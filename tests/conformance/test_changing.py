"""Discovery over time: columns that come, go and change, and what `check` says (DESIGN §2.8)."""

from __future__ import annotations

import pytest

from connector_host.connectors.contract import Add, AttributeType, Comparator, Compare, Query
from connector_host.connectors.errors import InvalidValue
from connector_host.connectors.registry import accept_types, list_relations, open_connector
from connector_host.errors import ConfigurationError, Level


@pytest.fixture
async def looking(employees, monkeypatch):
    """A connector that looks at the table again whenever it is asked."""
    connector = employees.open()
    monkeypatch.setattr(connector, "_is_stale", lambda: True)
    yield connector
    await connector.close()


async def test_a_new_column_appears_by_itself(employees, looking):
    assert "Town" not in (await looking.describe()).by_name
    employees.execute('ALTER TABLE "Employees" ADD COLUMN "Town" varchar(30)')
    assert (await looking.describe()).by_name["Town"].type is AttributeType.STRING
    done = await looking.export(Add({"Login": "anna", "Name": "Anna", "Town": "Bern"}))
    assert done.entry.values["Town"] == "Bern"


async def test_a_column_that_went_is_no_attribute_any_more(employees, looking):
    await looking.describe()
    employees.execute('ALTER TABLE "Employees" DROP COLUMN "Born"')
    assert "Born" not in (await looking.describe()).by_name


async def test_a_changed_type_keeps_the_known_one_and_is_reported(employees, looking):
    employees.only("postgresql", "mariadb")
    await looking.describe()
    change = {"postgresql": 'ALTER COLUMN "Number" TYPE varchar(20)', "mariadb": 'MODIFY "Number" varchar(20)'}
    employees.execute(f'ALTER TABLE "Employees" {change[employees.database]}')
    assert (await looking.describe()).by_name["Number"].type is AttributeType.INTEGER
    with pytest.raises(InvalidValue):
        await looking.export(Add({"Login": "anna", "Name": "Anna", "Number": "five"}))
    reported = [finding for finding in await looking.check() if finding.subject == "Number"]
    assert [finding.level for finding in reported] == [Level.WARNING]
    assert "type of the column has changed" in reported[0].fact


async def test_a_changed_type_keeps_the_known_one_over_a_restart_until_it_is_accepted(employees, tmp_path):
    employees.only("postgresql", "mariadb")
    change = {"postgresql": 'ALTER COLUMN "Number" TYPE varchar(20)', "mariadb": 'MODIFY "Number" varchar(20)'}

    async def served():
        connector = open_connector("HR", employees.settings(), tmp_path)
        types = {name: attribute.type for name, attribute in (await connector.describe()).by_name.items()}
        reported = [finding.subject for finding in await connector.check() if "has changed" in finding.fact]
        await connector.close()
        return types, reported

    types, reported = await served()
    assert (types["Number"], reported) == (AttributeType.INTEGER, [])
    employees.execute(
        f'ALTER TABLE "Employees" {change[employees.database]}', 'ALTER TABLE "Employees" ADD "Town" varchar(30)'
    )
    for _ in range(2):
        types, reported = await served()
        assert (types["Number"], types["Town"], reported) == (AttributeType.INTEGER, AttributeType.STRING, ["Number"])
    accept_types("HR", tmp_path)
    types, reported = await served()
    assert (types["Number"], reported) == (AttributeType.STRING, [])


async def test_a_table_that_is_not_there_is_named_with_what_may_be_meant(employees):
    employees.only("postgresql", "mariadb")
    connector = employees.open(table="employees")
    with pytest.raises(ConfigurationError, match="there is Employees"):
        await connector.describe()
    failures = [finding for finding in await connector.check() if finding.level is Level.FAILURE]
    assert [finding.subject for finding in failures] == ["table"]
    await connector.close()


async def test_only_the_columns_that_were_asked_for_are_exposed(employees):
    connector = employees.open(columns=["Name", "Status"])
    assert [attribute.name for attribute in (await connector.describe()).attributes] == ["Login", "Name", "Status"]
    await connector.close()


async def test_a_required_column_that_is_not_exposed_is_a_failure(employees):
    connector = employees.open(columns=["Status"])
    failures = [finding for finding in await connector.check() if finding.level is Level.FAILURE]
    assert [finding.subject for finding in failures] == ["Name"]
    await connector.close()


async def test_a_healthy_table_has_no_failures(employees, connector):
    findings = await connector.check()
    assert [finding for finding in findings if finding.level is Level.FAILURE] == []
    assert {finding.subject for finding in findings} >= {"database", "table", "privileges", "anchor", "Photo"}
    assert all(finding.fact for finding in findings)


async def test_letters_that_sqlite_does_not_fold_are_told(employees, connector):
    employees.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('anna', 'x'), ('bob', 'École')""")
    told = [finding.subject for finding in await connector.check() if "beyond ASCII" in finding.fact]
    assert told == (["Name", "Shout"] if employees.database == "sqlite" else [])
    page = await connector.search(Query(Compare("Name", Comparator.EQ, "éCOLE")))
    assert page.total == (0 if employees.database == "sqlite" else 1)


async def test_a_mapped_column_that_does_not_exist_is_a_failure(employees):
    connector = employees.open(attributes={"Nom": "userName"})
    assert any(finding.subject == "Nom" and finding.level is Level.FAILURE for finding in await connector.check())
    await connector.close()


async def test_a_view_can_be_read_and_found(employees):
    employees.execute(
        'DROP VIEW IF EXISTS "Actives"', 'CREATE VIEW "Actives" AS SELECT "Login", "Name" FROM "Employees"'
    )
    employees.execute("""INSERT INTO "Employees" ("Login", "Name") VALUES ('anna', 'Anna')""")
    kinds = {relation.name: relation.kind for relation in list_relations(employees.url, employees.password)}
    assert (kinds["Employees"], kinds["Actives"]) == ("table", "view")
    connector = employees.open(table="Actives", accept_unenforced_anchor=True)
    assert (await connector.read("anna")).values == {"Login": "anna", "Name": "Anna"}
    await connector.close()
    employees.execute('DROP VIEW "Actives"')


async def test_a_column_whose_name_no_path_can_hold_is_left_out(platform):
    platform.execute(
        'DROP TABLE IF EXISTS "Odd"', 'CREATE TABLE "Odd" (id int PRIMARY KEY NOT NULL, "a.b" int, "c[1]" int)'
    )
    connector = platform.open(table="Odd", anchor="id")
    assert [attribute.name for attribute in (await connector.describe()).attributes] == ["id"]
    left_out = {finding.subject for finding in await connector.check() if "left out" in finding.fact}
    assert left_out == {"a.b", "c[1]"}
    await connector.close()


@pytest.mark.parametrize("table", ["select", "Ünï cödé", 'Quote"d`s', "MiXeD"])
async def test_any_name_of_a_table_and_its_columns_works(platform, table):
    quote = "`" if platform.database == "mariadb" else '"'
    name = quote + table.replace(quote, quote * 2) + quote
    connection = platform.connect()
    cursor = connection.cursor()
    cursor.execute(f"DROP TABLE IF EXISTS {name}")
    column = quote + f"from {table}".replace(quote, quote * 2) + quote
    cursor.execute(f"CREATE TABLE {name} (id int PRIMARY KEY NOT NULL, {column} varchar(20))")
    connector = platform.open(table=table, anchor="id")
    done = await connector.export(Add({"id": 1, f"from {table}": "x"}))
    assert (await connector.read("1")) == done.entry
    assert done.entry.values[f"from {table}"] == "x"
    await connector.close()
    cursor.execute(f"DROP TABLE {name}")
    connection.close()

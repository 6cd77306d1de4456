"""The anchor's rules (DESIGN §2.1), alike on every database and driver."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal

import pytest

from connector_host.connectors.contract import Add, Delete, Modify
from connector_host.connectors.errors import Conflict, InvalidValue, NotFound
from connector_host.connectors.registry import survey_table
from connector_host.errors import ConfigurationError, Level

NUMBERED = {
    "sqlite": 'CREATE TABLE "Made" (id INTEGER PRIMARY KEY, name varchar(20))',
    "postgresql": 'CREATE TABLE "Made" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(20))',
    "mariadb": 'CREATE TABLE "Made" (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20))',
}
UUIDS = {
    "sqlite": """CREATE TABLE "Made" (id uuid NOT NULL UNIQUE DEFAULT (
        lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' ||
        hex(randomblob(2)) || '-' || hex(randomblob(6)))), name varchar(20))""",
    "postgresql": 'CREATE TABLE "Made" (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar(20))',
    "mariadb": 'CREATE TABLE "Made" (id uuid PRIMARY KEY DEFAULT uuid(), name varchar(20))',
}


async def created(platform, table, name="x"):
    platform.execute('DROP TABLE IF EXISTS "Made"', table[platform.database])
    connector = platform.open(table="Made", anchor="id")
    done = await connector.export(Add({"name": name}))
    return connector, done.entry


async def test_a_numbered_anchor_comes_back_from_the_creation(platform):
    connector, entry = await created(platform, NUMBERED)
    assert re.fullmatch(r"[1-9]\d*", entry.anchor)
    assert (await connector.read(entry.anchor)).values["name"] == "x"
    second = await connector.export(Add({"name": "y"}))
    assert second.entry.anchor != entry.anchor
    third = await connector.export(Add({"id": None, "name": "z"}))
    assert third.entry.anchor not in {entry.anchor, second.entry.anchor}
    await connector.close()


async def test_a_uuid_made_by_the_database_comes_back_from_the_creation(platform):
    connector, entry = await created(platform, UUIDS)
    assert str(uuid.UUID(entry.anchor)) == entry.anchor
    done = await connector.export(Modify(entry.anchor, lambda _: {"name": "y"}))
    assert done.entry.values["name"] == "y"
    await connector.close()


@pytest.mark.parametrize("text", ["{0}abc", "0{0}", " {0}", "+{0}", "{0}.0", "{0} ", "-0", "x", "99999999999999999999"])
async def test_only_the_canonical_text_of_a_number_is_an_anchor(platform, text):
    """sql-connectors.md §3.3.1: MariaDB's `WHERE id = '1abc'` hits row 1."""
    connector, entry = await created(platform, NUMBERED)
    wrong = text.format(entry.anchor)
    assert await connector.read(wrong) is None
    with pytest.raises(NotFound):
        await connector.export(Delete(wrong))
    assert await connector.read(entry.anchor) is not None
    await connector.close()


@pytest.mark.parametrize("number", ["2", "1.50", "-0.5", "100.00", "0"])
async def test_an_anchor_with_digits_after_the_point_may_be_given_with_more_or_fewer(platform, number):
    platform.execute(
        'DROP TABLE IF EXISTS "Made"',
        'CREATE TABLE "Made" (id decimal(10, 2) NOT NULL PRIMARY KEY, name varchar(20))',
    )
    connector = platform.open(table="Made", anchor="id", column={})
    try:
        entry = (await connector.export(Add({"id": Decimal(number), "name": "x"}))).entry
        assert Decimal(entry.anchor) == Decimal(number)
        assert await connector.read(entry.anchor) == entry
        with pytest.raises(Conflict):
            await connector.export(Add({"id": Decimal(number), "name": "y"}))
        assert not (await connector.export(Modify(entry.anchor, lambda _: {"id": Decimal(number)}))).written
        assert (await connector.export(Delete(entry.anchor))).entry == entry
    finally:
        await connector.close()


LOOSE = 'CREATE TABLE "Loose" ("Login" varchar(20), "Name" varchar(20), "Guid" varchar(36))'


@pytest.fixture
def loose(platform):
    platform.execute('DROP TABLE IF EXISTS "Loose"', LOOSE)
    platform.execute("""INSERT INTO "Loose" VALUES ('anna', 'Anna', 'g1')""")
    return platform


async def test_an_anchor_that_nothing_enforces_is_refused(loose):
    connector = loose.open(table="Loose")
    with pytest.raises(ConfigurationError, match="accept_unenforced_anchor"):
        await connector.describe()
    await connector.close()


async def test_an_anchor_that_nothing_enforces_may_be_accepted_by_name(loose):
    connector = loose.open(table="Loose", accept_unenforced_anchor=True)
    await connector.export(Add({"Login": "bob", "Name": "Bob"}))
    with pytest.raises(Conflict) as refused:
        await connector.export(Add({"Login": "bob", "Name": "another"}))
    assert refused.value.attributes == ("Login",)
    warnings = [finding for finding in await connector.check() if finding.level is Level.WARNING]
    assert "anchor" in {finding.subject for finding in warnings}
    await connector.close()


@pytest.mark.parametrize(
    ("row", "words"),
    [("(NULL, 'x', NULL)", "1 rows have none"), ("('anna', 'x', NULL)", "1 rows repeat")],
)
async def test_an_accepted_anchor_is_proven_on_the_rows(loose, row, words):
    loose.execute(f'INSERT INTO "Loose" VALUES {row}')
    connector = loose.open(table="Loose", accept_unenforced_anchor=True)
    with pytest.raises(ConfigurationError, match=words):
        await connector.describe()
    assert any(words in finding.fact for finding in await connector.check() if finding.level is Level.FAILURE)
    await connector.close()


async def test_a_composite_key_is_refused_with_single_columns_named(platform):
    platform.execute(
        'DROP TABLE IF EXISTS "Pairs"',
        'CREATE TABLE "Pairs" (firm int NOT NULL, login varchar(20) NOT NULL, badge int NOT NULL UNIQUE, '
        "PRIMARY KEY (firm, login))",
    )
    connector = platform.open(table="Pairs", anchor="login")
    with pytest.raises(ConfigurationError, match=r"unique only together with firm.*Choose badge instead"):
        await connector.describe()
    await connector.close()


def test_a_survey_of_a_composite_key_alone_says_why_and_names_single_columns(platform):
    platform.execute(
        'DROP TABLE IF EXISTS "Pairs"',
        'CREATE TABLE "Pairs" (firm int NOT NULL, login varchar(20) NOT NULL, PRIMARY KEY (firm, login))',
    )
    survey = survey_table(platform.url, platform.password, table="Pairs")
    assert "composite (firm, login)" in survey.refusal
    assert "login" in survey.refusal.split("accept them by name")[1]
    assert not any(candidate.enforced for candidate in survey.anchors)


def test_a_survey_ranks_enforced_anchors_first_with_reasons(employees):
    survey = survey_table(employees.url, employees.password, table="Employees")
    assert survey.refusal == ""
    assert [(anchor.column, anchor.enforced) for anchor in survey.anchors][:2] == [("Login", True), ("Email", False)]
    assert all(anchor.reasons for anchor in survey.anchors)
    assert [column.name for column in survey.left_out] == ["Photo"]
    assert "binary" in survey.left_out[0].left_out


@pytest.mark.parametrize("anchor", ["login", "Nothing", "Photo", "Active"])
async def test_a_column_that_cannot_be_the_anchor_is_refused(employees, anchor):
    connector = employees.open(anchor=anchor)
    with pytest.raises(ConfigurationError, match=r"^anchor: "):
        await connector.describe()
    await connector.close()


FILLED = {
    "postgresql": (
        (
            "CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.id := 'x/' || NEW.name; NEW.made := 'now'; RETURN NEW; END $$"
        ),
        'CREATE TRIGGER fill BEFORE INSERT ON "Made" FOR EACH ROW EXECUTE FUNCTION fill()',
    ),
    "mariadb": (
        (
            'CREATE TRIGGER fill BEFORE INSERT ON "Made" FOR EACH ROW '
            "SET NEW.id = concat('x/', NEW.name), NEW.made = 'now'"
        ),
    ),
}
KEYED = 'CREATE TABLE "Made" (id varchar(20) NOT NULL PRIMARY KEY, name varchar(20), made varchar(20) NOT NULL)'


async def test_an_anchor_that_a_trigger_makes_comes_back_from_the_creation(platform):
    """So it is done where a database is older than its identity columns; neither column has a default."""
    platform.only(*FILLED)
    platform.execute('DROP TABLE IF EXISTS "Made"', KEYED, *FILLED[platform.database])
    connector = platform.open(table="Made", anchor="id")
    assert not any(attribute.required for attribute in (await connector.describe()).attributes)
    entry = (await connector.export(Add({"name": "anna"}))).entry
    assert entry.anchor == "x/anna"
    assert entry.values["made"] == "now"
    await connector.close()


async def test_an_anchor_that_statements_of_ones_own_make_needs_no_default(platform):
    platform.execute('DROP TABLE IF EXISTS "Made"', KEYED)
    create = ["""INSERT INTO "Made" (id, name, made) VALUES ('u1', :name, 'now')""", "SELECT 'u1'"]
    exports = {"create": [platform.spelled(statement) for statement in create]}
    connector = platform.open(table="Made", anchor="id", columns=["id", "name"], exports=exports)
    assert (await connector.export(Add({"name": "anna"}))).entry.anchor == "u1"
    assert [one.fact for one in await connector.check() if one.level is Level.FAILURE] == []
    await connector.close()


async def test_an_anchor_that_nobody_makes_is_required(platform):
    platform.execute('DROP TABLE IF EXISTS "Made"', KEYED)
    connector = platform.open(table="Made", anchor="id")
    with pytest.raises(InvalidValue, match="id: is required"):
        await connector.export(Add({"name": "anna", "made": "now"}))
    await connector.close()

"""A database password of any letters reaches the server as it is."""

from contextlib import closing

from connector_host.connectors.registry import list_relations

PASSWORD = "pä$$ wørł/@:1"


def test_mariadb_takes_a_password_that_latin_1_cannot_spell(mariadb_server):
    mariadb_server.execute(f"CREATE OR REPLACE USER anna@'%' IDENTIFIED BY '{PASSWORD}'")
    name = mariadb_server.database()
    mariadb_server.execute(f"GRANT SELECT ON {name}.* TO anna@'%'")
    with closing(mariadb_server.connect(name)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE people (id int PRIMARY KEY)")
    url = f"mariadb+pymysql://anna@{mariadb_server.host}:{mariadb_server.port}/{name}"
    assert [relation.name for relation in list_relations(url, PASSWORD)] == ["people"]


def test_postgresql_takes_one_too(postgresql_server):
    name = postgresql_server.database()
    postgresql_server.execute(f"CREATE ROLE anna LOGIN PASSWORD '{PASSWORD}'")
    with closing(postgresql_server.connect(name)) as connection:
        connection.execute("CREATE TABLE people (id int PRIMARY KEY)")
        connection.execute("GRANT SELECT ON people TO anna")
    url = f"postgresql+psycopg://anna@{postgresql_server.host}:{postgresql_server.port}/{name}"
    assert [relation.name for relation in list_relations(url, PASSWORD)] == ["people"]

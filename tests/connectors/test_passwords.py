"""A database password of any letters reaches the server as it is."""

from contextlib import closing

import pytest

from connector_host.connectors.registry import list_relations
from connector_host.errors import ConfigurationError
from connector_host.setup.access import PASSWORD_VARIABLE, of_url

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


def test_a_password_for_sqlite_is_a_mistake_but_not_one_that_the_environment_holds_for_another(tmp_path):
    (tmp_path / "hr.db").touch()
    url = f"sqlite:///{tmp_path / 'hr.db'}"
    with pytest.raises(ConfigurationError, match="SQLite has no logins") as refused:
        list_relations(url, PASSWORD)
    assert PASSWORD not in str(refused.value)
    login = of_url(url, None, {PASSWORD_VARIABLE: PASSWORD})
    assert list_relations(login.url, login.password) == ()

"""A pooler before PostgreSQL is taken where it keeps a session for each connection, and refused where it does not."""

from contextlib import ExitStack

import psycopg
import pytest
import sqlalchemy as sa

from connector_host.connectors.sql import poolers
from connector_host.connectors.sql.engines import open_engine
from connector_host.errors import ConfigurationError


def opened(url, password, purpose="reading", size=2):
    return open_engine(sa.make_url(url).set(password=password), size=size, statement_s=5.0, purpose=purpose)


@pytest.mark.parametrize("purpose", ["reading", "writing", "importing"])
def test_a_session_that_others_get_after_a_transaction_is_refused(pgbouncer, purpose):
    engine = opened(pgbouncer.url("transaction"), pgbouncer.password, purpose)
    with pytest.raises(ConfigurationError, match=r"database: a pooler .*`pool_mode = session` in pgbouncer") as told:
        engine.connect()
    assert pgbouncer.password not in str(told.value)


def test_sessions_that_take_turns_are_refused(pgbouncer):
    with ExitStack() as stack:
        for _ in range(2):
            place = psycopg.connect(pgbouncer.url("transaction"), password=pgbouncer.password)
            stack.enter_context(place).execute("SELECT 1")
    with pytest.raises(ConfigurationError, match=r"database: a pooler "):
        opened(pgbouncer.url("transaction"), pgbouncer.password).connect()


def test_what_the_host_sets_for_its_sessions_stays_in_none_of_them(pgbouncer):
    with pytest.raises(ConfigurationError):
        opened(pgbouncer.url("transaction"), pgbouncer.password).connect()
    with psycopg.connect(pgbouncer.url("transaction"), password=pgbouncer.password) as other:
        assert other.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_a_session_that_a_pooler_keeps_for_a_connection_is_taken(pgbouncer):
    engine = opened(pgbouncer.url("session"), pgbouncer.password)
    with engine.connect() as one, engine.connect() as other:
        assert one.scalar(sa.text("SELECT 1")) == other.scalar(sa.text("SELECT 1")) == 1
    engine.dispose()


def test_where_there_is_no_pooler_no_second_connection_is_made(postgresql_server, monkeypatch):
    monkeypatch.setattr(poolers, "bounded_connect", None)
    server = postgresql_server
    engine = opened(f"postgresql://{server.user}@{server.host}:{server.port}/postgres", server.password)
    with engine.connect() as one:
        assert one.scalar(sa.text("SELECT 1")) == 1
    engine.dispose()

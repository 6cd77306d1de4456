"""What the relay must not forget, in a file of its own or in a PostgreSQL that several nodes share."""

from __future__ import annotations

import os
import signal
import socket
import threading
import uuid
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from agent.errors import ConfigurationError, Unavailable
from agent.relay import databases
from agent.relay import store as store_of_relay
from agent.relay.databases import PostgreSQL, SQLite, StoreUnavailable, StoreUnusable, needed
from agent.relay.noted import Noted
from agent.relay.store import FILE, KEPT_S, EnrolledAgent, KnownTenant, Store, open_store
from agent.relay.tables import LAYOUT
from agent.settings import RelaySettings
from connector_host.clock import epoch_s


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request, tmp_path):
    """What opens the same store again and again, as each node and each command does."""
    server = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None
    with ExitStack() as stack:
        place = shared(server) if server else lambda: SQLite(tmp_path / FILE)
        yield lambda: stack.enter_context(closing(Store(place())))


def shared(server):
    """Return what makes databases of nodes that share a new, empty one of this server."""
    url = f"postgresql://{server.user}@{server.host}:{server.port}/{server.database()}"
    return lambda: PostgreSQL(url, None, lambda: server.password)


def agent(number=1, tenant="acme"):
    return EnrolledAgent(f"{number:032x}", tenant, f"agent {number}", 100, 200, None)


def add(store, *agents):
    """Have these agents enrol, each with a token of its own."""
    for one in agents:
        store.add_tenant(one.tenant)
        assert store.enrol(store.new_enrolment(one.tenant, one.enrolled_s, 60), one)


def test_tenants_are_seen_by_everyone_and_kept_once(opened):
    one, other = opened(), opened()
    for name in ("beta", "acme", "beta"):
        one.add_tenant(name)
    assert other.tenants() == ["acme", "beta"]


def test_a_removed_tenant_lets_nobody_in_not_even_under_the_same_name_later(opened):
    one, other = opened(), opened()
    for name in ("acme", "beta"):
        one.add_tenant(name)
    add(one, agent(0, "acme"), agent(1, "beta"))
    tokens = {tenant: one.new_enrolment(tenant, 100, 60) for tenant in ("acme", "beta")}
    assert other.remove_tenant("acme", 150)
    assert not other.remove_tenant("acme", 150)
    assert one.tenants() == ["beta"]
    one.add_tenant("acme")
    assert not one.enrol(tokens["acme"], agent(2, "acme"))
    assert not one.is_welcome("acme", agent(0).id, 200)
    assert one.revoked() == {agent(0).id}
    assert other.enrol(tokens["beta"], agent(3, "beta"))
    assert other.is_welcome("beta", agent(1).id, 200)


def test_a_tenant_is_listed_with_what_may_still_come_in_for_it(opened):
    store = opened()
    for name in ("acme", "beta"):
        store.add_tenant(name)
    add(store, *(agent(number) for number in range(3)))
    store.revoke(agent(0).id, 150)
    store.renew_agent(agent(1).id, 400)
    store.new_enrolment("acme", 150, 90)
    assert store.known_tenants(160) == [KnownTenant("acme", 2, 1), KnownTenant("beta", 0, 0)]
    assert store.known_tenants(300) == [KnownTenant("acme", 1, 0), KnownTenant("beta", 0, 0)]


def test_an_enrolment_token_is_good_once_for_its_tenant_and_its_time(opened):
    one, other = opened(), opened()
    one.add_tenant("acme")
    token = one.new_enrolment("acme", 1_000, 60)
    at = lambda moment_s, tenant="acme": replace(agent(moment_s, tenant), enrolled_s=moment_s)  # noqa: E731
    assert not other.enrol(token, at(1_001, "beta"))
    assert not other.enrol(token, at(1_060))
    assert other.enrol(token, at(1_002))
    assert not one.enrol(token, at(1_003))
    assert one.agents() == [at(1_002)]


def test_an_enrolment_token_is_no_option_where_it_is_typed(tmp_path):
    with closing(Store(SQLite(tmp_path / FILE))) as store:
        store.add_tenant("acme")
        assert all(store.new_enrolment("acme", 1_000, 60).isalnum() for _ in range(20))


def test_a_token_that_is_raced_for_at_several_nodes_is_worth_one_agent(opened):
    opened().add_tenant("acme")
    token = opened().new_enrolment("acme", 100, 60)
    nodes, start, used = [opened() for _ in range(4)], threading.Barrier(4), []

    def race(number, node):
        start.wait()
        used.append(node.enrol(token, agent(number)))

    threads = [threading.Thread(target=race, args=one) for one in enumerate(nodes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(used) == [False, False, False, True]
    assert len(opened().agents()) == 1


def test_a_store_that_fails_while_an_agent_enrols_costs_no_token(tmp_path):
    with closing(Store(SQLite(tmp_path / FILE))) as store:
        store.add_tenant("acme")
        token = store.new_enrolment("acme", 100, 60)
        with store._transaction() as connection:
            connection.execute("CREATE TRIGGER full BEFORE INSERT ON agent BEGIN SELECT RAISE(FAIL, 'full'); END")
        with pytest.raises(StoreUnavailable, match="full"):
            store.enrol(token, agent())
        with store._transaction() as connection:
            connection.execute("DROP TRIGGER full")
        assert store.enrol(token, agent())


def test_a_revocation_at_one_node_is_seen_by_all(opened):
    one, other = opened(), opened()
    add(one, agent())
    assert other.is_welcome("acme", agent().id, 200)
    assert not other.is_welcome("beta", agent().id, 200)
    assert one.revoke(agent().id, 150)
    assert other.revoked() == {agent().id}
    assert not other.is_welcome("acme", agent().id, 200)
    assert other.revoke(agent().id, 199), "again changes nothing"
    assert one.agents()[0].revoked_s == 150
    assert not one.revoke("nobody", 150)


def test_a_renewal_is_remembered(opened):
    one = opened()
    add(one, agent(1), agent(2))
    one.renew_agent(agent(2).id, 300)
    assert [(known.name, known.ends_s) for known in opened().agents()] == [("agent 1", 200), ("agent 2", 300)]


def test_an_agent_whose_renewal_the_store_missed_is_remembered_by_the_certificate_that_it_shows(opened):
    store = opened()
    add(store, agent(1), agent(2))
    store.revoke(agent(2).id, 150)
    assert store.is_welcome("acme", agent(1).id, 300)
    assert not store.is_welcome("acme", agent(2).id, 300)
    assert store.is_welcome("acme", agent(1).id, 250), "an older one changes nothing"
    assert [known.ends_s for known in store.agents()] == [300, 200]


def test_what_is_over_is_forgotten_and_an_agent_a_month_after_its_certificate(opened):
    store = opened()
    add(store, *(agent(number) for number in range(3)))
    store.revoke(agent(0).id, 150)
    store.renew_agent(agent(2).id, 201)
    store.new_enrolment("acme", 100, 60)
    store.note_unknown([noted(ends_s=180)], 100)
    assert store.forget_over(199 + KEPT_S) == []
    assert store.known_tenants(100) == [KnownTenant("acme", 2, 0)]
    assert store.unknown_since(0, 100)[0] == []
    assert store.revoked() == {agent(0).id}
    assert {one.id for one in store.forget_over(200 + KEPT_S)} == {agent(0).id, agent(1).id}
    assert [one.id for one in store.agents()] == [agent(2).id]
    assert store.revoked() == set()
    assert not store.is_welcome("acme", agent(0).id, 200)


def test_a_node_whose_clock_is_years_ahead_forgets_nobody(opened):
    store, now_s = opened(), epoch_s()
    add(store, replace(agent(), ends_s=now_s + 60))
    assert store.forget_over(now_s + 10 * KEPT_S) == []
    assert len(store.agents()) == 1


def test_the_first_authority_of_a_shared_store_counts(postgresql_server):
    place = shared(postgresql_server)
    with closing(Store(place())) as one, closing(Store(place())) as other:
        assert one.hold_authority("first") == "first"
        assert other.hold_authority("second") == "first"


def test_a_store_that_a_newer_version_has_changed_is_left_alone(opened):
    with opened()._transaction() as connection:
        connection.execute("INSERT INTO layout (number) VALUES (?)", (LAYOUT + 1,))
    with pytest.raises(StoreUnusable, match=r"relay\.st\w+: a newer version has changed its tables"):
        opened()


@pytest.fixture
def lesser(postgresql_server):
    """A new database, and what opens the store there as a role with the rights that it was granted."""
    name, role = postgresql_server.database(), f"lesser_{uuid.uuid4().hex}"
    postgresql_server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    url = f"postgresql://{role}@{postgresql_server.host}:{postgresql_server.port}/{name}"

    def grant(rights):
        with postgresql_server.connect(name) as connection:
            connection.execute(f"GRANT {rights} IN SCHEMA public TO {role}")

    owner = PostgreSQL(url.replace(role, postgresql_server.user), None, lambda: postgresql_server.password)
    with ExitStack() as stack:
        yield (
            grant,
            lambda: stack.enter_context(closing(Store(owner))),
            lambda: stack.enter_context(closing(Store(PostgreSQL(url, None, lambda: "x")))),
        )


def test_a_role_that_may_make_no_tables_is_enough_where_another_one_made_them(lesser):
    grant, as_owner, as_lesser = lesser
    as_owner().add_tenant("acme")
    grant("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES")
    store = as_lesser()
    add(store, agent())
    store.note_unknown([noted()], 100)
    assert store.unknown_since(0, 100)[0] == [noted()]
    assert store.tenants() == ["acme"]
    assert store.hold_authority("first") == "first"


@pytest.mark.parametrize("rights", ["", "SELECT", "SELECT, INSERT, UPDATE", "SELECT, INSERT, DELETE"])
def test_a_role_that_may_not_do_all_that_is_needed_hears_what_to_grant_before_it_serves(lesser, rights):
    grant, as_owner, as_lesser = lesser
    if rights:
        as_owner()
        grant(f"{rights} ON ALL TABLES")
    wanted = r"relay\.store: permission denied for \w+ \w+: .* GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"
    with pytest.raises(StoreUnusable, match=wanted):
        as_lesser()


def test_a_server_that_takes_no_writes_is_no_store_until_it_does(postgresql_server):
    name = postgresql_server.database()
    url = f"postgresql://{postgresql_server.user}@{postgresql_server.host}:{postgresql_server.port}/{name}"
    place = PostgreSQL(url, None, lambda: postgresql_server.password)
    Store(place).close()
    postgresql_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    wanted = r"relay\.store: .* read-only transaction: name a server that takes writes"
    with pytest.raises(Unavailable, match=wanted), needed():
        Store(place)
    postgresql_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    place.close()
    Store(place).close()


def test_a_server_that_is_asked_for_what_may_be_old_is_told_of_until_it_takes_writes(postgresql_server):
    server = postgresql_server
    place = shared(server)()
    name = place._url.rpartition("/")[2]
    with closing(Store(place)) as store:
        store.add_tenant("acme")
        store.demand_writes()
        server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        place.close()
        assert store.tenants() == ["acme"]
        with pytest.raises(StoreUnavailable, match=r"relay\.store: .*takes no writes: name a server that takes writes"):
            store.demand_writes()
        server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
        assert store.tenants() == ["acme"]
        store.demand_writes()


def test_nothing_stays_in_a_session_that_a_pooler_may_give_to_somebody_else(postgresql_server):
    place = shared(postgresql_server)()
    with closing(Store(place)) as store:
        for _ in range(10):
            store.tenants()
        with place.transaction() as connection:
            assert connection.execute("SHOW statement_timeout").fetchall() == [("5s",)]
        session = place._connection
        assert session.execute("SELECT count(*) FROM pg_prepared_statements").fetchall() == [(0,)]
        assert session.execute("SHOW statement_timeout").fetchall() == [("0",)]


def test_nodes_behind_a_pooler_that_shares_sessions_hear_each_what_they_ask_for(pgbouncer):
    with ExitStack() as stack:
        place = lambda: PostgreSQL(pgbouncer.url("transaction"), None, lambda: pgbouncer.password)  # noqa: E731
        one, other = (stack.enter_context(closing(Store(place()))) for _ in range(2))
        add(one, agent(1), agent(2, "beta"))
        one.revoke(agent(1).id, 150)
        for _ in range(8):
            assert one.tenants() == ["acme", "beta"]
            assert other.revoked() == {agent(1).id}


def test_a_password_that_was_changed_counts_from_the_next_connection_on(postgresql_server, tmp_path):
    server, role, file = postgresql_server, f"changing_{uuid.uuid4().hex}", tmp_path / "password"
    name = server.database()
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'old'")
    server.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    url = f"postgresql://{role}@{server.host}:{server.port}/{name}"
    settings = RelaySettings(certificate=tmp_path, key=tmp_path, store=url, store_password_file=file)
    file.write_text("old")
    with closing(open_store(settings)) as store:
        server.execute(f"ALTER ROLE {role} PASSWORD 'new'")
        server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
        with pytest.raises(StoreUnavailable):
            store.tenants()
        with pytest.raises(
            StoreUnavailable, match=r"put the role's password into the file of relay\.store_password_file"
        ):
            store.tenants()
        file.unlink()
        with pytest.raises(StoreUnavailable, match=r"relay\.store_password_file: "):
            store.tenants()
        file.write_text("new")
        assert store.tenants() == []


def test_a_file_that_is_no_store_is_a_wrong_configuration(tmp_path):
    (tmp_path / FILE).write_text("these are no tables" * 100)
    with pytest.raises(ConfigurationError, match=r"relay\.state: .*take the file from a backup") as told, needed():
        Store(SQLite(tmp_path / FILE))
    assert not isinstance(told.value, Unavailable)


def test_a_store_whose_server_was_away_is_used_again(own_postgresql):
    server = own_postgresql
    with closing(Store(shared(server)())) as store:
        store.add_tenant("acme")
        server.kill()
        try:
            with pytest.raises(StoreUnavailable, match=r"relay\.store") as told:
                store.tenants()
            assert server.password not in str(told.value)
        finally:
            server.start()
        assert store.tenants() == ["acme"]


def test_a_server_that_hangs_with_a_connection_open_is_not_waited_for(postgresql_server, monkeypatch):
    monkeypatch.setattr(databases, "_SILENCE_S", 0.5)
    monkeypatch.setattr(databases, "_SLOW_S", 60.0)
    with closing(Store(shared(postgresql_server)())) as store, ExitStack() as hanging:
        store.add_tenant("acme")
        with store._transaction() as connection:
            backend = connection.execute("SELECT pg_backend_pid()").fetchall()[0][0]
        os.kill(backend, signal.SIGSTOP)
        # What waits without end goes on in the end, and the test is red.
        late = threading.Timer(15, os.kill, (backend, signal.SIGCONT))
        hanging.callback(os.kill, backend, signal.SIGCONT)
        hanging.callback(late.cancel)
        late.start()
        with pytest.raises(StoreUnavailable, match="timeout"):
            store.tenants()
        # Over another connection.
        assert store.tenants() == ["acme"]


def test_a_server_that_says_nothing_holds_up_one_and_not_all_who_ask(monkeypatch):
    monkeypatch.setattr(databases, "WAIT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = PostgreSQL(f"postgresql://relay@127.0.0.1:{silent.getsockname()[1]}/relay", None, lambda: None)
        told = set()
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="timeout") as failure, place.transaction():
                pass
            told.add(str(failure.value))
        assert len(told) == 1, "a log that tells each reason once does not fill with two in turn"


def test_of_several_servers_that_cannot_be_reached_each_is_told_of_once():
    place = PostgreSQL("postgresql://relay@127.0.0.1:1,127.0.0.1:2/relay", None, lambda: None)
    with pytest.raises(StoreUnavailable, match=r"^relay\.store: ") as told, place.transaction():
        pass
    assert [str(told.value).count(f"port {port} failed") for port in (1, 2)] == [1, 1]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://relay@db/relay", "write postgresql://"),
        ("postgresql://relay:secret@db/relay", "store_password_file"),
        ("postgresql://relay:se#secret@db/relay", "store_password_file"),
        ("postgresql://relay:se/secret@db/relay", "store_password_file"),
        ("postgresql://relay@db/relay?password=secret", "store_password_file"),
        ("postgresql://relay@db/relay?password=secret%zz", "invalid percent-encoded token"),
        ("postgresql://relay@db/relay?password=p&secret", "missing key/value separator"),
        ("postgresql://relay@db/relay?sslmode=disable", "sslmode has no place in the URL"),
        ("postgresql://relay@localhost/relay?host=db.example", "host has no place in the URL"),
        ("postgresql://relay@localhost/relay?service=elsewhere", "service has no place in the URL"),
        ("postgresql://relay@[::1/relay", "write postgresql://"),
        ("postgresql://relay@localhost:54321x/relay", "A port is a number from 1 to 65535"),
        ("postgresql://relay@localhost,127.0.0.1:65536/relay", "A port is a number from 1 to 65535"),
        ("postgresql://relay@db..example/relay", r"db\.\.example is no name that a host can have"),
        ("postgresql://relay@localhost/relay?nothing=1", "invalid URI query parameter"),
    ],
)
def test_an_url_that_would_loosen_something_is_refused(url, words):
    with pytest.raises(ConfigurationError, match=words) as told:
        PostgreSQL(url, None, lambda: None)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("postgresql://relay@localhost:5432,db.example:5432/relay", {}),
        ("postgresql://relay@localhost/relay?hostaddr=192.0.2.7", {}),
        ("postgresql://relay@db.example/relay?hostaddr=127.0.0.1", {}),
        ("postgresql:///relay", {"PGHOST": "db.example"}),
        ("postgresql://relay@localhost/relay", {"PGHOSTADDR": "192.0.2.7"}),
    ],
)
def test_a_server_elsewhere_is_verified_by_whatever_way_it_is_named(url, environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert PostgreSQL(url, None, lambda: None)._options["sslmode"] == "verify-full"


@pytest.mark.parametrize("place", ["", "LOCALHOST:5432", "[::1]", "127.0.0.1,localhost", "%2Frun%2Fpostgresql"])
def test_a_server_on_this_machine_needs_no_certificate(place):
    assert "sslmode" not in PostgreSQL(f"postgresql://{place}/relay", None, lambda: None)._options


@pytest.mark.parametrize(
    ("place", "wanted"),
    [("db.example", None), ("a.example,b.example", "read-write"), ("a,b/relay?target_session_attrs=any", "any")],
)
def test_of_several_servers_the_one_that_takes_writes_is_used(place, wanted):
    place = place if "/" in place else f"{place}/relay"
    options = PostgreSQL(f"postgresql://relay@{place}", None, lambda: None)._options
    assert options.get("target_session_attrs") == wanted


def test_a_server_elsewhere_is_verified(tmp_path):
    assert PostgreSQL("postgresql://relay@db.example/relay", None, lambda: None)._options["sslmode"] == "verify-full"
    given = PostgreSQL("postgresql://relay@db.example/relay", tmp_path / "a.pem", lambda: None)._options
    assert given["sslrootcert"] == str(tmp_path / "a.pem")
    assert "sslmode" not in PostgreSQL("postgresql://relay@127.0.0.1/relay", None, lambda: None)._options


def noted(number=1, tenant="acme", record="r1", ends_s=200):
    return Noted(tenant, f"{number:032x}", record, ends_s)


def test_an_unknown_outcome_is_known_to_whoever_looks_next(opened):
    one, other = opened(), opened()
    one.note_unknown([noted(1), noted(2)], 100)
    found, last = other.unknown_since(0, 100)
    assert found == [noted(1), noted(2)]
    other.note_unknown([noted(3, "beta")], 100)
    found, last = one.unknown_since(last, 100)
    assert found == [noted(3, "beta")]
    assert one.unknown_since(last, 100) == ([], last)


def test_the_first_record_that_an_unknown_outcome_was_noted_for_counts(opened):
    one, other = opened(), opened()
    one.note_unknown([noted(record="r1", ends_s=150)], 100)
    other.note_unknown([noted(record="r2", ends_s=250)], 110)
    assert one.unknown_since(0, 200)[0] == [noted(record="r1", ends_s=250)]


def test_an_unknown_outcome_is_forgotten_in_time_and_with_its_tenant(opened):
    store = opened()
    store.note_unknown([noted(1, ends_s=150), noted(2, ends_s=250), noted(3, "beta", ends_s=250)], 100)
    assert store.unknown_since(0, 150)[0] == [noted(2, ends_s=250), noted(3, "beta", ends_s=250)]
    store.add_tenant("acme")
    store.remove_tenant("acme", 160)
    assert store.unknown_since(0, 160)[0] == [noted(3, "beta", ends_s=250)]
    store.note_unknown([noted(4, ends_s=350)], 300)
    assert store.unknown_since(0, 0)[0] == [noted(4, ends_s=350)]


def test_of_each_tenant_the_last_unknown_outcomes_are_kept(opened, monkeypatch):
    monkeypatch.setattr(store_of_relay, "MOST", 2)
    store = opened()
    store.note_unknown([noted(9, "beta"), *(noted(number) for number in range(3))], 100)
    store.note_unknown([noted(3)], 100)
    assert store.unknown_since(0, 100)[0] == [noted(9, "beta"), noted(2), noted(3)]


def test_no_node_misses_what_another_one_commits_later(postgresql_server):
    place = shared(postgresql_server)
    with closing(Store(place())) as slow, closing(Store(place())) as quick:
        with slow._transaction() as under_way:
            under_way.execute(store_of_relay._NOTE_LOCK)
            under_way.execute(store_of_relay._NOTE, ("acme", "slow", "r1", 200))
            noting = threading.Thread(target=quick.note_unknown, args=([noted(2)], 100))
            noting.start()
            noting.join(0.3)
            with closing(Store(place())) as looking:
                found, last = looking.unknown_since(0, 100)
        noting.join()
        assert [*found, *quick.unknown_since(last, 100)[0]] == [Noted("acme", "slow", "r1", 200), noted(2)]

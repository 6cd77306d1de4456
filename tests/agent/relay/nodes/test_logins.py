"""NATS lets nodes in by an nkey, or by the credentials of a user of an account: a real server judges."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, contextmanager

import msgspec
import pytest

from agent import events
from agent.errors import ConfigurationError
from agent.relay.nodes import fabric
from agent.relay.nodes.logins import read_login
from agent.relay.reporting import STATUS_FILE
from agent.settings import NatsSettings
from tests.agent.relay.nodes.accounts import Party, User, operator_mode
from tests.agent.relay.nodes.conftest import Cluster
from tests.agent.test_status import status_of
from tests.conftest import absent
from tests.servers import NATS, Missing


class KnowsKeys(NATS):
    """Lets in who holds the seed of one public key."""

    key = "nkey_file"

    def prepare(self):
        self.known = User()
        super().prepare()

    def logins(self):
        rights = 'permissions: { publish: "provisioning-relay.>", subscribe: "provisioning-relay.>" }'
        return f"authorization {{ users: [ {{ nkey: {self.known.public}, {rights} }} ] }}"

    def file_of(self, user):
        return user.seed + "\n"


class GrantsLess(KnowsKeys):
    """Lets a node in, and hear nothing."""

    def logins(self):
        return super().logins().replace('subscribe: "provisioning-relay.>"', 'subscribe: "other.>"')


class GrantsNoInbox(KnowsKeys):
    """Lets a node in, and hear no more than what is said to all."""

    def logins(self):
        return super().logins().replace('subscribe: "provisioning-relay.>"', 'subscribe: "provisioning-relay.all"')


class KnowsAccounts(NATS):
    """Lets in whom an account vouches for."""

    key = "credentials_file"

    def prepare(self):
        self.known, self.tenant = User(), Party("account")
        super().prepare()

    def logins(self):
        return operator_mode(self.tenant)

    def file_of(self, user, *, ends_s=0):
        return user.credentials(self.tenant if user is self.known else Party("account"), ends_s=ends_s)


@contextmanager
def running(kind, config):
    try:
        server = kind()
    except Missing as missing:
        absent(str(missing), kind.name, config)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module", params=[KnowsKeys, KnowsAccounts])
def server(request):
    with running(request.param, request.config) as server:
        yield server


def put(file, text):
    file.write_text(text)
    file.chmod(0o600)
    return file


@pytest.fixture
async def login(tmp_path, papers, log, server):
    """Relay nodes whose login at NATS stands in one file, and that file."""
    async with AsyncExitStack() as stack:
        cluster = Cluster(tmp_path, papers, log, server, stack)
        file = put(tmp_path / "login", server.file_of(server.known))
        cluster.settings_of_login = cluster.settings(user=None, password_file=None, **{server.key: file})
        yield cluster, file


async def test_nodes_share_their_work_with_no_more_rights_at_nats_than_they_need(login, host, client):
    cluster, _ = login
    a = await cluster.start("a", nats=cluster.settings_of_login)
    b = await cluster.start("b", nats=cluster.settings_of_login)
    await b.start_agent(host.url)
    async with client.get(a.address()) as response:
        assert response.status == 200
    assert len(host.asked) == 1


async def test_a_stranger_is_not_let_in_until_the_right_login_is_in_the_file(login, server):
    cluster, file = login
    put(file, server.file_of(User()))
    await cluster.start("a", nats=cluster.settings_of_login)
    failed = await cluster.log.wait_for(events.NATS_FAILED)
    assert "Authorization Violation" in failed["reason"]
    assert "check relay.nats.user and password_file, or token_file, nkey_file" in failed["reason"]
    put(file, server.file_of(server.known))
    await cluster.log.wait_for(events.NATS_CONNECTED)


@pytest.mark.parametrize("server", [GrantsLess], indirect=True)
async def test_a_right_that_is_missing_at_nats_is_named(login):
    cluster, _ = login
    await cluster.start("a", nats=msgspec.structs.replace(cluster.settings_of_login, beat_s=0.1, dead_s=0.5))
    lost = await cluster.log.wait_for(events.NATS_LOST)
    assert "have it allow this node to publish and subscribe on provisioning-relay.>" in lost["reason"]


@pytest.mark.parametrize("server", [GrantsNoInbox], indirect=True)
async def test_a_right_that_is_missing_while_nats_is_there_stands_in_the_status(login):
    cluster, _ = login
    a = await cluster.start("a", nats=cluster.settings_of_login)
    status = await status_of(a.folder / "relay-state", STATUS_FILE, lambda status: status["troubles"])
    (told,) = status["troubles"]
    assert "permissions violation" in told
    assert "have it allow this node to publish and subscribe on provisioning-relay.>" in told


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("port", "it cannot be reached: Connection refused"),
        ("trust", "name the one that did in relay.nats.trust"),
    ],
)
async def test_why_nats_cannot_be_reached_is_said_with_the_setting_that_mends_it(
    cluster, papers, monkeypatch, fault, words
):
    monkeypatch.setattr(fabric, "CONNECT_S", 0.5)
    wrong = {"port": {"urls": ("tls://localhost:1",)}, "trust": {"trust": papers.authority}}
    await cluster.start("a", nats=cluster.settings(**wrong[fault]))
    failed = await cluster.log.wait_for(events.NATS_FAILED)
    assert words in failed["reason"]


@pytest.mark.parametrize("server", [KnowsAccounts], indirect=True)
async def test_credentials_that_have_ended_say_so_and_new_ones_need_no_restart(login, server):
    cluster, file = login
    put(file, server.file_of(server.known, ends_s=int(time.time()) - 60))
    await cluster.start("a", nats=cluster.settings_of_login)
    failed = await cluster.log.wait_for(events.NATS_FAILED)
    assert "relay.nats.credentials_file: ended on " in failed["reason"]
    put(file, server.file_of(server.known))
    await cluster.log.wait_for(events.NATS_CONNECTED)


KEY = User()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("nkey_file", "nothing of the kind"),
        ("nkey_file", Party("account").seed),
        ("nkey_file", KEY.public),
        ("nkey_file", KEY.seed[:30] + ("A" if KEY.seed[30] != "A" else "B") + KEY.seed[31:]),
        ("credentials_file", KEY.seed),
        ("credentials_file", KEY.credentials(Party("account")).replace(KEY.seed, "SUAAAA")),
        ("credentials_file", KEY.credentials(Party("account")).replace(KEY.seed, User().seed)),
        ("credentials_file", KEY.credentials(Party("account")).replace(".", "")),
    ],
    # The keys are new each time, and a test's name is to stay.
    ids=["no key", "an account", "public", "misspelled", "no token", "short seed", "another's seed", "token in one"],
)
def test_a_file_that_holds_no_login_is_named_and_not_quoted(tmp_path, key, text):
    settings = NatsSettings(urls=("tls://localhost:4222",), **{key: put(tmp_path / "login", text)})
    with pytest.raises(ConfigurationError, match=rf"relay\.nats\.{key}: .*login holds no|does not belong") as refused:
        read_login(settings)
    assert text not in str(refused.value)
    assert KEY.seed not in str(refused.value)


def test_a_seed_that_everybody_may_read_is_refused_with_the_mend(tmp_path):
    file = put(tmp_path / "login", KEY.seed)
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"relay\.nats\.nkey_file: everybody .* chmod 600 "):
        read_login(NatsSettings(urls=("tls://localhost:4222",), nkey_file=file))


def test_a_login_shows_none_of_its_secrets(tmp_path):
    settings = NatsSettings(
        urls=("tls://localhost:4222",), credentials_file=put(tmp_path / "login", KEY.credentials(Party("account")))
    )
    shown = repr(read_login(settings))
    assert KEY.public in shown
    assert KEY.seed not in shown
    assert "eyJ" not in shown


@pytest.mark.parametrize("key", ["nkey_file", "credentials_file"])
def test_a_file_with_a_nul_in_it_is_refused_and_not_quoted(tmp_path, key):
    settings = NatsSettings(urls=("tls://localhost:4222",), **{key: put(tmp_path / "login", f"{KEY.seed}\0")})
    with pytest.raises(ConfigurationError, match=rf"relay\.nats\.{key}: .*login has a NUL") as refused:
        read_login(settings)
    assert KEY.seed not in str(refused.value)

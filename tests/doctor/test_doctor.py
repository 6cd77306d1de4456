"""The doctor names the hop that fails and why, and its bundle gives nobody away."""

import asyncio
import json
import logging
import socket
import zipfile
from datetime import timedelta

import pytest

from connector_host import clock
from connector_host.doctor.probing import Target, probe
from connector_host.errors import Level
from connector_host.tls.contexts import client_context, server_context
from connector_host.tls.issuing import issue_authority, issue_files, issue_leaf
from tests.agent.chain import chain_of, issue_papers
from tests.agent.events import EventLog
from tests.folders import Folder
from tests.tls.certificates import write_client

PERSON = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "ada@example.org",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
}


@pytest.fixture
def running(tmp_path):
    folder = Folder(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probing:
        port = probing.getsockname()[1]
    assert folder.init("--table", "Employees", "--token-file", "token", "--port", port).returncode == 0
    with folder.serve() as host:
        yield host


@pytest.fixture
def configured(tmp_path):
    folder = Folder(tmp_path)
    assert folder.init("--table", "Employees").returncode == 0
    return folder


def examined(host, *arguments):
    done = host.folder.run("doctor", "--json", *arguments)
    sections = json.loads(done.stdout)
    return done.returncode, {
        name: found for name, found in sections.items() if name.startswith(("straight", "through"))
    }


def test_a_healthy_host_passes_every_step(running):
    code, sections = examined(running, "--token-file", "token")
    [steps] = sections.values()
    assert code == 0
    assert [step["level"] for step in steps] == ["ok"] * 4
    assert "Entra's test connection succeeds" in steps[2]["fact"]


def test_a_wrong_token_is_named(running):
    running.folder.write("wrong", "no-such-token\n")
    code, sections = examined(running, "--token-file", "wrong")
    assert code == 1
    assert "The token is not valid" in next(iter(sections.values()))[-1]["fact"]


def test_without_a_token_the_door_is_tried_only(running):
    code, sections = examined(running)
    assert code == 0
    assert next(iter(sections.values()))[-1]["level"] == "warning"


def test_a_relay_that_is_not_there_is_named_beside_a_host_that_is(running):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    code, sections = examined(running, "--token-file", "token", "--relay-url", f"https://localhost:{port}/t/a/x/scim")
    straight, through = sections.values()
    assert code == 1
    assert straight[-1]["level"] == "ok"
    assert "does not take connections" in through[-1]["fact"]


def test_a_host_that_does_not_run_is_named(running):
    running.stop()
    code, sections = examined(running)
    assert code == 1
    found = next(iter(sections.values()))[-1]
    assert "Start it" in found["mend"]
    assert "(Connection refused)" in found["fact"]


def test_the_bundle_gives_nobody_away(running):
    assert running.ask("POST", "/Users", PERSON)[0] == 201
    token = running.folder.read("token").strip()
    running.folder.run("doctor", "--token-file", "token", "--bundle", "help.zip")
    bundle = running.folder.path / "help.zip"
    with zipfile.ZipFile(bundle) as opened:
        parts = {name: opened.read(name).decode() for name in opened.namelist()}
    assert set(parts) == {"about.json", "configuration.toml", "findings.json", "exports.jsonl"}
    assert '"operation": "add"' in parts["exports.jsonl"]
    for text in parts.values():
        assert token not in text
        assert "ada@example.org" not in text
        assert "Lovelace" not in text
    assert bundle.stat().st_mode & 0o777 == 0o600


def test_an_earlier_bundle_is_written_over_and_any_other_file_is_not(configured):
    database = (configured.path / "contoso.sqlite").read_bytes()
    with zipfile.ZipFile(configured.path / "photos.zip", "w") as photos:
        photos.writestr("findings.json", "{}")
    zipped = (configured.path / "photos.zip").read_bytes()
    for name, before in (("contoso.sqlite", database), ("photos.zip", zipped)):
        done = configured.run("doctor", "--bundle", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"--bundle: {name} is there, and no earlier bundle. Give another name" in done.stderr
        assert (configured.path / name).read_bytes() == before
    for _ in range(2):
        assert "help.zip is written" in configured.run("doctor", "--bundle", "help.zip").stdout


@pytest.mark.parametrize(
    "url",
    [
        "",
        "foo",
        "https:///x",
        "https://[::1",
        "https://localhost:99999/x",
        "https://..org/x",
        f"https://{'a' * 64}.example.org/x",
        "https://relay\\x",
        "http://relay.example.org/t/acme/x/scim",
    ],
)
def test_a_relay_url_that_is_none_is_told_in_one_line(tmp_path, url):
    done = Folder(tmp_path).run("doctor", "--relay-url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: --relay-url is no https:// URL of a host: ")
    assert done.stderr.endswith("e.g. https://relay.example.org/t/acme/ecma2host_HR/scim\n")


@pytest.mark.parametrize(
    "url",
    [
        "https://user:geheimpw@localhost:1/t/a/x/scim",
        "https://geheimpw@localhost:1/t/a/x/scim",
        "https://localhost:1/t/a/x/scim?token=geheimpw",
        "http://user:geheimpw@localhost:1/t/a/x/scim",
        "https://user:geheimpw/x@localhost:1/t/a/x/scim",
    ],
)
def test_a_secret_in_the_relay_url_is_refused_and_not_repeated(tmp_path, url):
    done = Folder(tmp_path).run("doctor", "--relay-url", url, "--bundle", "help.zip")
    assert done.returncode == 1
    assert "Error: --relay-url " in done.stderr
    assert "geheimpw" not in done.stdout + done.stderr
    assert not (tmp_path / "help.zip").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [("https://no-such-host.invalid/t/a/scim", "cannot be resolved"), ("https://127.0.0.1:1/scim", "take connections")],
)
async def test_what_cannot_be_reached_says_why(url, words):
    [finding] = await probe(Target("relay", url, client_context()))
    assert (finding.level, words in finding.fact) == (Level.FAILURE, True), finding


async def test_a_certificate_that_is_not_believed_is_told_apart(running):
    [finding] = await probe(Target("relay", running.url, client_context()))
    assert "is not believed" in finding.fact


@pytest.mark.parametrize(
    ("name", "days", "trusted", "mend"),
    [
        ("localhost", -1, True, "cert renew"),
        ("other.example.org", 9, True, "for that name"),
        ("localhost", 9, False, "--trust"),
    ],
)
async def test_what_to_do_about_a_certificate_depends_on_what_is_wrong_with_it(tmp_path, name, days, trusted, mend):
    now = clock.now()
    authority, other = (issue_authority("an authority", now) for _ in range(2))
    leaf = issue_leaf(authority, name, now - timedelta(days=10), days=10 + days, also=())
    for file, pem in {"cert": leaf.certificate_pem, "key": leaf.key_pem}.items():
        (tmp_path / file).write_bytes(pem)
    (tmp_path / "trust").write_bytes((authority if trusted else other).certificate_pem)
    context = server_context(tmp_path / "cert", tmp_path / "key")
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context) as listener:
        url = f"https://localhost:{listener.sockets[0].getsockname()[1]}/scim"
        [finding] = await probe(Target("relay", url, client_context(tmp_path / "trust")))
    assert mend in finding.mend, finding


def test_a_host_that_demands_client_certificates_is_shown_one_or_says_so(tmp_path):
    folder = Folder(tmp_path)
    assert folder.init("--table", "Employees").returncode == 0
    write_client(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probing:
        port = probing.getsockname()[1]
    text = folder.read("connector-host.toml").replace("port = 0", f'port = {port}\nclient_authority = "client.pem"')
    folder.write("connector-host.toml", text)
    with folder.serve() as host:
        code, sections = examined(host)
        shown, _ = examined(host, "--client-certificate", "client.pem", "--client-key", "client.key")
        alone = folder.run("doctor", "--client-certificate", "client.pem")
        mixed = folder.run("doctor", "--client-certificate", "client.pem", "--client-key", "tls/key.pem")
    assert (code, "--client-certificate" in next(iter(sections.values()))[-1]["mend"]) == (1, True), sections
    assert shown == 0
    assert (mixed.returncode, "--client-key: tls/key.pem is not the key" in mixed.stderr) == (1, True), mixed
    assert (alone.returncode, "go together" in alone.stderr) == (1, True)


async def test_what_speaks_no_tls_is_told_apart(tmp_path):
    async def talk(_, writer):
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    files = issue_files(tmp_path, "localhost", clock.now())
    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        [finding] = await probe(Target("host", f"https://localhost:{port}/scim", client_context(files.authority)))
    assert "does not speak TLS" in finding.fact


@pytest.fixture
async def relay(tmp_path):
    """Return a relay without agents, and the authority that it is believed by."""
    papers = issue_papers(tmp_path, also=("127.0.0.1",))
    log, logger = EventLog(), logging.getLogger("agent")
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    async with chain_of(tmp_path, papers, log) as chain:
        await chain.start_relay()
        yield chain
    logger.removeHandler(log)


async def through(relay):
    target = Target("relay", relay.address("/ecma2host_HR/scim"), client_context(relay.papers.authority), "a-token")
    return (await probe(target))[-1]


async def test_a_relay_without_an_agent_is_told(relay):
    found = await through(relay)
    assert (found.level, found.subject, "No agent of tenant acme" in found.fact) == (Level.FAILURE, "relay", True)


async def test_a_tenant_that_the_relay_does_not_know_is_told_in_its_words(relay):
    wrong = relay.address("/ecma2host_HR/scim").replace("/t/acme/", "/t/acmee/")
    [_, found] = await probe(Target("relay", wrong, client_context(relay.papers.authority), "a-token"))
    assert "The relay knows no such tenant: check the part of the URL after /t/" in found.fact
    assert "`provisioning-agent relay tenant list`" in found.mend


async def test_an_agent_that_does_not_reach_its_host_is_the_hop_that_is_named(relay):
    await relay.start_agent("https://localhost:1")
    found = await through(relay)
    assert (found.level, found.subject) == (Level.FAILURE, "agent"), found
    assert "https://localhost:1 cannot be reached" in found.fact


async def test_an_agent_whose_own_token_would_let_anybody_in_is_the_hop_that_is_named(relay, tmp_path):
    (tmp_path / "host-token").write_text("the-hosts-token")
    await relay.start_agent("https://localhost:1", host_token_file=tmp_path / "host-token")
    found = await through(relay)
    assert (found.level, found.subject) == (Level.FAILURE, "agent"), found
    assert "client_token_hashes" in found.fact


async def test_a_relay_that_answers_to_another_name_says_to_which(relay):
    other = Target(
        "relay",
        relay.address("/ecma2host_HR/scim").replace("localhost", "127.0.0.1"),
        client_context(relay.papers.authority),
    )
    found = (await probe(other))[-1]
    assert "answers to localhost" in found.fact

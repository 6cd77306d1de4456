"""What relay and agent say about themselves: status for people and scripts, figures for Prometheus."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from datetime import timedelta

import aiohttp
import msgspec
import pytest
import time_machine

from agent import __version__, events, status
from agent.cli import main
from agent.errors import ConfigurationError
from agent.metrics import Figure, render
from connector_host.clock import now
from tests.agent.chain import USERS


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def status_of(folder, name, fits):
    """Return the status once it is as it should be."""
    async with asyncio.timeout(8):
        while True:
            file = folder / name
            if file.exists() and fits(found := json.loads(file.read_bytes())):
                return found
            await asyncio.sleep(0.05)


async def scrape(port):
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as response:
        assert response.content_type == "text/plain"
        return (await response.text()).splitlines()


async def test_relay_and_agent_tell_how_they_are(chain, host, client):
    await chain.start_relay()
    await chain.start_agent(host.url, state=chain.folder / "agent-state")
    relay = await status_of(chain.folder / "relay-state", "relay-status.json", lambda found: found["links"])
    (link,) = relay["links"]
    assert (link["peer"], link["tenant"], link["host_reachable"]) == ("one", "acme", True)
    assert relay["url"] == chain.url
    assert relay["certificate_days"] > 300
    agent = await status_of(chain.folder / "agent-state", "agent-status.json", lambda found: found["links"])
    assert (agent["agent"], agent["host_reachable"], agent["certificate_days"]) == ("one", True, None)
    assert agent["links"][0]["peer"] == chain.url


async def test_the_round_trip_is_known_before_the_first_heartbeat(chain, host):
    await chain.start_relay(heartbeat_s=600.0, dead_s=1_200.0)
    await chain.start_agent(host.url, heartbeat_s=600.0, dead_s=1_200.0, state=chain.folder / "agent-state")
    for folder, name in (("relay-state", "relay-status.json"), ("agent-state", "agent-status.json")):
        fits = lambda found: found["links"] and found["links"][0]["round_trip_ms"] is not None  # noqa: E731
        assert (await status_of(chain.folder / folder, name, fits))["links"][0]["round_trip_ms"] > 0


async def test_the_last_error_and_an_unreachable_host_are_shown(chain, client):
    await chain.start_relay()
    await chain.start_agent("https://localhost:1", state=chain.folder / "agent-state")
    async with client.get(chain.address()):
        pass
    agent = await status_of(chain.folder / "agent-state", "agent-status.json", lambda found: found["last_error"])
    assert not agent["host_reachable"]
    assert "https://localhost:1 cannot be reached: Connection refused" in agent["last_error"]


async def test_the_relay_tells_what_went_wrong_last_and_which_version_each_agent_has(chain, client):
    await chain.start_relay()
    await chain.start_agent("https://localhost:1")
    async with client.get(chain.address()):
        pass
    fits = lambda found: found["last_error"] and found["links"]  # noqa: E731
    file = chain.folder / "relay-state" / "relay-status.json"
    await status_of(file.parent, file.name, fits)
    words = status.words(status.read(file, status.RelayStatus, time.time()), time.time())
    assert "tenant acme: Agent one reports: the connector host at https://localhost:1 cannot be reached" in words
    assert f"acme  one {__version__}  up " in words
    headers = {"Authorization": "Bearer wrong"}
    async with client.get(f"{chain.url}/link/acme", headers=headers) as response:
        assert response.status == 401
    await status_of(file.parent, file.name, lambda found: "was not let in: tenant or cred" in found["last_error"])


async def test_figures_count_what_was_answered(chain, host, client):
    relay_port, agent_port = free_port(), free_port()
    await chain.start_relay(metrics_port=relay_port)
    await chain.start_agent(host.url, metrics_port=agent_port, state=chain.folder / "agent-state")
    for path in (USERS, USERS, "/metrics"):
        async with client.get(chain.address(path)):
            pass
    relay, agent = await scrape(relay_port), await scrape(agent_port)
    assert 'relay_requests_total{tenant="acme",status="200"} 2' in relay
    assert 'relay_requests_total{tenant="acme",status="404"} 1' in relay
    assert 'relay_requests_total{tenant="acme",status="504"} 0' in relay
    assert 'relay_links{tenant="acme",agent="one"} 1' in relay
    assert 'agent_requests_total{status="200"} 2' in agent
    assert 'agent_failures_total{reason="not_allowed"} 1' in agent
    assert "agent_host_reachable 1" in agent


async def test_what_the_relay_itself_refuses_is_logged_and_counted_for_tenants_that_there_are(chain, host, client):
    port = free_port()
    await chain.start_relay(metrics_port=port, limits={"body_bytes": 1_024}, clients=("right",))
    await chain.start_agent(host.url)
    right = {"Authorization": "Bearer right"}
    for tenant, options in (
        ("acme", {}),
        ("acme", {"headers": {**right, "Host": "evil.example"}}),
        ("acme", {"headers": right, "data": b"x" * 2_048}),
        ("nobody", {}),
    ):
        async with client.post(chain.address(tenant=tenant), **options) as response:
            refused = await chain.log.wait_for(events.REQUEST_REFUSED, request_id=response.headers["X-Request-Id"])
        assert refused["status"] == response.status
        assert refused.get("tenant") == (tenant if tenant == "acme" else None)
        assert refused["peer"] == "127.0.0.1"
        assert refused["detail"]
    figures = await scrape(port)
    counted = [line for line in figures if line.startswith("relay_requests_total") and not line.endswith(" 0")]
    assert counted == [f'relay_requests_total{{tenant="acme",status="{status}"}} 1' for status in (401, 421, 413)]


def test_labels_are_escaped():
    figure = Figure("f", "gauge", "Help.", [((("name", 'a"b\\c\nd'),), 1.0)])
    assert render([figure]).splitlines()[-1] == r'f{name="a\"b\\c\nd"} 1'


def agent_status(at_s, **fields):
    return status.AgentStatus(
        **{
            "at_s": at_s,
            "version": "1",
            "agent": "one",
            "tenant": "acme",
            "host": "https://localhost:8585",
            "host_reachable": True,
            "host_detail": "",
            "certificate_days": 20,
            "links": [],
            "in_flight": 0,
            "last_error": "",
        }
        | fields
    )


def test_what_an_agent_says_of_itself_adds_no_line_to_the_status():
    said = "one\n  acme  two\x1b[2J"
    link = status.LinkStatus(
        peer=said, tenant="acme", since_s=0, round_trip_ms=None, in_flight=0, host_reachable=False, detail="a\rb"
    )
    relay = status.RelayStatus(at_s=0, version="1", url="u", certificate_days=1, links=[link], under_way={})
    assert len(status.words(relay, 1.0).splitlines()) == 2
    assert "one\\n  acme  two\\x1b[2J" in status.words(relay, 1.0)
    assert "a\\rb" in status.words(relay, 1.0)


def test_a_status_that_is_old_is_of_a_program_that_does_not_run(tmp_path):
    file = tmp_path / "status.json"
    assert status.read(file, status.AgentStatus, 100) is None
    status.write(file, agent_status(100))
    assert status.read(file, status.AgentStatus, 100 + status.STALE_S) == agent_status(100)
    assert status.read(file, status.AgentStatus, 101 + status.STALE_S) is None


def test_a_status_from_a_time_to_come_is_of_a_program_that_ended_before_the_clock_was_set_back(tmp_path):
    file = tmp_path / "status.json"
    status.write(file, agent_status(3_700))
    assert status.read(file, status.AgentStatus, 100) is None
    assert status.read(file, status.AgentStatus, 3_699) == agent_status(3_700)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_how_long_a_link_is_up_does_not_change_with_the_clock(chain, host, hours):
    await chain.start_relay()
    await chain.start_agent(host.url, state=chain.folder / "agent-state")
    with time_machine.travel(now() + timedelta(hours=hours), tick=True):
        for folder, name in (("relay-state", "relay-status.json"), ("agent-state", "agent-status.json")):
            fits = lambda found: abs(found["at_s"] - now().timestamp()) < 600 and found["links"]  # noqa: E731
            found = await status_of(chain.folder / folder, name, fits)
            assert 0 <= found["at_s"] - found["links"][0]["since_s"] + 1 < 600


def test_a_status_that_names_a_file_of_no_utf8_is_written_and_read(tmp_path):
    file, odd = tmp_path / "relay-status.json", b"/certs-\xff/a.pem".decode(errors="surrogateescape")
    relay = status.RelayStatus(
        at_s=100, version="1", url="u", certificate_days=1, links=[], under_way={}, troubles=[f"{odd}: refused"]
    )
    assert not status.write(file, relay)
    assert status.read(file, status.RelayStatus, 100).troubles == ["/certs-?/a.pem: refused"]


def test_a_status_that_finds_no_room_leaves_the_last_one_and_nothing_beside_it(tmp_path):
    file = tmp_path / "agent-status.json"
    assert not status.write(file, agent_status(100))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        assert status.write(file, agent_status(101)) == "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [file]
    assert status.read(file, status.AgentStatus, 100.0) == agent_status(100)


async def test_why_a_status_is_not_written_is_logged_once(tmp_path, log, monkeypatch):
    monkeypatch.setattr(status, "EVERY_S", 0.0)
    (tmp_path / "file").write_text("")
    asked, third = [], asyncio.Event()

    def current():
        asked.append(0)
        if len(asked) == 3:
            third.set()
        return agent_status(100)

    keeping = asyncio.create_task(status.keep(tmp_path / "file" / "agent-status.json", current))
    await third.wait()
    keeping.cancel()
    assert [event for event, _ in log.seen] == [events.STATUS_FAILED]


def test_a_status_file_that_is_none_is_named(tmp_path):
    (tmp_path / "status.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"status\.json"):
        status.read(tmp_path / "status.json", status.AgentStatus, 0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "certificate good for 20 days"),
        ({"certificate_days": 0}, "certificate good for less than a day"),
        ({"certificate_days": -1}, "certificate has expired, or cannot be read"),
        ({"certificate_days": None}, "shows a token"),
        ({"host_reachable": False, "host_detail": "it is down"}, "not reachable: it is down"),
        ({"last_error": "bad luck"}, "Last error: bad luck"),
        ({}, "There is no link"),
    ],
)
def test_a_person_reads_sentences(fields, words):
    assert words in status.words(agent_status(0, **fields), 0)


def test_the_command_shows_the_status_and_fails_where_nothing_runs(tmp_path, capsys):
    config = tmp_path / "agent.toml"
    config.write_text('[agent]\nrelay = "https://r"\ntenant = "acme"\nhost = "https://h"\n')
    assert main(["status", "--config", str(config)]) == 1
    assert capsys.readouterr().err == "Not running.\n"
    file = tmp_path / "state" / "agent-status.json"
    status.write(file, agent_status(100))
    assert main(["status", "--config", str(config)]) == 1
    told = f"Not running, held up, or unable to write: nothing has been written to {file} lately.\n"
    assert capsys.readouterr().err == told
    status.write(file, agent_status(int(time.time())))
    assert main(["status", "--config", str(config), "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["agent"] == "one"


async def test_an_agent_blames_its_host_once_and_no_link(chain):
    await chain.start_relay()
    await chain.start_agent("https://localhost:1", state=chain.folder / "state")
    await status_of(chain.folder / "state", "agent-status.json", lambda found: found["links"] and found["host_detail"])
    told = status.read(chain.folder / "state" / "agent-status.json", status.AgentStatus, time.time())
    assert status.words(told, time.time()).count("not reachable") == 1

"""What an administrator does as root leaves state that the service's own account can read and write."""

from __future__ import annotations

import os

import pytest

from agent.addresses import relay_url
from agent.outbound.credentials import enrol
from agent.relay import administration

ACCOUNT = 12_345

pytestmark = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def of_the_service(tmp_path):
    folder = tmp_path / "of-the-service"
    folder.mkdir()
    os.chown(folder, ACCOUNT, ACCOUNT)
    return folder


def strangers(folder):
    """Return what the account would not own."""
    return {path.name for path in [folder, *folder.rglob("*")] if path.stat().st_uid != ACCOUNT}


def test_a_tenant_that_root_adds_is_the_relays_to_read(of_the_service, tmp_path):
    config = tmp_path / "relay.toml"
    config.write_text(f'[relay]\ncertificate = "c"\nkey = "k"\nstate = "{of_the_service / "state"}"\n')
    token, _ = administration.add_tenant(config, "acme")
    assert token
    assert (of_the_service / "state").stat().st_mode & 0o777 == 0o700
    assert {path.name for path in of_the_service.rglob("*")} >= {"state", "relay.sqlite3"}
    assert strangers(of_the_service) == set()


async def test_an_agent_that_root_enrols_is_the_services_to_run(chain, host, of_the_service, tmp_path):
    await chain.start_relay()
    config = tmp_path / "relay.toml"
    config.write_text(f'[relay]\ncertificate = "c"\nkey = "k"\nstate = "{tmp_path / "relay-state"}"\n')
    token, _ = administration.add_tenant(config, "acme")
    state = of_the_service / "state"
    await enrol(chain.agent_settings(host.url), relay_url(chain.url), state, token)
    assert {path.name for path in state.iterdir()} >= {"agent.pem", "relay-authority.pem"}
    assert strangers(of_the_service) == set()

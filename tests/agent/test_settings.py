"""The configuration is understood, or refused with the key and the mend."""

from __future__ import annotations

import ast
import inspect

import pytest

from agent import settings
from agent.errors import ConfigurationError
from agent.settings import load_agent, load_relay
from agent.signer import settings as signer_settings

HASH = "sha256:" + "0" * 64
RELAY = f"""
[relay]
certificate = "certificate.pem"
key = "/etc/key.pem"
[tenants.acme]
agent_token_hashes = ["{HASH}"]
"""
AGENT = """
[agent]
relay = "https://relay.example.org"
tenant = "acme"
token_file = "token"
host = "https://localhost:8585"
"""


def write(tmp_path, text):
    path = tmp_path / "it.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path):
    relay = load_relay(write(tmp_path, RELAY), {}).relay
    assert relay.certificate == tmp_path / "certificate.pem"
    assert str(relay.key) == "/etc/key.pem"


def test_the_environment_lies_over_the_file(tmp_path):
    environment = {
        "RELAY__RELAY__PORT": "0",
        "RELAY__RELAY__LIMITS__IN_FLIGHT": "7",
        "RELAY__TENANTS__OTHER__AGENT_TOKEN_HASHES": f'["{HASH}"]',
        "UNRELATED": "1",
    }
    configuration = load_relay(write(tmp_path, RELAY), environment)
    assert (configuration.relay.port, configuration.relay.limits.in_flight) == (0, 7)
    assert set(configuration.tenants) == {"acme", "other"}
    agent = load_agent(write(tmp_path, AGENT), {"PROVISIONING_AGENT__AGENT__TENANT": "north"}).agent
    assert agent.tenant == "north"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[relay", "is not TOML"),
        ("[relay]\n", "relay.certificate: is missing"),
        (RELAY.replace("[tenants", "ports = 1\n[tenants"), "relay.ports: there is no such key"),
        (RELAY.replace("[tenants", "port = 70000\n[tenants"), "relay.port: expected `int` <= 65535"),
        (RELAY.replace(HASH, "secret"), "tenants[...].agent_token_hashes[0]: write sha256: and 64 hex digits"),
        (
            RELAY.replace("[tenants", 'log_level = "loud"\n[tenants'),
            "relay.log_level: write debug, error, info, warning.",
        ),
        (
            RELAY.replace("[tenants", 'public = ["Relay"]\n[tenants'),
            "relay.public[0]: write NAME or NAME:PORT, in lower",
        ),
        (
            RELAY.replace("[tenants", '[relay.nats]\nurls = ["nats://n"]\n[tenants'),
            "relay.nats.urls[0]: write tls://NAME",
        ),
        (
            RELAY.replace("[tenants", "[relay.nats]\nurls = []\n[tenants"),
            "relay.nats.urls: expected `array` of length >= 1",
        ),
        (RELAY + 'passthrough = ["A B"]', "tenants[...].passthrough[0]: write a host name, in lower case"),
        (RELAY.replace("tenants.acme", "tenants.Acme_1"), "tenants.Acme_1: is no name for a tenant"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_relay(path, {})
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_secret_that_is_misplaced_is_not_repeated(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load_relay(write(tmp_path, RELAY.replace(HASH, "a-secret-token")), {})
    assert "a-secret-token" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_agent(tmp_path / "absent.toml", {})


@pytest.mark.parametrize(("module", "least"), [(settings, 5), (signer_settings, 1)])
def test_every_key_says_what_it_is_for(module, least):
    tree = ast.parse(inspect.getsource(module))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert len(classes) > least
    for node in classes:
        for key, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(key, ast.AnnAssign):
                documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                assert documented, f"{node.name}.{ast.unparse(key.target)}"

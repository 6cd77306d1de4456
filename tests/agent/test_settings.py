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
        (RELAY.replace("[tenants", "ports = 1\n[tenants"), "relay.ports: there is no such key. Did you mean port?"),
        (
            RELAY.replace("[tenants", "[relay.limits]\nIn-Flight = 1\n[tenants"),
            "relay.limits.In-Flight: there is no such key. Did you mean in_flight?",
        ),
        (RELAY + "x = 1", "tenants.acme.x: there is no such key. There are: agent_token_hashes, "),
        ("relais = 1\n" + RELAY, "relais: there is no such key. Did you mean relay?"),
        (RELAY.replace("[tenants", "port = 70000\n[tenants"), "relay.port: expected `int` <= 65535"),
        (RELAY.replace("[tenants", 'port = "443"\n[tenants'), "relay.port: write a whole number, without quotes."),
        (
            RELAY.replace("[tenants", 'metrics_port = "1"\n[tenants'),
            "relay.metrics_port: write a whole number, without",
        ),
        (RELAY.replace("[tenants", 'stop_s = "1"\n[tenants'), "relay.stop_s: write a number, without quotes."),
        (RELAY.replace("[tenants", 'compression = "on"\n[tenants'), "relay.compression: write true or false, without"),
        (RELAY.replace("[tenants", "name = 1\n[tenants"), "relay.name: write a text, in quotes."),
        (RELAY.replace("[tenants", "limits = 1\n[tenants"), "relay.limits: is a table: write [relay.limits]."),
        (RELAY.replace("[tenants", 'listen = ""\n[tenants'), "relay.listen: expected `str` of length >= 1"),
        (
            RELAY.replace(HASH, "secret"),
            "tenants.acme.agent_token_hashes[0]: write sha256: and 64 hex digits in lower case",
        ),
        (RELAY + "[tenants.b-2]\npassthrough = 1", 'tenants.b-2.passthrough: write a list, ["…", "…"].'),
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
        (RELAY + 'passthrough = ["A B"]', "tenants.acme.passthrough[0]: write a host name, in lower case"),
        (RELAY.replace("tenants.acme", "tenants.Acme_1"), "tenants.Acme_1: is no name for a tenant"),
        (
            RELAY.replace("[tenants", 'trusted_proxies = ["10.0.0.0/8", "balancer"]\n[tenants'),
            "relay.trusted_proxies[1]: write addresses or networks, as in",
        ),
        *(
            (
                RELAY.replace("[tenants", f"agent_days = {days}\n[tenants"),
                "relay.agent_days: write days from 0.0005 to 36500",
            )
            for days in ("0.0003", "1e12", "inf", "nan")
        ),
        *(
            (RELAY.replace("[tenants", f"enrolment_hours = {hours}\n[tenants"), "write hours from 0.01 to 87600")
            for hours in ("0.001", "1e8", "inf")
        ),
        (RELAY.replace("[tenants", "dead_s = 5\n[tenants"), "relay.dead_s: must be more than relay.heartbeat_s, 5"),
        (
            RELAY.replace("[tenants", '[relay.nats]\nurls = ["tls://n"]\nbeat_s = 4\n[tenants'),
            "relay.nats.dead_s: must be more than relay.nats.beat_s, 4",
        ),
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


UNREACHABLE = (
    "http://secret.example", "secret.example:8443", "https://secret.example/?x=1", "https://secret.example#x",
    "https://[::1-secret", "https://secret.example:99999", "https://secret.example:0", "https://secret.example:x",
    "https://..secret", "https://", "https://secret example", "https://xn--", "https://secret\\x",
)  # fmt: skip
WITH_LOGIN = ("https://me@secret.example", "https://me:secret@relay.example", "https://:secret@relay.example")


@pytest.mark.parametrize("url", [*UNREACHABLE, *WITH_LOGIN, "https://secret.example/path"])
@pytest.mark.parametrize("key", ["relay", "host"])
def test_a_url_that_is_none_is_refused_when_it_is_read_and_not_repeated(tmp_path, key, url):
    environment = {f"PROVISIONING_AGENT__AGENT__{key.upper()}": url}
    with pytest.raises(ConfigurationError) as caught:
        load_agent(write(tmp_path, AGENT), environment)
    assert f"it.toml: agent.{key}: " in str(caught.value)
    assert "write https://NAME:PORT" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", [*UNREACHABLE[1:], "http://me:secret@p.example", "https://p.example", "http://p/x"])
def test_a_proxy_that_is_none_is_refused_when_it_is_read(tmp_path, url):
    with pytest.raises(ConfigurationError, match=r"agent\.proxy: .* write http://\[USER@\]NAME:PORT") as caught:
        load_agent(write(tmp_path, AGENT), {"PROVISIONING_AGENT__AGENT__PROXY": url})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["", 'proxy = "http://proxy.example.org:3128"\n'])
def test_a_password_of_nobody_at_the_proxy_is_refused(tmp_path, proxy):
    text = AGENT + proxy + 'proxy_password_file = "password"\n'
    with pytest.raises(ConfigurationError, match=r"agent\.proxy_password_file: .* agent\.proxy: write http://USER@"):
        load_agent(write(tmp_path, text), {})


def test_a_tenant_in_upper_case_is_told_how_names_are_written(tmp_path):
    with pytest.raises(ConfigurationError, match=r"agent\.tenant: .* lower-case letters, digits and hyphens"):
        load_agent(write(tmp_path, AGENT), {"PROVISIONING_AGENT__AGENT__TENANT": "ACME"})


@pytest.mark.parametrize("url", [*UNREACHABLE, *WITH_LOGIN])
def test_a_signers_upstream_that_is_none_is_refused_when_it_is_read(tmp_path, url):
    path = write(tmp_path, '[sign]\nupstream = "https://relay.example.org/t/acme"\nkey = "key"\n')
    signer_settings.load_signer(path, {})
    with pytest.raises(ConfigurationError, match=r"sign\.upstream: .* write https://NAME\[:PORT\]") as caught:
        signer_settings.load_signer(path, {"PROVISIONING_SIGNER__SIGN__UPSTREAM": url})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://[::1]:8585", "https://host.example.", "https://bücher.example:1/", "HTTPS://A"]
)
def test_urls_that_can_be_reached_are_taken(tmp_path, url):
    text = AGENT.replace("https://localhost:8585", url).replace("https://relay.example.org", url)
    assert load_agent(write(tmp_path, text), {}).agent.host == url


def test_a_silence_that_is_shorter_than_the_signs_of_life_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"agent\.dead_s: must be more than agent\.heartbeat_s, 20"):
        load_agent(write(tmp_path, AGENT + "heartbeat_s = 20\n"), {})


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

"""A changed configuration is taken over while requests are served; a bad one changes nothing."""

import signal

import pytest

NEW = "[connectors.Second]"


@pytest.fixture
def host(configured):
    with configured.serve() as serving:
        yield serving


def second(folder, **changes):
    """Return the configuration with another connector on the same table."""
    text = folder.read("connector-host.toml")
    facts = {
        "database": folder.url,
        "table": "Employees",
        "anchor": "ContosoLogin",
        "token_hash_file": "Employees.tokens",
    }
    lines = [f'{key} = "{value}"' for key, value in (facts | changes).items()]
    return "\n".join([text, NEW, *lines, ""])


def reload(host, text):
    host.folder.write("connector-host.toml", text)
    assert host.folder.run("reload").returncode == 0


def test_a_connector_is_added_and_removed(host):
    first = host.folder.read("connector-host.toml")
    assert host.ask("GET", "/Users", connector="Second")[0] == 401
    reload(host, second(host.folder))
    host.wait_for("configuration.applied")
    assert host.ask("GET", "/Users", connector="Second")[0] == 200
    reload(host, first)
    host.wait_for("configuration.applied")
    assert host.ask("GET", "/Users", connector="Second")[0] == 401
    assert host.ask("GET", "/Users")[0] == 200


def test_a_changed_connector_takes_the_place_of_the_old_one(host):
    status, created = host.ask("GET", "/Users/bsimon")
    assert (status, created["name"]["givenName"]) == (200, "Britta")
    reload(host, host.folder.read("connector-host.toml").replace('"name.givenName"', '"nickName"'))
    host.wait_for("configuration.applied")
    assert host.ask("GET", "/Users/bsimon")[1]["nickName"] == "Britta"


@pytest.mark.parametrize(
    ("old", "new", "event"),
    [
        ("port = 0", 'port = "many"', "configuration.refused"),
        ("[host]", "[host", "configuration.refused"),
        ('table = "Employees"', 'table = "Nowhere"', "connector.misconfigured"),
        ('anchor = "ContosoLogin"', 'anchor = "Photo"', "connector.misconfigured"),
    ],
)
def test_a_bad_configuration_changes_nothing(host, old, new, event):
    host.folder.write("connector-host.toml", host.folder.read("connector-host.toml").replace(old, new))
    host.process.send_signal(signal.SIGHUP)
    assert host.wait_for(event)["level"] == "error"
    assert host.ask("GET", "/Users/bsimon")[1]["name"]["givenName"] == "Britta"


def test_what_needs_a_restart_is_said(host):
    reload(host, host.folder.read("connector-host.toml").replace("port = 0", "port = 0\nstop_s = 5"))
    assert host.wait_for("restart.needed")["attributes"] == ["host.stop_s"]


def test_the_command_judges_before_it_asks_the_host(host):
    host.folder.write("connector-host.toml", host.folder.read("connector-host.toml").replace("table =", "tabel ="))
    done = host.folder.run("reload")
    assert (done.returncode, "Did you mean table?" in done.stderr) == (1, True)


def test_without_a_running_host_the_command_says_so(configured):
    done = configured.run("reload")
    assert (done.returncode, "No host runs" in done.stderr) == (1, True)

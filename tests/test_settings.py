"""A mistake in the configuration is told with file, line, key and mend, all at once, and never with a value."""

import json
import sys

import pytest

from connector_host.errors import ConfigurationError
from connector_host.settings import FORMAT_VERSION, load

NOT_A_NUMBER = "Input should be a valid integer, unable to parse string as an integer."
GOOD = """\
[host]
certificate = "tls/certificate.pem"
key = "tls/key.pem"

[connectors.HR]
database = "sqlite:///hr.db"
table = "Employees"
anchor = "Login"
"""


@pytest.fixture
def write(tmp_path):
    path = tmp_path / "connector-host.toml"

    def write(text):
        path.write_text(text)
        return path

    return write


def mistakes(path, environment=None):
    with pytest.raises(ConfigurationError) as failure:
        load(path, environment or {})
    return str(failure.value).replace(f"{path}", "FILE").splitlines()


def test_paths_are_relative_to_the_file(write, tmp_path):
    assert load(write(GOOD), {}).host.certificate == tmp_path / "tls" / "certificate.pem"


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+pysqlite", "sqlite+pyodbc"])
def test_a_relative_file_of_sqlite_is_beside_the_file(write, tmp_path, driver):
    text = GOOD.replace("sqlite:///hr.db", f"{driver}:///data/hr.db?x=y")
    assert load(write(text), {}).connectors["HR"].database == f"{driver}:///{tmp_path}/data/hr.db?x=y"
    variable = {"CONNECTOR_HOST__CONNECTORS__HR__DATABASE": f"{driver}:///crm.db"}
    assert load(write(text), variable).connectors["HR"].database == f"{driver}:///{tmp_path}/crm.db"


@pytest.mark.parametrize("url", ["sqlite:////var/hr.db", "sqlite://", "sqlite:///:memory:", "db2://h/hr"])
def test_a_database_that_is_no_relative_file_stays_what_it_is(write, url):
    assert load(write(GOOD.replace("sqlite:///hr.db", url)), {}).connectors["HR"].database == url


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("key =", "prot = 1\nkey =", "FILE:3: host.prot: there is no such key. Did you mean port?"),
        ("table =", "tabel =", "FILE:7: connectors.HR.tabel: there is no such key. Did you mean table?"),
        ("table =", "schem = 'x'\ntable =", "FILE:7: connectors.HR.schem: there is no such key. Did you mean schema?"),
        ('key = "tls/key.pem"', "", 'FILE:1: host.key: is missing. Example: key = "tls/key.pem"'),
        ('anchor = "Login"', "", 'FILE:5: connectors.HR.anchor: is missing. Example: anchor = "ContosoLogin"'),
        (
            "key =",
            "port = 'many'\nkey =",
            f"FILE:3: host.port: {NOT_A_NUMBER} Example: port = 8585",
        ),
        (
            "anchor =",
            "[connectors.HR.limits]\npage_sise = 5\n[connectors.CRM]\nanchor =",
            "FILE:9: connectors.HR.limits.page_sise: there is no such key. Did you mean page_size?",
        ),
        ("[connectors.HR]", "[connector.HR]", "FILE:5: connector: there is no such key. Did you mean connectors?"),
    ],
)
def test_a_mistake_is_told_with_line_key_and_mend(write, old, new, told):
    assert told in mistakes(write(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize("listen", ["", " ", "hr..example", "0.0.0.0:8585", "https://hr", "a" * 64, "10.0.0.0/8"])
def test_what_is_no_address_to_listen_on_is_refused(write, listen):
    told = mistakes(write(GOOD.replace("[host]", f'[host]\nlisten = "{listen}"')))
    assert told == [f"FILE:2: host.listen: {listen!r} is no address: write one of this machine, or 0.0.0.0 for all."]


@pytest.mark.parametrize("key", ["allow", "trusted_proxies"])
def test_a_network_that_is_none_is_refused_and_makes_no_others_unknown(write, key):
    [told] = mistakes(write(GOOD.replace("[host]", f'[host]\n{key} = ["127.0.0.1", "proxy.example.org"]')))
    assert told.startswith(f"FILE:2: host.{key}: 'proxy.example.org' is neither an address nor a network")


def test_metrics_have_a_port_of_their_own(write):
    [told] = mistakes(write(GOOD.replace("[host]", "[host]\nport = 9000\nmetrics_port = 9000")))
    assert told.startswith("FILE:3: host.metrics_port: 9000 is `port`, too")
    apart = GOOD.replace("[host]", '[host]\nlisten = "192.0.2.1"\nport = 9000\nmetrics_port = 9000')
    assert load(write(apart), {}).host.metrics_port == 9000


@pytest.mark.parametrize("url", ["sqlite:///file:hr.db?uri=true", "sqlite+pysqlite:///FILE:/var/hr.db?mode=ro"])
def test_a_file_of_sqlite_that_no_folder_can_be_put_before_is_refused(write, url):
    [told] = mistakes(write(GOOD.replace("sqlite:///hr.db", url)))
    assert told.startswith("FILE:6: connectors.HR.database: names its file by file:")
    assert told.endswith("write sqlite:///PATH.")


@pytest.mark.parametrize("listen", ["127.0.0.1", "::", "fe80::1%eth0", "localhost", "hr-1.example.org"])
def test_addresses_and_names_are_listened_on(write, listen):
    assert load(write(GOOD.replace("[host]", f'[host]\nlisten = "{listen}"')), {}).host.listen == listen


def test_every_mistake_is_told_at_once(write):
    assert len(mistakes(write(GOOD.replace('key = "tls/key.pem"', "port = 70000\ncolour = 1\nstop_s = 0")))) == 4


def test_a_value_is_never_repeated(write):
    told = mistakes(write(GOOD.replace("table =", 'password = 12345\ntoken_hashes = ["s3cret"]\ntable =')))
    assert "12345" not in str(told)
    assert "s3cret" not in str(told)


@pytest.mark.parametrize("version", ['"1"', "1.0", '"2"', "true"])
def test_a_format_is_a_whole_number(write, version):
    told = mistakes(write(f"version = {version}\n{GOOD}"))
    assert told == ["FILE:1: version: Input should be a valid integer. Example: version = 1"]


def test_a_file_of_a_later_format_is_refused_before_anything_else(write):
    told = mistakes(write(f"version = {FORMAT_VERSION + 1}\nunheard_of = true\n{GOOD}"))
    assert len(told) == 1
    assert "Install a newer connector-host" in told[0]


def test_what_is_no_toml_is_told_with_its_place(write):
    assert "is not TOML" in mistakes(write("[host\n"))[0]


def test_a_file_as_editors_of_windows_write_it_is_read(write):
    path = write(GOOD)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(path, {}).connectors
    path.write_bytes(GOOD.encode("utf-16"))
    assert "it is no text in UTF-8. Save it in UTF-8." in mistakes(path)[0]


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "cannot be read" in mistakes(tmp_path / "none.toml")[0]


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("CONNECTOR_HOST__HOST__PORT", "9000", lambda settings: settings.host.port == 9000),
        ("CONNECTOR_HOST__HOST__NAME", "hr.example.org", lambda settings: settings.host.name == "hr.example.org"),
        ("CONNECTOR_HOST__CONNECTORS__HR__TABLE", "Staff", lambda settings: settings.connectors["HR"].table == "Staff"),
        (
            "CONNECTOR_HOST__CONNECTORS__HR__COLUMNS",
            json.dumps(["a", "b"]),
            lambda settings: settings.connectors["HR"].columns == ("a", "b"),
        ),
        (
            "CONNECTOR_HOST__CONNECTORS__HR__PASSWORD",
            "s3cret",
            lambda settings: settings.connectors["HR"].password.get_secret_value() == "s3cret",
        ),
    ],
)
def test_every_key_may_be_set_by_the_environment(write, name, text, read):
    assert read(load(write(GOOD), {name: text}))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("HOST__PORTT", "1", ["NAME: host.portt: there is no such key. Did you mean port?"]),
        ("HOST__STOP_S", "0", ["NAME: host.stop_s: Input should be greater than 0. Example: stop_s = 20.0"]),
        ("HOST", "5", ["NAME: host: is a table of keys, not one value."]),
        (
            "CONNECTORS__crm__READERS",
            "4",
            [
                'NAME: connectors.crm.database: is missing. Example: database = "postgresql://scim@db.example.org/hr"',
                'NAME: connectors.crm.anchor: is missing. Example: anchor = "ContosoLogin"',
            ],
        ),
    ],
)
def test_a_mistake_of_the_environment_is_told_by_its_variable(write, name, text, told):
    name = f"CONNECTOR_HOST__{name}"
    assert mistakes(write(GOOD), {name: text}) == [line.replace("NAME", name) for line in told]


def test_a_mistake_of_the_file_is_told_by_its_line_whatever_else_the_environment_sets(write):
    path = write(GOOD.replace("key =", "prot = 1\nkey ="))
    told = mistakes(path, {"CONNECTOR_HOST__HOST__PORT": "8586"})
    assert told == ["FILE:3: host.prot: there is no such key. Did you mean port?"]


@pytest.mark.parametrize("text", ["0123", "1234", "1e5", "true", '"quoted"', "[a]"])
def test_a_password_is_taken_as_it_is(write, text):
    settings = load(write(GOOD), {"CONNECTOR_HOST__CONNECTORS__HR__PASSWORD": text})
    assert settings.connectors["HR"].password.get_secret_value() == text


def test_a_table_may_have_a_number_for_a_name(write):
    settings = load(write(GOOD), {"CONNECTOR_HOST__CONNECTORS__HR__TABLE": "2026"})
    assert settings.connectors["HR"].table == "2026"


@pytest.mark.parametrize(
    ("connector", "told"),
    [
        ("writers = 2", "connectors: HR.writers: each of 3 workers needs a connection of its own: write 3 or more"),
        ("readers = 1", "connectors: HR.readers: each of 3 workers needs a connection of its own: write 3 or more"),
        (
            "accept_unenforced_anchor = true",
            "connectors: HR.accept_unenforced_anchor: over any ODBC data source such an anchor is guarded within",
        ),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are refused before")
def test_what_several_workers_cannot_keep_is_refused(write, connector, told):
    text = GOOD.replace("key =", "workers = 3\nkey =", 1).replace("sqlite:///hr.db", "odbc:///?dsn=HR")
    assert told in "\n".join(mistakes(write(text + connector)))
    assert load(write(text), {}).host.workers == 3
    assert load(write(text.replace("workers = 3", "workers = 1") + connector), {}).host.workers == 1


def test_several_workers_are_refused_where_there_are_none(write, monkeypatch):
    monkeypatch.setattr("connector_host.settings.host.sys.platform", "win32")
    text = GOOD.replace("key =", "workers = 2\nkey =", 1)
    assert mistakes(write(text)) == ["FILE:3: host.workers: several processes serve on Linux only: write workers = 1."]
    assert load(write(text.replace("workers = 2", "workers = 1")), {}).host.workers == 1

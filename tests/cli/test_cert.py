"""`connector-host cert`: from issuing or requesting a certificate to having it in place."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from connector_host import clock
from connector_host.tls.files import load_chain, load_key
from connector_host.tls.issuing import Issued, issue_authority, issue_leaf, write_private


def test_a_certificate_is_issued_shown_and_checked(folder):
    assert folder.run("cert", "issue", "--host", "hr.example.org", "--out", "tls").returncode == 0
    shown = json.loads(folder.run("cert", "show", "tls/certificate.pem", "--json").stdout)
    assert shown[0]["names"] == ["hr.example.org", "localhost", "127.0.0.1", "::1"]
    options = ("--certificate", "tls/certificate.pem", "--key", "tls/key.pem")
    assert folder.run("cert", "check", "--host", "hr.example.org", *options).returncode == 0
    other = folder.run("cert", "check", "--host", "other.example.org", *options)
    assert (other.returncode, "not for other.example.org" in other.stdout) == (1, True)


def test_what_is_left_out_is_taken_from_the_configuration(configured):
    shown = json.loads(configured.run("cert", "show", "--json").stdout)
    assert shown[0]["names"][0] == "localhost"
    assert configured.run("cert", "check").returncode == 0
    other = configured.run("cert", "check", "--host", "other.example.org")
    assert (other.returncode, "not for other.example.org" in other.stdout) == (1, True)
    none = configured.run("cert", "check", "--host", "")
    assert (none.returncode, "'' is neither a host name nor an IP address" in none.stdout) == (1, True)


def test_an_authority_that_clients_trust_is_not_replaced_unasked(folder):
    folder.run("cert", "issue", "--host", "localhost", "--out", "tls")
    before = folder.read("tls/authority.pem")
    again = folder.run("cert", "issue", "--host", "localhost", "--out", "tls")
    assert (again.returncode, "--force" in again.stderr, folder.read("tls/authority.pem") == before) == (1, True, True)
    assert folder.run("cert", "issue", "--host", "localhost", "--out", "tls", "--force").returncode == 0
    assert folder.read("tls/authority.pem") != before


def test_a_name_that_is_none_leaves_the_old_authority_even_by_force(folder):
    folder.run("cert", "issue", "--host", "localhost", "--out", "tls")
    before = {path.name: path.read_bytes() for path in (folder.path / "tls").iterdir()}
    assert folder.run("cert", "issue", "--host", "no name", "--out", "tls", "--force").returncode == 1
    assert {path.name: path.read_bytes() for path in (folder.path / "tls").iterdir()} == before


def test_what_an_authority_signed_is_installed_for_the_host(configured):
    assert configured.run("cert", "request", "--host", "localhost", "--out", "tls").returncode == 0
    request = x509.load_pem_x509_csr((configured.path / "tls" / "request.csr").read_bytes())
    key = load_key(configured.path / "tls" / "request-key.pem")
    assert request.public_key() == key.public_key()
    signed = issue_leaf(issue_authority("theirs", clock.now()), "localhost", clock.now(), key=key)
    (configured.path / "signed.crt").write_bytes(signed.certificate_pem)
    done = configured.run("cert", "install", "signed.crt", "--key", "tls/request-key.pem")
    assert done.returncode == 0, done.stderr
    assert (configured.path / "tls" / "certificate.pem").read_bytes() == signed.certificate_pem
    assert configured.run("check").returncode == 0
    renewed = configured.run("cert", "renew")
    assert (renewed.returncode, "was not issued by this product" in renewed.stderr) == (1, True)


def test_a_request_is_replaced_by_force_only_and_the_first_can_still_be_installed(configured):
    ask = ("cert", "request", "--host", "localhost", "--out", "tls")
    assert configured.run(*ask).returncode == 0
    key = load_key(configured.path / "tls" / "request-key.pem")
    again = configured.run(*ask)
    assert (again.returncode, "request-key.pem exists" in again.stderr, "--force" in again.stderr) == (1, True, True)
    assert configured.run(*ask, "--force").returncode == 0
    signed = issue_leaf(issue_authority("theirs", clock.now()), "localhost", clock.now(), key=key)
    (configured.path / "signed.crt").write_bytes(signed.certificate_pem)
    done = configured.run("cert", "install", "signed.crt", "--key", "tls/request-key.pem.old")
    assert done.returncode == 0, done.stderr


def test_a_certificate_of_another_authority_is_used_by_init_and_not_overwritten(folder):
    own = issue_leaf(issue_authority("theirs", clock.now()), "localhost", clock.now())
    (folder.path / "tls").mkdir()
    (folder.path / "tls" / "certificate.pem").write_bytes(own.certificate_pem)
    write_private(folder.path / "tls" / "key.pem", own.key_pem)
    issued = folder.run("cert", "issue", "--host", "localhost", "--out", "tls")
    assert (issued.returncode, "certificate.pem exists" in issued.stderr) == (1, True), issued
    done = folder.init("--table", "Employees", "--token-file", "token")
    assert done.returncode == 0, done.stdout + done.stderr
    assert folder.read("tls/certificate.pem").encode() == own.certificate_pem
    assert not (folder.path / "tls" / "authority.pem").exists()


def test_init_leaves_a_key_whose_certificate_is_missing(folder):
    (folder.path / "tls").mkdir()
    (folder.path / "tls" / "key.pem").write_text("somebody else's")
    done = folder.init("--table", "Employees", "--token-file", "token")
    assert (done.returncode, "key.pem exists. Give another folder with" in done.stderr) == (1, True), done
    assert folder.read("tls/key.pem") == "somebody else's"


def test_what_is_for_another_host_is_not_installed(configured):
    before = configured.read("tls/certificate.pem")
    other = issue_leaf(issue_authority("theirs", clock.now()), "crm.example.org", clock.now())
    (configured.path / "both.pem").write_bytes(other.certificate_pem + Issued(other.certificate, other.key).key_pem)
    done = configured.run("cert", "install", "both.pem")
    assert (done.returncode, "not for localhost" in done.stderr) == (1, True)
    assert configured.read("tls/certificate.pem") == before


def test_its_own_certificate_is_renewed_on_demand(configured):
    before = configured.read("tls/certificate.pem"), configured.read("tls/key.pem")
    done = configured.run("cert", "renew")
    assert done.returncode == 0, done.stderr
    assert configured.read("tls/certificate.pem") != before[0]
    assert configured.read("tls/key.pem") == before[1]
    assert configured.run("check").returncode == 0


def test_a_passphrase_with_a_nul_is_refused_and_not_shown(configured):
    certificate = load_chain(configured.path / "tls" / "certificate.pem")[0]
    locked = BestAvailableEncryption(b"x")
    (configured.path / "hr.pfx").write_bytes(serialize_key_and_certificates(None, None, certificate, None, locked))
    (configured.path / "passphrase").write_bytes(b"s3\0cret")
    done = configured.run("cert", "install", "hr.pfx", "--passphrase-file", "passphrase")
    assert (done.returncode, "--passphrase-file: passphrase has a NUL" in done.stderr) == (1, True), done
    assert ("Traceback" in done.stderr, "115, 51" in done.stderr) == (False, False)


def test_a_renewal_that_does_not_help_the_host_is_no_success(configured):
    configured.write(
        "connector-host.toml", configured.read("connector-host.toml").replace('"localhost"', '"hr.example"')
    )
    done = configured.run("cert", "renew")
    assert (done.returncode, "not for hr.example" in done.stdout) == (1, True), done


def test_an_rsa_key_is_made_for_those_who_need_one(folder):
    folder.run("cert", "issue", "--host", "localhost", "--out", "tls", "--rsa")
    assert "RSA 3072 bits" in folder.run("cert", "show", "tls/certificate.pem").stdout


@pytest.mark.parametrize(
    ("passphrase", "part", "words"),
    [
        (None, 1.0, "cannot be opened without a passphrase"),
        ("wrong", 1.0, "cannot be opened with this passphrase"),
        ("right", 0.5, "is cut off"),
        ("wrong", 0.5, "is cut off"),
        ("right", 1.0, ""),
    ],
)
def test_a_pkcs12_file_that_does_not_open_is_told_in_one_line_and_changes_nothing(configured, passphrase, part, words):
    leaf = issue_leaf(issue_authority("theirs", clock.now()), "localhost", clock.now())
    lock = BestAvailableEncryption(b"right")
    content = serialize_key_and_certificates(b"x", leaf.key, leaf.certificate, None, lock)
    (configured.path / "hr.pfx").write_bytes(content[: int(len(content) * part)])
    before = configured.read("tls/certificate.pem"), configured.read("tls/key.pem")
    given = None if passphrase is None else {"CONNECTOR_HOST_PASSPHRASE": passphrase}
    done = configured.run("cert", "install", "hr.pfx", env=given)
    untouched = (configured.read("tls/certificate.pem"), configured.read("tls/key.pem")) == before
    assert (done.returncode, words in done.stderr, untouched) == (1 if words else 0, True, bool(words)), done.stderr
    assert len(done.stderr.splitlines()) == (1 if words else 0)

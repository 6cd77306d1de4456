"""A certificate file that cannot be used says why and what to do, in a line, without quoting a key."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

from connector_host.errors import Level, failures
from connector_host.tls.description import describe
from connector_host.tls.files import UnusableFile, check_identity, load_chain, load_identity, load_key
from connector_host.tls.issuing import Issued, issue_authority, issue_files, issue_leaf, write_private
from tests.tls.certificates import NOW, X400_NAME, armoured, odd_certificates, self_signed


@pytest.fixture
def files(tmp_path):
    return issue_files(tmp_path, "hr.example.org", NOW)


def encrypted(key, passphrase=b"open sesame"):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )


def test_what_was_issued_is_read_back(files):
    identity = load_identity(files.certificate, files.key)
    assert len(identity.chain) == 1
    assert failures(check_identity(files.certificate, files.key, "hr.example.org", NOW)) == []
    assert "key=" not in repr(identity)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no readable certificate"),
        (b"hello", "no readable certificate"),
        (b"-----BEGIN CERTIFICATE-----\nTm90IGEgY2VydA==\n-----END CERTIFICATE-----\n", "is damaged"),
        (b"\x30\x82\x01\x02", "no readable certificate"),
    ],
)
def test_a_file_that_is_no_certificate_is_told(tmp_path, content, words):
    path = tmp_path / "host.pem"
    path.write_bytes(content)
    with pytest.raises(UnusableFile, match=words):
        load_chain(path)


def test_a_file_that_was_cut_off_is_told(files):
    files.certificate.write_bytes(files.certificate.read_bytes()[:-40])
    files.key.write_bytes(files.key.read_bytes()[:100])
    with pytest.raises(UnusableFile, match="is cut off"):
        load_chain(files.certificate)
    with pytest.raises(UnusableFile, match="is cut off"):
        load_key(files.key)


def test_a_file_that_is_not_there_is_told_with_the_mend(tmp_path):
    [finding] = check_identity(tmp_path / "none.pem", tmp_path / "none.key", "localhost", NOW)
    assert (finding.level, finding.subject) == (Level.FAILURE, "certificate")
    assert "does not exist" in finding.fact
    assert "cert issue" in finding.mend


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UnusableFile, match="cannot be read"):
        load_chain(tmp_path)


def test_an_encrypted_key_needs_its_passphrase(files):
    files.key.write_bytes(encrypted(load_key(files.key)))
    with pytest.raises(UnusableFile, match="is encrypted"):
        load_key(files.key)
    with pytest.raises(UnusableFile, match="with this passphrase"):
        load_key(files.key, b"wrong")
    assert load_key(files.key, b"open sesame")


def test_a_passphrase_that_is_not_needed_is_told(files):
    with pytest.raises(UnusableFile, match="Leave the passphrase out"):
        load_key(files.key, b"open sesame")


def test_a_key_that_tls_cannot_use_is_told(files):
    key = x25519.X25519PrivateKey.generate()
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(UnusableFile, match="does not use"):
        load_key(files.key)


def test_a_key_of_another_certificate_is_a_failure(files):
    files.key.write_bytes(issue_authority("other", NOW).key_pem)
    [finding] = failures(check_identity(files.certificate, files.key, "localhost", NOW))
    assert finding.subject == "key"


def test_a_chain_in_order_is_good_and_in_any_other_order_a_failure(tmp_path):
    authority = issue_authority("test", NOW)
    leaf = issue_leaf(authority, "localhost", NOW)
    certificate, key = tmp_path / "host.pem", tmp_path / "host.key"
    write_private(key, leaf.key_pem)
    certificate.write_bytes(leaf.certificate_pem + authority.certificate_pem)
    assert failures(check_identity(certificate, key, "localhost", NOW)) == []
    certificate.write_bytes(authority.certificate_pem + leaf.certificate_pem)
    [finding] = failures(check_identity(certificate, key, "localhost", NOW))
    assert "wrong order" in finding.fact


@pytest.mark.parametrize("what", ["curve", "kind of key", "signature", "version", "X.400 name"])
def test_a_certificate_with_something_that_nobody_knows_is_a_failure_with_its_mend(files, what):
    if what == "X.400 name":
        odd, key = self_signed(extensions=[X400_NAME])
        files.certificate.write_bytes(odd.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(Issued(odd, key).key_pem)
    else:
        [certificate] = load_chain(files.certificate)
        files.certificate.write_bytes(armoured(odd_certificates(certificate)[what]))
    [finding] = failures(check_identity(files.certificate, files.key, "hr.example.org", NOW))
    words = {"curve": "kind of key", "kind of key": "kind of key", "signature": "algorithm", "version": "version"}
    assert words.get(what, "x400Address") in finding.fact
    assert "issued" in finding.mend or "ECDSA P-256" in finding.mend


def test_an_issuer_whose_key_nobody_knows_may_still_be_shown(files):
    [certificate] = load_chain(files.certificate)
    files.certificate.write_bytes(armoured(odd_certificates(certificate)["kind of key"]))
    assert describe(load_chain(files.certificate)[0], NOW)["key"] == "of a kind that TLS does not use"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_a_key_that_everybody_may_use_is_refused_with_the_mend(files, mode):
    files.key.chmod(mode)
    [refused] = failures(check_identity(files.certificate, files.key, "hr.example.org", NOW))
    assert (refused.fact, f"chmod 600 {files.key}" in refused.mend) == (
        f"Everybody on this machine may use {files.key}.",
        True,
    )


def test_a_key_that_a_group_may_read_is_good(files):
    files.key.chmod(0o640)
    assert failures(check_identity(files.certificate, files.key, "hr.example.org", NOW)) == []

"""What the private authority issues is accepted by strict verifiers, and its keys are kept private."""

import stat
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from connector_host.errors import ConfigurationError, failures
from connector_host.tls.identity import subject_names, verify_identity
from connector_host.tls.issuing import LEAF_DAYS, LOOPBACK_NAMES, issue_authority, issue_files, issue_leaf
from tests.tls.certificates import NOW


def test_browsers_profile_accepts_authority_and_leaf():
    authority = issue_authority("test", NOW)
    leaf = issue_leaf(authority, "hr.example.org", NOW, also=LOOPBACK_NAMES)
    policy = PolicyBuilder().store(Store([authority.certificate])).time(NOW)
    for name in ("hr.example.org", "localhost"):
        assert policy.build_server_verifier(x509.DNSName(name)).verify(leaf.certificate, [])


@pytest.mark.parametrize("host", ["hr.example.org", "localhost", "127.0.0.1", "::1"])
def test_it_is_for_the_host_and_for_loopback(host):
    leaf = issue_leaf(issue_authority("test", NOW), "hr.example.org", NOW, also=LOOPBACK_NAMES)
    assert failures(verify_identity(leaf.certificate, leaf.key, host, NOW)) == []


def test_a_name_that_is_given_twice_is_issued_once():
    leaf = issue_leaf(issue_authority("test", NOW), "localhost", NOW, also=("LOCALHOST", "127.0.0.1"))
    assert subject_names(leaf.certificate) == ["localhost", "127.0.0.1"]


def test_an_international_name_is_issued_in_its_ascii_form():
    assert subject_names(issue_leaf(issue_authority("test", NOW), "bücher.example", NOW).certificate) == [
        "xn--bcher-kva.example"
    ]


def test_a_leaf_never_outlives_its_authority():
    authority = issue_authority("test", NOW, days=30)
    leaf = issue_leaf(authority, "localhost", NOW + timedelta(days=10), days=LEAF_DAYS)
    assert leaf.certificate.not_valid_after_utc <= authority.certificate.not_valid_after_utc


def test_a_name_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="neither a host name nor an IP address"):
        issue_leaf(issue_authority("test", NOW), "two words", NOW)


def test_keys_are_readable_by_the_owner_only(tmp_path):
    files = issue_files(tmp_path / "tls", "hr.example.org", NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").iterdir()}
    assert modes == {"authority.pem": 0o644, "authority-key.pem": 0o600, "certificate.pem": 0o644, "key.pem": 0o600}
    assert b"PRIVATE KEY" not in files.certificate.read_bytes() + files.authority.read_bytes()


@pytest.mark.parametrize("name", ["authority.pem", "authority-key.pem", "certificate.pem", "key.pem"])
def test_what_the_folder_holds_is_not_overwritten_unasked_and_kept_by_force(tmp_path, name):
    (tmp_path / name).write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError, match=f"{name} exists"):
        issue_files(tmp_path, "localhost", NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"somebody else's"}
    (tmp_path / name).chmod(0o600)
    (tmp_path / f"{name}.old").hardlink_to(tmp_path / name)  # as a run leaves them that was killed
    files = issue_files(tmp_path, "localhost", NOW, replace=True)
    made = {path.name for path in (files.authority, files.authority_key, files.certificate, files.key)}
    assert {path.name for path in tmp_path.iterdir()} == {*made, f"{name}.old"}
    assert (tmp_path / f"{name}.old").read_bytes() == b"somebody else's"
    assert stat.S_IMODE((tmp_path / f"{name}.old").stat().st_mode) == 0o600
    assert (tmp_path / name).read_bytes() != b"somebody else's"


def test_a_key_does_not_show_in_a_text():
    issued = issue_authority("test", NOW)
    assert "key" not in repr(issued).lower().replace("keyusage", "")

"""A sealed secret opens with its own key, for its own purpose, on its own machine, and nowhere else."""

import base64
import os

import pytest

from connector_host.vault import keys
from connector_host.vault.errors import SecretUnusable
from connector_host.vault.keys import KEY_NAME, find_key, has_key, make_key
from connector_host.vault.sealing import seal, unseal


@pytest.fixture
def key(tmp_path):
    return make_key(tmp_path / "here")


@pytest.fixture
def sealed(tmp_path, key):
    file = tmp_path / "HR.password"
    file.write_bytes(seal("p@ss wörd", "connectors.HR.password", key))
    return file


def test_it_is_read_back(sealed, key):
    assert unseal(sealed, "connectors.HR.password", find_key(key.source.parent, {})) == "p@ss wörd"


def test_it_does_not_show(sealed, key):
    assert b"p@ss" not in sealed.read_bytes()
    assert base64.b64encode(key.material).decode() not in repr(key)
    assert seal("same", "x", key) != seal("same", "x", key)


def test_the_key_is_for_its_owner_only(key):
    assert key.source.stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_may_read_is_refused_with_the_mend(key):
    key.source.chmod(0o640)
    with pytest.raises(SecretUnusable, match="chmod 600"):
        find_key(key.source.parent, {})


def test_the_service_managers_key_comes_first(tmp_path, key):
    held = tmp_path / "credentials"
    held.mkdir()
    (held / KEY_NAME).write_bytes(key.source.read_bytes())
    (held / KEY_NAME).chmod(0o440)
    make_key(tmp_path / "there")
    assert find_key(tmp_path / "there", {"CREDENTIALS_DIRECTORY": str(held)}).id == key.id


def test_without_any_key_there_is_none(tmp_path):
    assert find_key(tmp_path, {}) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not look")
def test_a_folder_of_systemd_that_may_not_be_looked_into_holds_none(tmp_path, monkeypatch):
    (tmp_path / "store").mkdir(mode=0o700)
    monkeypatch.setattr(keys, "CREDENTIAL", tmp_path / "store" / KEY_NAME)
    os.seteuid(12_345)
    try:
        assert (find_key(tmp_path, {}), has_key(tmp_path)) == (None, False)
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("content", [b"", b"hello", base64.b64encode(b"short")])
def test_what_is_no_key_is_told(tmp_path, content):
    (tmp_path / KEY_NAME).write_bytes(content)
    (tmp_path / KEY_NAME).chmod(0o600)
    with pytest.raises(SecretUnusable, match="is no key"):
        find_key(tmp_path, {})


def test_from_another_machine_it_is_refused_with_the_mend(tmp_path, sealed):
    for other in (make_key(tmp_path / "there"), None):
        with pytest.raises(SecretUnusable, match=r"machine.*secret set"):
            unseal(sealed, "connectors.HR.password", other)


def test_for_another_connector_it_is_refused(sealed, key):
    with pytest.raises(SecretUnusable, match="belongs to another connector"):
        unseal(sealed, "connectors.CRM.password", key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-8] + "AAAA\n", "was altered"),
        (lambda text: text.replace("version 1", "version 2"), "this version reads"),
        (lambda _: "", "is no sealed secret"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n!!!\n", "was altered"),
    ],
)
def test_what_was_altered_is_refused(sealed, key, change, words):
    sealed.write_text(change(sealed.read_text()))
    with pytest.raises(SecretUnusable, match=words):
        unseal(sealed, "connectors.HR.password", key)


def test_a_file_that_is_gone_is_told(tmp_path, key):
    with pytest.raises(SecretUnusable, match=r"there is no sealed secret\. Set the password anew"):
        unseal(tmp_path / "none", "connectors.HR.password", key)


def test_one_that_cannot_be_read_says_who_should_be_let(tmp_path, key):
    with pytest.raises(SecretUnusable, match=r"cannot be read .* Let the account"):
        unseal(tmp_path, "connectors.HR.password", key)


def test_a_key_of_the_service_manager_that_may_not_be_read_is_told_and_none_other_is_taken(tmp_path):
    held = tmp_path / "held"
    held.write_text("a file where systemd has a folder")
    make_key(tmp_path)
    assert find_key(tmp_path, {"CREDENTIALS_DIRECTORY": str(held)}) is not None
    held.unlink()
    (held / KEY_NAME).mkdir(parents=True)
    with pytest.raises(SecretUnusable, match=r"the key cannot be read .* Let the account"):
        find_key(tmp_path, {"CREDENTIALS_DIRECTORY": str(held)})

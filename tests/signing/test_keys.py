"""Keys for signed requests: made once, for their owner only, and each mistake with them is said."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from connector_host.errors import ConfigurationError
from connector_host.signing.keys import id_of, load_key, load_public_key, make_key


def test_both_files_have_the_same_id(tmp_path):
    made = make_key(tmp_path / "engine.key")
    assert load_key(tmp_path / "engine.key").id == made.id == id_of(load_public_key(made.public_file))


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_the_private_key_is_for_its_owner_only(tmp_path):
    make_key(tmp_path / "engine.key")
    assert stat.S_IMODE((tmp_path / "engine.key").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_a_private_key_that_others_may_read_is_refused(tmp_path):
    make_key(tmp_path / "engine.key")
    (tmp_path / "engine.key").chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_key(tmp_path / "engine.key")


def test_no_key_takes_the_place_of_another(tmp_path):
    made = make_key(tmp_path / "engine.key")
    with pytest.raises(ConfigurationError, match="is there already"):
        make_key(tmp_path / "engine.key")
    assert load_key(tmp_path / "engine.key").id == made.id


def test_a_key_does_not_show_itself(tmp_path):
    make_key(tmp_path / "engine.key")
    assert "private" not in repr(load_key(tmp_path / "engine.key"))


def test_the_wrong_file_of_the_two_is_said(tmp_path):
    make_key(tmp_path / "engine.key")
    with pytest.raises(ConfigurationError, match="no private key"):
        load_key(tmp_path / "engine.key.pub")
    with pytest.raises(ConfigurationError, match="the private one stays with the signer"):
        load_public_key(tmp_path / "engine.key")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_public_key(tmp_path / "none")


def test_a_key_of_another_kind_is_refused(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "ec.key", tmp_path / "ec.pub"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigurationError, match="no Ed25519 key"):
        load_key(private)
    with pytest.raises(ConfigurationError, match="no Ed25519 key"):
        load_public_key(public)


@pytest.mark.parametrize(("module", "command"), [("connector_host", ("signing", "new")), ("agent", ("sign", "new"))])
def test_either_program_makes_keys(tmp_path, module, command):
    file = tmp_path / "made.key"
    done = subprocess.run([sys.executable, "-m", module, *command, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"Key id: {load_key(file).id}" in done.stdout
    again = subprocess.run([sys.executable, "-m", module, *command, file], capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert "is there already" in again.stderr

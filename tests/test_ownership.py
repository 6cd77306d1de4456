"""What an administrator makes as root in the folder of the service belongs to the service, which must read it."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from connector_host.errors import ConfigurationError
from connector_host.ownership import make_folder, may_write
from connector_host.provisioning.state.store import State
from connector_host.runs.state import ImportState
from connector_host.tls.issuing import make_room, write_private, write_public
from tests.folders import Folder

SERVICE = 12_345

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def folder(tmp_path):
    """Return a folder of the service, with a configuration in it."""
    made = Folder(tmp_path)
    assert made.init("--table", "Employees", "--token-file", "token").returncode == 0
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, SERVICE, SERVICE)
    return made


def owners(folder):
    return {str(path.relative_to(folder)): path.stat().st_uid for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("owner", "group", "mode", "may"),
    [
        (65_534, 0, 0o600, True),
        (65_534, 0, 0o466, False),
        (0, 65_534, 0o660, True),
        (0, 0, 0o666, True),
        (0, 0, 0o660, False),
        (0, 65_534, 0o606, False),
    ],
)
def test_what_another_account_may_write_is_told_by_owner_group_and_mode(tmp_path, owner, group, mode, may):
    file = tmp_path / "hr.sqlite"
    file.touch()
    os.chown(file, owner, group)
    file.chmod(mode)
    assert may_write("nobody", file) is may


@pytest.mark.parametrize("write", [write_private, write_public])
def test_a_new_file_belongs_to_the_owner_of_its_folder(tmp_path, write):
    os.chown(tmp_path, SERVICE, SERVICE)
    write(tmp_path / "file", b"x")
    assert (tmp_path / "file").stat().st_uid == SERVICE


def test_a_file_that_is_replaced_keeps_its_owner(tmp_path):
    (tmp_path / "file").write_text("old")
    os.chown(tmp_path / "file", SERVICE, SERVICE)
    write_private(tmp_path / "file", b"new")
    facts = (tmp_path / "file").stat()
    assert (facts.st_uid, facts.st_mode & 0o777) == (SERVICE, 0o600)


def test_a_link_does_not_give_away_what_it_points_to(tmp_path):
    (tmp_path / "precious").write_text("root's own")
    (tmp_path / "file").symlink_to(tmp_path / "precious")
    os.chown(tmp_path, SERVICE, SERVICE)
    write_private(tmp_path / "file", b"new")
    assert ((tmp_path / "precious").stat().st_uid, (tmp_path / "precious").read_text()) == (0, "root's own")


@pytest.fixture
def link_into_roots_folder(tmp_path):
    """Return a link in a folder of the service, which leads into one of root's."""
    (tmp_path / "roots").mkdir()
    (tmp_path / "services").mkdir()
    link = tmp_path / "services" / "link"
    link.symlink_to(tmp_path / "roots")
    os.chown(tmp_path / "services", SERVICE, SERVICE)
    os.chown(link, SERVICE, SERVICE, follow_symlinks=False)
    return link


def test_a_folder_that_is_made_behind_a_link_belongs_to_whom_the_folder_there_belongs(link_into_roots_folder):
    make_folder(link_into_roots_folder / "sshd.service.d")
    assert (link_into_roots_folder / "sshd.service.d").stat().st_uid == 0


def test_a_file_that_is_made_behind_a_link_belongs_to_whom_the_folder_there_belongs(link_into_roots_folder):
    write_public(link_into_roots_folder / "ld.so.preload", b"x")
    assert (link_into_roots_folder / "ld.so.preload").stat().st_uid == 0


@pytest.mark.parametrize("lay", [Path.symlink_to, Path.hardlink_to], ids=["symbolic", "hard"])
def test_a_link_in_the_place_of_the_state_gives_no_file_of_roots_away(tmp_path, lay):
    (tmp_path / "shadow").write_bytes(b"")
    (tmp_path / "state").mkdir()
    lay(tmp_path / "state" / "imports.sqlite", tmp_path / "shadow")
    os.chown(tmp_path / "state", SERVICE, SERVICE)
    with suppress(ConfigurationError), ImportState(tmp_path / "state" / "imports.sqlite"):
        pass
    assert (tmp_path / "shadow").stat().st_uid == 0


def test_folders_that_are_missing_belong_to_the_owner_of_the_first_that_is_there(tmp_path):
    os.chown(tmp_path, SERVICE, SERVICE)
    make_folder(tmp_path / "a" / "b")
    assert owners(tmp_path) == {"a": SERVICE, "a/b": SERVICE}


@pytest.mark.parametrize(
    "command",
    [
        ("token", "new"),
        ("token", "revoke", "entra"),
        ("check",),
        ("check", "--accept-types"),
        ("cert", "renew"),
        ("cert", "issue", "--host", "localhost", "--out", "tls", "--force"),
        ("cert", "request", "--host", "localhost", "--out", "other"),
        ("import", "--output", "/dev/null"),
    ],
    ids=" ".join,
)
def test_a_command_that_root_types_leaves_nothing_that_the_service_cannot_read(folder, command):
    folder.run("token", "new", "--name", "entra")
    done = folder.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(owners(folder.path).values()) == {SERVICE}


def test_what_is_kept_of_a_link_hands_over_no_file_of_roots(tmp_path):
    (tmp_path / "shadow").write_bytes(b"root's")
    (tmp_path / "shadow").chmod(0o600)
    (tmp_path / "tls").mkdir()
    os.chown(tmp_path / "tls", SERVICE, SERVICE)
    (tmp_path / "tls" / "key.pem").symlink_to(tmp_path / "shadow")
    make_room([tmp_path / "tls" / "key.pem"], replace=True)
    kept = tmp_path / "tls" / "key.pem.old"
    assert (kept.is_symlink(), kept.stat().st_uid, kept.read_bytes()) == (True, 0, b"root's")


def test_the_state_of_the_engine_belongs_to_the_owner_of_its_folder(tmp_path):
    os.chown(tmp_path, SERVICE, SERVICE)
    State(f"sqlite:///{tmp_path / 'provisioning.sqlite3'}").close()
    assert set(owners(tmp_path).values()) == {SERVICE}


def test_a_token_that_root_asks_for_stays_with_root(folder):
    folder.run("token", "new", "--token-file", "second")
    assert Path(folder.path / "second").stat().st_uid == 0


def test_root_does_not_serve_in_the_folder_of_the_service(folder):
    before = owners(folder.path)
    done = folder.run_apart("serve")
    assert (done.returncode, "sudo -u" in done.stderr) == (78, True)
    assert owners(folder.path) == before

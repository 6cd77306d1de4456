"""Tokens are added, listed and revoked while the host runs; passwords are sealed."""

import json
import os

import pytest

from connector_host.access.tokens import hash_token
from connector_host.settings import load
from connector_host.setup.secrets import opened


def test_a_token_is_replaced_while_the_host_runs(configured):
    old = configured.read("token").strip()
    with configured.serve() as host:
        new = configured.run("token", "new", "--name", "entra").stdout.strip()
        assert [host.ask("GET", "/Users", token=token)[0] for token in (old, new)] == [200, 200]
        assert configured.run("token", "revoke", hash_token(old)[7:15]).returncode == 0
        assert [host.ask("GET", "/Users", token=token)[0] for token in (old, new)] == [401, 200]


def test_tokens_are_listed_by_id_name_and_expiry(configured):
    configured.run("token", "new", "--name", "okta", "--expires", "2999-01-01")
    configured.write("Employees.tokens", configured.read("Employees.tokens").replace("2999-01-01", "2020-01-01"))
    listed = json.loads(configured.run("token", "list", "--json").stdout)
    assert [(one["name"], one["expires"], one["state"]) for one in listed] == [
        ("", "", "valid"),
        ("okta", "2020-01-01", "EXPIRED"),
    ]
    assert listed[0]["id"] == hash_token(configured.read("token").strip())[7:15]
    assert "EXPIRED" in configured.run("token", "list").stdout


def test_a_token_of_ones_own_must_be_good_and_is_not_repeated(configured):
    done = configured.run("token", "new", "--from-stdin", text="correct-horse-battery\n")
    assert (done.returncode, "correct-horse" in done.stdout) == (0, False)
    assert hash_token("correct-horse-battery") in configured.read("Employees.tokens")
    assert configured.run("token", "new", "--from-stdin", text="short\n").returncode == 1


def test_comments_in_the_file_survive(configured):
    configured.write("Employees.tokens", "# for Entra\n" + configured.read("Employees.tokens"))
    configured.run("token", "new", "--name", "second")
    configured.run("token", "revoke", "second")
    assert configured.read("Employees.tokens").startswith("# for Entra\n")


@pytest.mark.parametrize("wrong", ["nobody", ""])
def test_a_token_that_is_not_there_cannot_be_revoked(configured, wrong):
    before = configured.read("Employees.tokens")
    configured.run("token", "new")
    done = configured.run("token", "revoke", wrong)
    assert (done.returncode, "there are:" in done.stderr) == (1, True)
    assert configured.read("Employees.tokens").startswith(before)


def test_a_name_of_several_words_is_refused(configured):
    assert configured.run("token", "new", "--name", "expires=2999-01-01 x").returncode == 1


def test_a_password_is_sealed_and_opened_by_the_host(configured):
    text = configured.read("connector-host.toml").replace("anchor =", 'password_sealed_file = "HR.sealed"\nanchor =')
    configured.write("connector-host.toml", text)
    done = configured.run("secret", "set", "--from-stdin", text="p@ss\n")
    assert done.returncode == 0, done.stderr
    settings = load(configured.path / "connector-host.toml", {}).connectors["Employees"]
    assert opened("Employees", settings).password.get_secret_value() == "p@ss"
    assert "p@ss" not in configured.read("HR.sealed")
    shown = configured.run("config", "show").stdout
    assert "p@ss" not in shown


def test_a_password_sealed_elsewhere_is_told_by_check_with_the_mend(configured):
    text = configured.read("connector-host.toml").replace("anchor =", 'password_sealed_file = "HR.sealed"\nanchor =')
    configured.write("connector-host.toml", text)
    configured.run("secret", "set", "--from-stdin", text="p@ss\n")
    (configured.path / "connector-host.key").unlink()
    done = configured.run("check")
    assert (done.returncode, "not on this machine" in done.stdout, "secret set" in done.stdout) == (1, True, True)


def test_an_empty_password_changes_nothing(configured):
    text = configured.read("connector-host.toml").replace("anchor =", 'password_sealed_file = "HR.sealed"\nanchor =')
    configured.write("connector-host.toml", text)
    assert configured.run("secret", "set", "--from-stdin", text="\n").returncode == 1
    assert not (configured.path / "HR.sealed").exists()


def test_a_token_that_would_never_be_valid_is_not_made(configured):
    before = configured.read("Employees.tokens")
    done = configured.run("token", "new", "--expires", "2020-01-01")
    assert (done.returncode, "Give a later day" in done.stderr, configured.read("Employees.tokens")) == (
        1,
        True,
        before,
    )


def contents(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "file",
    ["contoso.sqlite", "connector-host.toml", "Employees.tokens", "tls/key.pem", "connector-host.key", "notes", "fifo"],
)
def test_a_token_file_replaces_nothing_but_a_token(configured, file):
    configured.write("notes", "correct-horse-battery\nand more\n")
    os.mkfifo(configured.path / "fifo")
    before = contents(configured)
    done = configured.run("token", "new", "--token-file", file)
    assert (done.returncode, f"--token-file: {file} " in done.stderr, "holds a token" in done.stderr) == (1, True, True)
    assert contents(configured) == before
    assert (configured.path / "fifo").is_fifo()


def test_a_token_file_is_replaced_by_the_next_token(configured):
    configured.write("empty", "")
    assert configured.run("token", "new", "--token-file", "token").returncode == 0
    assert configured.run("token", "new", "--token-file", "empty").returncode == 0
    kept = configured.read("Employees.tokens")
    assert [hash_token(configured.read(file).strip()) in kept for file in ("token", "empty")] == [True, True]

"""A token admits whoever holds it, is never kept, and can be replaced while the service runs."""

from __future__ import annotations

import os
import re

import pytest
from structlog.testing import capture_logs

from connector_host.access.tokens import TokenGate, accept_token, hash_token, make_token
from connector_host.errors import ConfigurationError


def test_a_new_token_is_admitted_by_its_hash_alone():
    token = make_token()
    assert token not in hash_token(token)
    assert TokenGate((hash_token(token),)).admits(f"Bearer {token}")


def test_two_tokens_are_never_the_same_and_each_has_256_bits():
    tokens = {make_token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch("[0-9a-f]{64}", token) for token in tokens)


def test_two_tokens_are_valid_while_one_replaces_the_other():
    gate = TokenGate((hash_token("old"), hash_token("new")))
    assert gate.admits("Bearer old")
    assert gate.admits("bearer new")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic right", "right", "Bearer right right", "Bearer rightx"]
)
def test_anything_else_is_not_admitted(header):
    assert not TokenGate((hash_token("right"),)).admits(header)


def test_a_gate_without_tokens_admits_nobody():
    assert not TokenGate().admits("Bearer ")
    assert not TokenGate().admits("Bearer anything")


def test_a_token_of_any_bytes_is_refused_and_not_stumbled_over():
    assert not TokenGate((hash_token("right"),)).admits("Bearer \udcff\udcfe")
    assert not TokenGate((hash_token("right"),)).admits("Bearer " + "x" * 100_000)


def test_the_file_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"# the directory\n{hash_token('one')}\n\n")
    gate = TokenGate(file=file)
    assert gate.admits("Bearer one")
    file.write_text(f"{hash_token('two')}  # since Monday\n")
    assert gate.admits("Bearer two")
    assert not gate.admits("Bearer one")


def test_a_replaced_file_of_the_same_size_and_time_is_noticed(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(hash_token("one"))
    gate = TokenGate(file=file)
    assert gate.admits("Bearer one")
    other = tmp_path / "new"
    other.write_text(hash_token("two"))
    facts = file.stat()
    os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    other.replace(file)
    assert gate.admits("Bearer two")


def test_a_file_that_is_gone_admits_nobody_until_it_is_back(tmp_path):
    file = tmp_path / "tokens"
    gate = TokenGate(file=file)
    assert not gate.admits("Bearer one")
    file.write_text(hash_token("one"))
    assert gate.admits("Bearer one")
    file.unlink()
    assert not gate.admits("Bearer one")


def test_a_line_that_is_no_hash_is_named_and_not_repeated(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"{hash_token('one')}\na-token-in-the-clear\n")
    with pytest.raises(ConfigurationError, match="line 2") as refused:
        TokenGate(file=file).known()
    assert "clear" not in str(refused.value)


def test_a_line_that_is_no_hash_is_logged_once_and_shuts_nobody_out(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"{hash_token('one')}\na-token-in-the-clear\n")
    gate = TokenGate(file=file)
    with capture_logs() as lines:
        assert [gate.admits(f"Bearer {token}") for token in ("one", "one", "a-token-in-the-clear")] == [
            True,
            True,
            False,
        ]
    [line] = lines
    assert (line["event"], "line 2" in line["reason"]) == ("tokens.unreadable", True)


def test_a_file_that_this_account_cannot_read_admits_nobody_and_is_logged(tmp_path):
    gate = TokenGate(file=tmp_path)  # a folder, which even root cannot read as a file
    with capture_logs() as lines:
        assert not gate.admits("Bearer one")
    assert [line["event"] for line in lines] == ["tokens.unreadable"]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        gate.count()


@pytest.mark.parametrize(
    ("expires", "admitted"),
    [("2999-01-01", True), ("2020-01-01", False), ("2999-01-01T00:00:00+02:00", True), ("2020-01-01T00:00", False)],
)
def test_a_token_is_valid_until_it_expires(tmp_path, expires, admitted):
    file = tmp_path / "tokens"
    file.write_text(f"{hash_token('one')}  name=entra made=2019-12-01 expires={expires}  # by Ada\n")
    gate = TokenGate(file=file)
    assert (gate.admits("Bearer one"), gate.count()) == (admitted, int(admitted))
    assert (gate.known()[0].name, gate.known()[0].made) == ("entra", "2019-12-01")


def test_an_expiry_that_cannot_be_read_does_not_make_a_token_live_for_ever(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"{hash_token('one')} expires=soon\n")
    gate = TokenGate(file=file)
    assert not gate.admits("Bearer one")
    with pytest.raises(ConfigurationError, match="line 1: expires=soon is no date"):
        gate.count()


@pytest.mark.parametrize(
    "token", ["short", "twelve chars!", "aaaaaaaaaaaaaaaa", "abcababababababc", "x" * 11, "ümlaut-ümlaut"]
)
def test_a_token_that_is_thought_up_must_be_good(token):
    with pytest.raises(ConfigurationError):
        accept_token(token, "https://hr.example.org:8585/ecma2host_HR/scim")


def test_url_and_token_fit_into_a_directorys_fields():
    token = "abcdefghijkl" * 40
    assert accept_token(token, "https://h/x") == token
    with pytest.raises(ConfigurationError, match="below 512 bytes"):
        accept_token(token, "https://" + "h" * 40)

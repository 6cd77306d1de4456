"""Who gives wrong tokens has to wait; others behind the same proxy do not; a network may be the only one let in."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from connector_host import clock
from connector_host.access.callers import Caller, calling, current_caller
from connector_host.access.door import Door, Source, TurnedAway, networks
from connector_host.access.lockout import LockOut
from connector_host.access.tokens import TokenGate, hash_token

GATE = TokenGate((hash_token("right"),))
HERE, THERE, PROXY = Source("192.0.2.1"), Source("192.0.2.2"), Source("127.0.0.1", shared=True)

WRITTEN = datetime(2026, 11, 29, 12, tzinfo=UTC)
"""When a file was written: the clock of these tests stands still, so that no slow machine is later than it seems."""


def write(file, text, written=WRITTEN):
    file.write_text(text, errors="surrogateescape")
    os.utime(file, (written.timestamp(), written.timestamp()))


@pytest.fixture
def pass_s(monkeypatch):
    """Set the clock to so many seconds after the file was written; it begins with none."""

    def set_to(seconds):
        monkeypatch.setattr(clock, "now", lambda: WRITTEN + timedelta(seconds=seconds))

    set_to(0)
    return set_to


def let_in(door, source=HERE, token="right"):  # noqa: S107 - a throw-away token
    return door.let_in(source, f"Bearer {token}" if token else "", GATE)


def test_a_valid_token_is_known_by_its_first_digits():
    assert let_in(Door()) == Caller(hash_token("right")[7:15], "192.0.2.1")


def test_a_guesser_has_to_wait_and_nobody_else():
    door = Door(lock_out=LockOut(failures=3, period_s=60))
    assert [let_in(door, token="wrong").status for _ in range(5)] == [401, 401, 401, 429, 429]
    locked = let_in(door)
    assert isinstance(locked, TurnedAway)
    assert 55 <= locked.retry_after_s <= 60
    assert isinstance(let_in(door, THERE), Caller)


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("2001:db8::1", "2001:0DB8::1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("unknown", "hidden", False),
    ],
)
def test_a_guesser_does_not_come_back_from_another_address_of_its_own_network(one, another, same):
    door = Door(lock_out=LockOut(failures=1, period_s=60))
    let_in(door, Source(one), "wrong")
    assert isinstance(let_in(door, Source(another)), TurnedAway) is same


def test_behind_a_shared_address_a_valid_token_still_comes_in():
    door = Door(lock_out=LockOut(failures=2, period_s=60))
    assert [let_in(door, PROXY, "wrong").status for _ in range(3)] == [401, 401, 429]
    assert isinstance(let_in(door, PROXY), Caller)


def test_a_request_without_any_token_is_no_guess():
    door = Door(lock_out=LockOut(failures=1, period_s=60))
    assert [let_in(door, token="").status for _ in range(3)] == [401, 401, 401]


def test_nobody_is_locked_out_where_that_is_switched_off():
    door = Door(lock_out=LockOut(failures=0))
    assert {let_in(door, token="wrong").status for _ in range(50)} == {401}


@pytest.mark.parametrize(
    ("allowed", "address", "status"),
    [
        ((), "203.0.113.9", None),
        (("192.0.2.0/24",), "192.0.2.7", None),
        (("192.0.2.0/24",), "::ffff:192.0.2.7", None),
        (("192.0.2.0/24",), "203.0.113.9", 403),
        (("192.0.2.0/24",), "", 403),
        (("fe80::/10",), "fe80::1%eth0", None),
        (("2001:db8::1",), "2001:db8::2", 403),
    ],
)
def test_only_allowed_networks_may_call(allowed, address, status):
    verdict = let_in(Door(networks(allowed)), Source(address))
    assert (verdict.status if isinstance(verdict, TurnedAway) else None) == status


def test_a_locked_out_source_is_forgotten_after_the_period():
    lock_out = LockOut(failures=2, period_s=60)
    assert [lock_out.count_failure("a", 0), lock_out.count_failure("a", 10)] == [False, True]
    assert lock_out.wait_s("a", 11) == 59
    assert lock_out.wait_s("a", 70) == 0
    assert lock_out.count_failure("a", 71) is False


def test_failures_that_are_far_apart_lock_nobody_out():
    lock_out = LockOut(failures=2, period_s=60)
    assert [lock_out.count_failure("a", moment) for moment in (0, 61, 122)] == [False] * 3


def test_memory_is_bounded_whatever_comes():
    lock_out = LockOut()
    for number in range(12_000):
        lock_out.count_failure(str(number), 0)
    assert len(lock_out._records) == 10_000


def test_the_caller_is_known_inside_the_request_only():
    with calling(Caller("0123abcd", "192.0.2.1")):
        assert current_caller().token == "0123abcd"
    assert current_caller() == Caller()


def test_no_token_is_valid_at_a_decoy_and_trying_counts_as_a_guess():
    door = Door(lock_out=LockOut(failures=2, period_s=60))
    answers = [door.let_in(HERE, "Bearer right", GATE, decoy=True).status for _ in range(3)]
    assert answers == [401, 401, 429]


@pytest.mark.parametrize("content", [None, f"{hash_token('one')[:40]}\n"], ids=["unreadable", "half written"])
@pytest.mark.usefixtures("pass_s")
def test_while_tokens_cannot_be_read_none_is_called_wrong_and_for_a_moment_none_is_counted(tmp_path, content):
    door = Door(lock_out=LockOut(failures=3, period_s=60))
    blind = TokenGate(file=_bad(tmp_path / "tokens", content, WRITTEN))
    answers = [door.let_in(HERE, "Bearer one", blind) for _ in range(5)]
    assert {(answer.status, answer.retry_after_s > 0) for answer in answers} == {(503, True)}
    assert door.let_in(HERE, "", blind).status == 401
    # Of other connectors, and of such as do not exist, the same is said: which one there is, is not told.
    assert door.let_in(HERE, "Bearer wrong", GATE, others=[GATE, blind]).status == 503
    assert door.let_in(HERE, "Bearer right", GATE, decoy=True, others=[GATE, blind]).status == 503
    assert door.let_in(HERE, "Bearer right", GATE, others=[GATE, blind]) == Caller(
        hash_token("right")[7:15], "192.0.2.1"
    )


def _bad(file, content, written):
    """Return a file of which nothing makes sense; without a content, one that even root cannot read as a file."""
    if content is None:
        file.mkdir()
        os.utime(file, (written.timestamp(), written.timestamp()))
    else:
        write(file, content, written)
    return file


@pytest.mark.parametrize("passed_s", [6, -3_600], ids=["long ago", "by a clock that is ahead"])
@pytest.mark.parametrize("content", [None, "a-token-in-the-clear\n", "\udcff"], ids=["unreadable", "no hash", "binary"])
def test_a_file_that_stays_bad_lets_nobody_guess(tmp_path, content, passed_s, pass_s):
    pass_s(passed_s)
    blind = TokenGate(file=_bad(tmp_path / "tokens", content, WRITTEN))
    for gate, decoy in ((blind, False), (GATE, False), (GATE, True)):
        door = Door(lock_out=LockOut(failures=3, period_s=60))
        answers = [door.let_in(HERE, "Bearer wrong", gate, decoy=decoy, others=[GATE, blind]) for _ in range(4)]
        assert [answer.status for answer in answers] == [503, 503, 503, 429]


@pytest.mark.usefixtures("pass_s")
@pytest.mark.parametrize("decoy", [False, True])
def test_a_file_that_is_being_written_lets_nobody_guess_at_another_connector(tmp_path, decoy):
    file = _bad(tmp_path / "tokens", "sha256:", WRITTEN)
    door, blind = Door(lock_out=LockOut(failures=2, period_s=60)), TokenGate(file=file)
    gate = blind if decoy else GATE
    answers = [door.let_in(HERE, "Bearer wrong", gate, decoy=decoy, others=[GATE, blind]) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 429]


@pytest.fixture
def being_written(tmp_path, pass_s):
    """Return a file of two tokens, and its gate, which has read it."""
    pass_s(0)
    file = tmp_path / "tokens"
    write(file, f"{hash_token('one')}\n{hash_token('two')}\n")
    gate = TokenGate(file=file)
    assert gate.admits("Bearer two")
    return file, gate


@pytest.mark.parametrize(
    ("content", "in_the_end"),
    [
        ("", 401),
        (f"{hash_token('one')}\n", 401),
        (f"{hash_token('one')}\n{hash_token('two')[:30]}", 401),
        (f"{hash_token('one')}\n# \udcc3", 503),
    ],
    ids=["empty", "a line short", "a line cut", "a letter cut"],
)
def test_a_token_that_is_missing_while_its_file_is_written_is_neither_wrong_nor_valid(
    being_written, content, in_the_end, pass_s
):
    file, gate = being_written
    door = Door(lock_out=LockOut(failures=2, period_s=60))
    for text in ("", content):  # as whoever writes it truncates it first
        write(file, text)
        assert {door.let_in(HERE, "Bearer two", gate).status for _ in range(5)} == {503}
    pass_s(6)
    assert [door.let_in(HERE, "Bearer two", gate).status for _ in range(3)] == [in_the_end, in_the_end, 429]


def test_another_token_is_wrong_and_counted_while_the_file_is_written(being_written):
    file, gate = being_written
    write(file, "")
    door = Door(lock_out=LockOut(failures=2, period_s=60))
    assert [door.let_in(HERE, "Bearer three", gate).status for _ in range(3)] == [401, 401, 429]


def test_a_missing_token_is_wrong_in_the_end_however_often_its_file_is_written(being_written, pass_s):
    file, gate = being_written
    statuses = []
    for passed_s in (0, 4, 8):
        pass_s(passed_s)
        write(file, f"{hash_token('one')}\n{'#' * passed_s}\n", clock.now())
        statuses.append(Door().let_in(HERE, "Bearer two", gate).status)
    assert statuses == [503, 503, 401]


def test_a_token_that_is_back_is_valid_again(being_written):
    file, gate = being_written
    whole = file.read_text()
    write(file, "")
    assert Door().let_in(HERE, "Bearer two", gate).status == 503
    write(file, whole)
    assert isinstance(Door().let_in(HERE, "Bearer two", gate), Caller)


def test_a_token_that_is_missing_from_a_file_put_in_place_whole_is_wrong_at_once(being_written):
    file, gate = being_written
    new = file.with_name("new")
    write(new, f"{hash_token('one')}\n")
    new.replace(file)
    assert Door().let_in(HERE, "Bearer two", gate).status == 401


def test_a_token_that_had_expired_is_wrong_while_the_file_is_written(being_written):
    file, gate = being_written
    write(file, f"{hash_token('two')} expires=2026-11-28\n")
    assert Door().let_in(HERE, "Bearer two", gate).status == 401
    write(file, "")
    assert Door().let_in(HERE, "Bearer two", gate).status == 401

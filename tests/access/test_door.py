"""Who gives wrong tokens has to wait; others behind the same proxy do not; a network may be the only one let in."""

import pytest

from connector_host.access.callers import Caller, calling, current_caller
from connector_host.access.door import Door, Source, TurnedAway, networks
from connector_host.access.lockout import LockOut
from connector_host.access.tokens import TokenGate, hash_token

GATE = TokenGate((hash_token("right"),))
HERE, THERE, PROXY = Source("192.0.2.1"), Source("192.0.2.2"), Source("127.0.0.1", shared=True)


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
def test_while_tokens_cannot_be_read_none_is_called_wrong_and_nobody_is_locked_out(tmp_path, content):
    door = Door(lock_out=LockOut(failures=2, period_s=60))
    file = tmp_path / "tokens"
    if content is None:
        file.mkdir()  # which even root cannot read as a file
    else:
        file.write_text(content)
    blind = TokenGate(file=file)
    answers = [door.let_in(HERE, "Bearer one", blind) for _ in range(3)]
    assert {(answer.status, answer.retry_after_s > 0) for answer in answers} == {(503, True)}
    assert door.let_in(HERE, "", blind).status == 401
    # Of other connectors, and of such as do not exist, the same is said: which one there is, is not told.
    assert door.let_in(HERE, "Bearer wrong", GATE, others=[GATE, blind]).status == 503
    assert door.let_in(HERE, "Bearer right", GATE, decoy=True, others=[GATE, blind]).status == 503
    assert door.let_in(HERE, "Bearer right", GATE, others=[GATE, blind]) == Caller(
        hash_token("right")[7:15], "192.0.2.1"
    )

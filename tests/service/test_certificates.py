"""While the host runs its certificate is taken over, renewed or warned of; a bad one never replaces a good one."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import capture_logs

from connector_host.service.certificates import CertificateWatch
from connector_host.tls.files import load_chain
from connector_host.tls.issuing import (
    AUTHORITY_DAYS,
    LEAF_DAYS,
    issue_authority,
    issue_files,
    issue_leaf,
    write_private,
    write_public,
)
from connector_host.tls.live import LiveContext
from connector_host.tls.renewal import own_authority

NOW = datetime.now(UTC).replace(microsecond=0)


class Watched:
    def __init__(self, folder):
        self.files = issue_files(folder, "hr.example.org", NOW)
        live = LiveContext(self.files.certificate, self.files.key)
        self.watch = CertificateWatch(self.files.certificate, self.files.key, "hr.example.org", live)
        self.watch.look(NOW)

    @property
    def serial(self):
        return load_chain(self.files.certificate)[0].serial_number

    def look(self, days=0):
        """Look once, so many days from now, and return the events."""
        with capture_logs() as lines:
            self.watch.look(NOW + timedelta(days=days))
        return [line["event"] for line in lines]

    def replace(self, host, days=LEAF_DAYS):
        leaf = issue_leaf(own_authority(self.files.certificate), host, NOW, days=days)
        write_private(self.files.key, leaf.key_pem)
        write_public(self.files.certificate, leaf.certificate_pem)

    def disown(self):
        self.files.authority_key.unlink()


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


def test_nothing_happens_while_nothing_changes(watched):
    assert watched.look() == []
    assert watched.watch.days_left == LEAF_DAYS


def test_a_good_replacement_is_taken(watched):
    watched.replace("hr.example.org", days=100)
    assert watched.look() == ["certificate.replaced"]
    assert watched.watch.days_left == 100


def test_a_new_key_that_lies_open_is_taken_once_it_is_closed(watched):
    watched.replace("hr.example.org", days=100)
    watched.files.key.chmod(0o644)
    assert (watched.look(), watched.watch.days_left) == (["certificate.refused"], LEAF_DAYS)
    watched.files.key.chmod(0o600)
    assert (watched.look(), watched.watch.days_left) == (["certificate.replaced"], 100)


@pytest.mark.parametrize("what", ["another host", "another key", "cut off", "gone"])
def test_a_bad_replacement_is_refused_once_and_the_old_one_goes_on(watched, what):
    context = watched.watch.live._current
    match what:
        case "another host":
            watched.replace("crm.example.org")
        case "another key":
            write_private(watched.files.key, issue_authority("x", NOW).key_pem)
        case "cut off":
            watched.files.certificate.write_bytes(watched.files.certificate.read_bytes()[:100])
        case "gone":
            watched.files.certificate.unlink()
    assert watched.look() == ["certificate.refused"]
    assert watched.look() == []
    assert watched.watch.live._current is context
    assert watched.watch.days_left == LEAF_DAYS


def test_a_certificate_and_key_that_arrive_one_after_the_other_are_taken_in_the_end(watched):
    leaf = issue_leaf(own_authority(watched.files.certificate), "hr.example.org", NOW)
    write_public(watched.files.certificate, leaf.certificate_pem)
    assert watched.look() == ["certificate.refused"]
    write_private(watched.files.key, leaf.key_pem)
    assert watched.look() == ["certificate.replaced"]


@pytest.fixture
def strict(watched):
    """One that serves those clients only whose certificates are of `clients.pem`."""
    watched.clients = watched.files.certificate.with_name("clients.pem")
    watched.clients.write_bytes(watched.files.authority.read_bytes())
    watched.watch.live = LiveContext(watched.files.certificate, watched.files.key, client_authority=watched.clients)
    assert watched.look() == ["certificate.replaced"]
    return watched


def test_another_authority_of_clients_is_taken_over(strict):
    strict.clients.write_bytes(issue_authority("clients", NOW).certificate_pem)
    assert strict.look() == ["certificate.replaced"]
    assert [one["subject"] for one in strict.watch.live._current.get_ca_certs()] == [((("commonName", "clients"),),)]


@pytest.mark.parametrize("what", ["gone", "cut off", "expired"])
def test_an_authority_of_clients_that_cannot_be_used_is_refused_once_and_the_old_one_goes_on(strict, what):
    before = strict.watch.live._current
    match what:
        case "gone":
            strict.clients.unlink()
        case "cut off":
            strict.clients.write_bytes(strict.clients.read_bytes()[:100])
        case "expired":
            old = issue_authority("clients", NOW - timedelta(days=10), days=5)
            strict.clients.write_bytes(old.certificate_pem)
    assert strict.look() == ["certificate.refused"]
    assert strict.look() == []
    assert strict.watch.live._current is before
    strict.clients.write_bytes(strict.files.authority.read_bytes())
    assert strict.look() == ["certificate.replaced"]


def test_an_authority_that_ends_is_told_and_warned_of_instead_of_renewing_without_end(watched):
    looks = {left: watched.look(days=AUTHORITY_DAYS - left) for left in range(300, -2, -1)}
    told = {left: events for left, events in looks.items() if events}
    assert [left for left, events in told.items() if "certificate.expires" in events] == [60, 30, 7, 1]
    assert [events for events in told.values() if "certificate.not_renewed" in events] == [["certificate.not_renewed"]]
    assert watched.watch.state.word == "expired"


def test_its_own_certificate_is_renewed_in_time(watched):
    before = watched.serial
    assert watched.look(days=LEAF_DAYS * 2 // 3 - 1) == []
    assert watched.look(days=LEAF_DAYS * 2 // 3 + 2) == ["certificate.replaced"]
    assert watched.serial != before
    assert watched.watch.days_left == LEAF_DAYS


def test_another_process_leaves_renewing_and_warning_to_the_first_and_takes_over_what_it_did(watched):
    other = Watched.__new__(Watched)
    live = LiveContext(watched.files.certificate, watched.files.key)
    other.watch = CertificateWatch(watched.files.certificate, watched.files.key, "hr.example.org", live, cares=False)
    other.watch.look(NOW)
    before = watched.serial
    assert other.look(days=LEAF_DAYS - 1) == []
    assert (watched.serial, other.watch.days_left) == (before, 1)
    assert watched.look(days=LEAF_DAYS * 2 // 3 + 2) == ["certificate.replaced"]
    assert other.look(days=LEAF_DAYS * 2 // 3 + 2) == ["certificate.replaced"]
    assert other.watch.days_left == LEAF_DAYS


def test_a_renewal_that_fails_is_told_once_and_tried_again(watched, monkeypatch):
    authority = watched.files.authority_key.read_bytes()
    monkeypatch.setattr("connector_host.tls.renewal.write_public", _disk_full)
    assert watched.look(days=300) == ["certificate.not_renewed"]
    assert watched.look(days=301) == []
    monkeypatch.undo()
    assert watched.look(days=302) == ["certificate.replaced"]
    assert watched.files.authority_key.read_bytes() == authority


def _disk_full(*_):
    raise OSError(28, "No space left on device")


def test_one_that_others_issued_is_warned_of_at_60_30_7_and_1_days(watched):
    watched.disown()
    warned = [left for left in range(70, -1, -1) if watched.look(days=LEAF_DAYS - left) == ["certificate.expires"]]
    assert warned == [60, 30, 7, 1]


def test_the_end_of_a_certificate_is_an_error_in_the_log_once(watched):
    watched.disown()
    told = [watched.look(days=LEAF_DAYS + past) for past in range(4)]
    assert told == [["certificate.expires"], ["certificate.expired"], [], []]


def test_files_that_were_exchanged_before_the_first_look_are_the_ones_that_are_served(tmp_path):
    watched = Watched(tmp_path)
    live = LiveContext(watched.files.certificate, watched.files.key)
    loaded = live._current
    watched.replace("hr.example.org", days=100)
    watch = CertificateWatch(watched.files.certificate, watched.files.key, "hr.example.org", live)
    watch.look(NOW)
    assert (watch.days_left, live._current is loaded) == (100, False)


def test_readiness_hears_that_it_ends_soon_and_that_it_has_ended(watched):
    watched.disown()
    words = []
    for left in (61, 60, 0, -1):
        watched.look(days=LEAF_DAYS - left)
        words.append((watched.watch.state.word, watched.watch.state.days_left))
    assert words == [("valid", 61), ("expires soon", 60), ("expires soon", 0), ("expired", -1)]


async def test_a_look_that_fails_unforeseen_is_told_once_and_does_not_end_the_watch(watched, monkeypatch):
    monkeypatch.setattr("connector_host.service.certificates.LOOK_S", 0.01)
    watched.watch.host = None  # nothing that anybody would check for
    watched.replace("hr.example.org", days=100)
    with capture_logs() as lines:
        task = asyncio.create_task(watched.watch.keep())
        await _until(lambda: lines)
        watched.watch.host = "hr.example.org"
        await _until(lambda: watched.watch.days_left == 99)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert [line["event"] for line in lines] == ["certificate.not_looked_at", "certificate.replaced"]


async def _until(held):
    async with asyncio.timeout(60):
        while not held():  # noqa: ASYNC110 - what changes is plain data
            await asyncio.sleep(0.01)


def test_one_of_its_own_that_names_no_host_is_not_renewed_and_says_so(watched):
    names, authority = x509.SubjectAlternativeName.oid, own_authority(watched.files.certificate)
    leaf = issue_leaf(authority, "hr.example.org", NOW)
    bare = x509.CertificateBuilder(  # as it was, with the host in its common name only
        authority.certificate.subject,
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hr.example.org")]),
        leaf.key.public_key(),
        leaf.certificate.serial_number,
        leaf.certificate.not_valid_before_utc,
        leaf.certificate.not_valid_after_utc,
        [extension for extension in leaf.certificate.extensions if extension.oid != names],
    ).sign(authority.key, hashes.SHA256())
    write_private(watched.files.key, leaf.key_pem)
    write_public(watched.files.certificate, bare.public_bytes(Encoding.PEM))
    assert watched.look() == ["certificate.replaced"]
    assert watched.look(days=LEAF_DAYS * 2 // 3 + 2) == ["certificate.not_renewed"]

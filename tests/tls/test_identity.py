"""A certificate is believed for the hosts that it names, while it is valid, with its own key, and for nothing else."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from connector_host.errors import Level, failures
from connector_host.tls.identity import days_left, subject_names, verify_identity
from tests.tls.certificates import ANY_USAGE, CLIENT_ONLY, NOW, SIGNED_WITH_SHA1, self_signed, small_rsa_key


def finding(subject, certificate, host="hr.example.org", key=None, now=NOW):
    found = {finding.subject: finding for finding in verify_identity(certificate, key, host, now)}
    return found.get(subject)


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["hr.example.org"], "hr.example.org"),
        (["hr.example.org"], "HR.Example.ORG."),
        (["other.example", "hr.example.org"], "hr.example.org"),
        (["*.example.org"], "hr.example.org"),
        (["xn--bcher-kva.example"], "bücher.example"),
        (["xn--bcher-kva.example"], "BÜCHER.example"),
        (["hrserver"], "hrserver"),
        (["hr_app.example.org"], "hr_app.example.org"),
        (["10.0.0.5"], "10.0.0.5"),
        (["::1"], "[::1]"),
        (["*", "hr.example.org"], "hr.example.org"),
    ],
)
def test_a_name_of_the_subject_is_believed(names, host):
    certificate, key = self_signed(*names)
    assert failures(verify_identity(certificate, key, host, NOW)) == []


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["other.example.org"], "hr.example.org"),
        (["example.org"], "hr.example.org"),
        (["*.example.org"], "a.b.example.org"),
        (["*.example.org"], "example.org"),
        (["hr.*.org"], "hr.example.org"),
        (["h*.example.org"], "hr.example.org"),
        (["*.org"], "example.org"),
        (["*"], "hrserver"),
        (["10.0.0.5"], "10.0.0.6"),
        (["hr.example.org"], "10.0.0.5"),
        (["ops@example.org"], "hr.example.org"),
        (["hr.example.org"], "not a host"),
        (["hr.example.org"], ""),
    ],
)
def test_any_other_name_is_not_believed(names, host):
    certificate, key = self_signed(*names, common_name="hr.example.org")
    assert failures(verify_identity(certificate, key, host, NOW))


def test_the_names_that_it_has_are_told():
    certificate, _ = self_signed("a.example", "10.1.2.3")
    assert subject_names(certificate) == ["a.example", "10.1.2.3"]
    assert "a.example, 10.1.2.3, not for hr.example.org" in finding("subject", certificate).fact


def test_a_common_name_counts_only_without_alternative_names_and_warns():
    assert finding("subject", self_signed(common_name="hr.example.org")[0]).level is Level.WARNING
    assert finding("subject", self_signed(common_name="ex.example.org")[0]).level is Level.FAILURE
    assert finding("subject", self_signed("a.example", common_name="hr.example.org")[0]).level is Level.FAILURE


def test_a_common_name_never_stands_for_an_address():
    assert finding("subject", self_signed(common_name="10.0.0.5")[0], host="10.0.0.5").level is Level.FAILURE


@pytest.mark.parametrize(
    ("begin", "end", "level", "words"),
    [
        (1, 100, Level.FAILURE, "not valid before 2026-11-24"),
        (-400, -1, Level.FAILURE, "expired on 2026-11-22"),
        (-400, 20, Level.WARNING, "expires on 2026-12-13, in 20 days"),
        (-400, 60, Level.WARNING, "in 60 days"),
        (-400, 61, Level.OK, "for 61 more days"),
        (-1, 89, Level.OK, "for 89 more days"),
        (-61, 29, Level.WARNING, "in 29 days"),
    ],
)
def test_dates_are_judged(begin, end, level, words):
    found = finding("dates", self_signed("hr.example.org", begin=begin, end=end)[0])
    assert (found.level, words in found.fact) == (level, True), found


def test_a_certificate_is_valid_up_to_its_last_moment():
    certificate, _ = self_signed("hr.example.org", begin=-400, end=0)
    assert finding("dates", certificate, now=NOW).level is Level.WARNING
    assert finding("dates", certificate, now=NOW + timedelta(seconds=1)).level is Level.FAILURE
    assert days_left(certificate, NOW + timedelta(seconds=1)) == -1


def test_the_key_of_another_certificate_is_refused():
    certificate, key = self_signed("hr.example.org")
    assert finding("key", certificate, key=key).level is Level.OK
    assert finding("key", certificate, key=ec.generate_private_key(ec.SECP256R1())).level is Level.FAILURE


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (small_rsa_key(), "1024 bits"),
        (ec.generate_private_key(ec.SECP192R1()), "192 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
    ],
)
def test_a_weak_key_is_refused(key, words):
    found = finding("key strength", self_signed("hr.example.org", key=key)[0])
    assert found.level is Level.FAILURE
    assert words in found.fact


def test_a_signature_that_clients_refuse_is_refused():
    assert finding("key strength", SIGNED_WITH_SHA1).level is Level.FAILURE


def test_a_certificate_for_clients_only_is_refused():
    assert finding("usage", self_signed("hr.example.org", extensions=[CLIENT_ONLY])[0]).level is Level.FAILURE
    assert finding("usage", self_signed("hr.example.org", extensions=[ANY_USAGE])[0]) is None

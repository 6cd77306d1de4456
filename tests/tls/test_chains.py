"""A chain leads from the host's certificate to its authority, one issuer after another, all of them valid."""

from datetime import timedelta

from connector_host.errors import Level
from connector_host.tls.chains import verify_chain
from connector_host.tls.issuing import issue_authority, issue_leaf
from tests.tls.certificates import NOW

AUTHORITY = issue_authority("the authority", NOW, days=40)
LEAF = issue_leaf(AUTHORITY, "localhost", NOW).certificate
STRANGER = issue_authority("a stranger", NOW).certificate


def test_a_certificate_alone_has_no_chain_to_judge():
    assert verify_chain([LEAF], NOW) == []


def test_a_stranger_in_the_chain_is_told():
    [finding] = verify_chain([LEAF, STRANGER], NOW)
    assert (finding.level, "none of the others issued" in finding.fact) == (Level.FAILURE, True)


def test_an_issuer_that_has_expired_is_told():
    later = NOW + timedelta(days=41)
    findings = verify_chain([LEAF, AUTHORITY.certificate], later)
    assert [finding.level for finding in findings] == [Level.OK, Level.FAILURE]
    assert "CN=the authority" in findings[1].fact

"""The agent lets SCIM through and nothing else, whatever the relay asks."""

from __future__ import annotations

import pytest

from agent.outbound.allowed import refusal

SCIM = "/ecma2host_HR/scim"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", SCIM),
        ("GET", f"{SCIM}/Users"),
        ("GET", f'{SCIM}/Users?filter=userName+eq+"a"'),
        ("PATCH", f"{SCIM}/Users/a%2Fb@example.org"),
        ("PUT", f"{SCIM}/Users/1..2"),
        ("DELETE", f"{SCIM}/Users/1?x=/../.."),
        ("HEAD", "/ecma2host_a-b_C/scim/Schemas"),
    ],
)
def test_scim_passes(method, target):
    assert refusal(method, target) is None


@pytest.mark.parametrize(
    ("method", "target", "words"),
    [
        ("CONNECT", f"{SCIM}/Users", "method"),
        ("OPTIONS", f"{SCIM}/Users", "method"),
        ("get", f"{SCIM}/Users", "method"),
        ("GET", "/", "path"),
        ("GET", "/metrics", "path"),
        ("GET", "http://169.254.169.254/latest", "path"),
        ("GET", "//evil.example.org/ecma2host_HR/scim/Users", "path"),
        ("GET", "/ecma2host_HR/scimitar", "path"),
        ("GET", "/ecma2host_/scim/Users", "path"),
        ("GET", f"{SCIM}/Users HTTP/1.1\r\nX: 1", "path"),
        ("GET", f"{SCIM}/Users?a=\x00", "path"),
        ("GET", f"{SCIM}/Users?a=\xe9", "path"),
        ("GET", f"{SCIM}/../../metrics", "climbs"),
        ("GET", f"{SCIM}/%2e%2E/metrics", "climbs"),
        ("GET", f"{SCIM}/..%2f..%2fmetrics", "climbs"),
        ("GET", f"{SCIM}/..%5cmetrics", "climbs"),
        ("GET", f"{SCIM}/./Users", "climbs"),
    ],
)
def test_everything_else_does_not(method, target, words):
    assert words in refusal(method, target)

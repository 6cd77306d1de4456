"""Jobs for tests: a small one that works, with whatever a test changes in it."""

from __future__ import annotations

from connector_host.provisioning.settings import JobSettings

MAPPINGS = (
    {"target": "userName", "source": "mail", "match": 1},
    {"target": "name.givenName", "source": "given"},
    {"target": "title", "source": "title"},
)


def job(**changes) -> JobSettings:
    document = {
        "source": {"type": "csv", "path": "people.csv", "key": "id"},
        "target": {"url": "https://scim.example.org/scim", "token": "t" * 32},
        "mappings": MAPPINGS,
    }
    return JobSettings.model_validate(document | changes)

"""A running endpoint over a table of employees, fresh for each test."""

from __future__ import annotations

import pytest

from tests.endpoint.service import serve


@pytest.fixture
async def scim(tmp_path):
    async with serve(tmp_path) as service:
        yield service


@pytest.fixture
async def barbara(scim):
    """One user that is there already."""
    answer = await scim.post(
        {
            "userName": "bjensen",
            "name": {"givenName": "Barbara", "familyName": "Jensen"},
            "emails": [{"type": "work", "value": "bjensen@example.org", "primary": True}],
            "active": True,
        }
    )
    assert answer.status == 201, answer.text
    return answer.body

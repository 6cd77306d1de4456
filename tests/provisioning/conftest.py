"""A real SCIM endpoint over SQLite, and jobs that provision into it."""

from __future__ import annotations

import pytest

from tests.endpoint.service import serve
from tests.provisioning.rig import Rig


@pytest.fixture
async def rig(tmp_path):
    async with serve(tmp_path) as service:
        rig = Rig(tmp_path, service)
        yield rig
        rig.state.close()

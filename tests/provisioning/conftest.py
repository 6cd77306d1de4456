"""A real SCIM endpoint over SQLite, and jobs that provision into it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.endpoint.service import serve
from tests.provisioning.moody import Moody, listening
from tests.provisioning.rig import Rig
from tests.servers import PASSWORD


@pytest.fixture
async def rig(tmp_path):
    async with serve(tmp_path) as service:
        rig = Rig(tmp_path, service)
        yield rig
        rig.state.close()


@pytest.fixture
async def moody(tmp_path):
    service = Moody(tmp_path)
    async with listening(service) as service.url:
        yield service
    service.state.close()


@pytest.fixture
def postgresql_url(postgresql_server):
    """A fresh database, as a state's URL."""
    server = postgresql_server
    url = sa.URL.create(
        "postgresql+psycopg", server.user, PASSWORD, server.host, server.port, database=server.database()
    )
    return url.render_as_string(hide_password=False)

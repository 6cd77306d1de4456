"""The agent uses this room, so it stays light."""

import subprocess
import sys

HEAVY = {"pydantic", "structlog", "sqlalchemy", "click", "scim2_models", "aiohttp"}


def test_it_needs_no_heavy_library():
    modules = "chains, contexts, files, identity, issuing, names"
    script = (
        f"import sys; from connector_host.tls import {modules}; print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert HEAVY & set(loaded.stdout.split()) == set()

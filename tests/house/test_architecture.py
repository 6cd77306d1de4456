"""The page that a new maintainer reads first names every room, and every page that it points to is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def rooms(package):
    layers = next(contract["layers"] for contract in CONTRACTS if contract.get("containers") == [package])
    return [room for layer in layers for room in layer.split(" | ") if room != "__main__"]


@pytest.mark.parametrize("room", rooms("connector_host"))
def test_every_room_of_the_host_is_explained(room):
    assert re.search(rf"^\| .*`{room}`", PAGE, re.MULTILINE), f"docs/architecture.md does not explain {room}"


@pytest.mark.parametrize("room", rooms("agent"))
def test_every_room_of_the_agent_is_explained(room):
    assert f"`{room}`" in PAGE


@pytest.mark.parametrize(
    "page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda page: page.name
)
def test_every_link_to_a_page_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []

"""Every threat on the security page names tests, and every test that it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))
    }
    assert sorted(named - there) == []
    assert len(named) > 30


def test_every_threat_has_a_test():
    rows = PAGE.partition("| threat |")[2].partition("\n\n")[0].splitlines()[2:]
    assert [row for row in rows if "`test_" not in row.rpartition("|")[0].rpartition("|")[2]] == []
    assert len(rows) > 20

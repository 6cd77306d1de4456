"""The dashboard asks for metrics that there are."""

import json
import re
from pathlib import Path

from connector_host.observability.loads import Load
from connector_host.observability.metrics import Metrics

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"


def test_every_metric_of_the_dashboard_exists():
    metrics = Metrics()
    metrics.request_begins()
    metrics.request_ends("HR", "GET", 401, 0.1)
    metrics.operation_begins("HR", "add")
    metrics.operation_ends("HR", "add", "Conflict", 0.1)
    metrics.watch_certificate(lambda: 10)
    metrics.watch_audit(lambda: False)
    metrics.loads.watch("HR", lambda: Load({"read": 0}, {"reading": 0}, {"reading": 1}, {"unique": 1}))
    there = set(re.findall(r"^(connector_host_\w+)", metrics.text().decode(), re.MULTILINE))
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    asked = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"connector_host_\w+", target["expr"])
    }
    assert sorted(asked - there) == []
    assert len(asked) >= 8


def test_every_metric_of_relay_and_agent_that_the_page_raises_an_alarm_on_exists():
    root = DASHBOARD.parents[1]
    sources = [root / "agent" / part / "reporting.py" for part in ("relay", "outbound")]
    there = set(re.findall(r'"((?:relay|agent)_\w+)"', "".join(path.read_text(encoding="utf-8") for path in sources)))
    table = (root / "docs" / "relay.md").read_text(encoding="utf-8").partition("| alarm on |")[2].partition("\n\n")[0]
    asked = set(re.findall(r"\b(?:relay|agent)_\w+", table))
    assert sorted(asked - there) == []
    assert len(asked) >= 8

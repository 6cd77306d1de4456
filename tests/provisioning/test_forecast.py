"""What is known of the length of a cycle before it begins: no bar that lies."""

from __future__ import annotations

import json
from dataclasses import replace

from connector_host.errors import ConfigurationError
from connector_host.provisioning.forecast import Forecast, forecast
from connector_host.provisioning.sources.opening import open_source
from connector_host.provisioning.standing import fingerprint_of
from connector_host.provisioning.state.records import JobState
from tests.conftest import absent
from tests.provisioning.jobs import job

NEW = JobState("staff", b"")
GRAPH = {"type": "graph", "tenant": "t", "client": "c", "secret": "s", "url": "http://127.0.0.1:1/v1.0"}
NOBODY = {"type": "scim", "url": "http://127.0.0.1:1/scim"}


def after(settings, kind, read, **changes):
    report = {"kind": kind, "ending": "finished", "counts": {"read": read}} | changes
    return replace(NEW, initial_due=False, fingerprint=fingerprint_of(settings), last_report=json.dumps(report))


async def test_a_file_is_counted_in_every_cycle(tmp_path):
    file = tmp_path / "people.csv"
    settings = job(source={"type": "csv", "path": str(file), "key": "id"})
    file.write_text("id\n1\n2\n")
    assert await forecast(NEW, settings) == Forecast(2)
    file.write_text("id\n1\n2\n3\n")
    assert await forecast(after(settings, "full", 2), settings) == Forecast(3)


async def test_how_many_have_changed_is_not_known_before():
    settings = job(source=GRAPH)
    where = replace(after(settings, "initial", 10_000), mark="a delta link")
    assert (await forecast(where, settings)).users is None
    assert "not known before" in (await forecast(where, settings)).remark


async def test_of_a_source_that_cannot_be_asked_nothing_is_known():
    assert await forecast(NEW, job(source=NOBODY)) == Forecast(None)


async def test_a_source_that_does_not_count_is_as_long_as_the_last_time_or_unknown(request):
    settings = job(source={"type": "ldap", "url": "ldaps://127.0.0.1:1", "search_base": "dc=example,dc=org"})
    try:
        open_source(settings.source)
    except ConfigurationError as failure:
        absent(str(failure), "LDAP", request.config)
    assert await forecast(NEW, settings) == Forecast(None, "this source does not count its users")
    assert await forecast(after(settings, "full", 7), settings) == Forecast(7, "as many as the last time")
    for another in (after(settings, "incremental", 7), after(settings, "full", 7, ending="stopped")):
        assert (await forecast(another, settings)).users is None

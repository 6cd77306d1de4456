"""A source file, a job and a running SCIM service, joined so that a test reads as a story."""

from __future__ import annotations

import asyncio
import csv
from dataclasses import replace
from typing import TYPE_CHECKING

from connector_host.provisioning.cycles import Options
from connector_host.provisioning.engine import Engine
from connector_host.provisioning.settings import Provisioning
from connector_host.provisioning.state.logbook import Question, lines
from connector_host.provisioning.state.store import State
from tests.endpoint.service import ENTERPRISE, TOKEN

if TYPE_CHECKING:
    from pathlib import Path

MAPPINGS = [
    {"target": "userName", "source": "login", "match": 1},
    {"target": "name.givenName", "source": "given"},
    {"target": "name.familyName", "source": "family"},
    {"target": 'emails[type eq "work"].value', "source": "mail"},
    {"target": f"{ENTERPRISE}:department", "source": "department"},
]

DOWN = {"timeout_s": 0.000001}
"""Settings of a target under which nothing is answered in time."""

HEADING = ("id", "login", "given", "family", "mail", "department", "enabled")


def person(number, **changes):
    return {
        "id": str(number),
        "login": f"u{number:05}",
        "given": f"Given{number}",
        "family": f"Family{number}",
        "mail": f"u{number}@example.org",
        "department": "Sales",
        "enabled": "true",
    } | changes


class Rig:
    """One job over one CSV file."""

    def __init__(self, folder: Path, service, state: str | None = None) -> None:
        self.folder = folder
        self.service = service
        self.file = folder / "people.csv"
        self.state = State(state or f"sqlite:///{folder / 'state.sqlite'}")
        self.state.migrate()
        self.document = {
            "source": {"type": "csv", "path": str(self.file), "key": "id"},
            "target": {
                "url": service.origin + service.base,
                "token": TOKEN,
                "trust": str(next(folder.rglob("authority.pem"))),
                "attempts": 1,
            },
            "mappings": MAPPINGS,
            "enabled_attribute": "enabled",
        }

    def people(self, *people):
        with self.file.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEADING)
            writer.writeheader()
            writer.writerows(people)

    def settings(self, **changes):
        return Provisioning.model_validate({"jobs": {"staff": self.document | changes}})

    def engine(self, **changes):
        return Engine(self.settings(**changes), self.state)

    async def run(self, *, patient=False, dry=False, stop=None, **changes):
        engine = self.engine(**changes)
        if stop is not None:
            engine = replace(engine, stop=stop)
        return await engine.run_once("staff", Options(dry=dry, patient=patient))

    def rows(self):
        return {row["Login"]: row for row in self.service.rows()}

    def log(self, **question):
        return list(lines(self.state, Question(job="staff", **question)))

    def job(self):
        return self.state.job("staff")

    def link(self, key):
        return self.state.links("staff", [key]).get(key)


async def until(condition, timeout_s=30.0):
    """Wait for what another process or thread does: nothing here could set an event."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)

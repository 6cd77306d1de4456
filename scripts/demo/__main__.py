"""The main job as a story: a directory's users arrive, change and leave in a SQL table, through the relay.

Every step says what it expects, looks at the table behind the product's back, and fails the run where they differ.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import employees
from chain import Chain, Failed
from directory import CORE, ENTERPRISE, Answer, Directory, Person, differences, people

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).resolve().parent
SHOWN = ("ContosoLogin", "DisplayName", "Department", "JobTitle", "Active", "HireDate", "Country", "InternalGUID")
GREEN, RED, BOLD, DIM, PLAIN = (
    ("\033[32m", "\033[31m", "\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else [""] * 5
)


@dataclass
class Story:
    """The steps, and how many of them did not do what they said."""

    chain: Chain
    directory: Directory
    broken: int = 0
    seen: list[str] = field(default_factory=list)

    def step(self, told: str, answer: Answer, expected: int, *, proof: bool = True) -> None:
        """Print one step and judge it: the status must be the expected one, and the table must agree."""
        good = answer.status == expected and proof
        self.broken += not good
        mark = f"{GREEN}✓{PLAIN}" if good else f"{RED}✗{PLAIN}"
        print(f"  {mark} {told:<58} {DIM}{answer.status}{PLAIN}")
        if not good:
            print(f"    {RED}expected {expected}; table agrees: {proof}; answer: {json.dumps(answer.document)}{PLAIN}")
        elif "detail" in answer.document:
            print(f"    {DIM}“{answer.document['detail']}”{PLAIN}")

    def row(self, login: str) -> dict[str, object] | None:
        """Return the row of this person as the table has it."""
        return next(iter(employees.rows(self.chain.database, [login])), None)

    def initial_cycle(self, staff: Mapping[str, Person]) -> None:
        """Bring everybody from the file into the table."""
        heading(f"Monday: the directory provisions {len(staff)} people")
        for login, person in staff.items():
            self.seen.append(login)
            found = self.directory.match(login).document.get("Resources", [])
            if found:
                self._update(f"matched {login}, updated", person, found[0])
            else:
                answer = self.directory.create(person)
                self.step(f"created {login}", answer, 201, proof=self._holds(person))

    def next_cycle(self, before: Mapping[str, Person], staff: Mapping[str, Person]) -> None:
        """Carry over what has changed in the file, and nothing else."""
        heading("Tuesday: one promotion, one new name, one leaver disabled, one deleted")
        for login, person in staff.items():
            if person != before[login]:
                resource = self.directory.match(login).document["Resources"][0]
                disabled = person["accountEnabled"] == "false"
                self._update(f"{'disabled' if disabled else 'updated'} {login}", person, resource)
        for login in before.keys() - staff.keys():
            answer = self.directory.delete(login)
            self.step(f"deleted {login}", answer, 204, proof=self.row(login) is None)

    def refusals(self, login: str) -> None:
        """Ask for the three things that are never done."""
        heading("Refused, with the reason, before any SQL runs")
        row = self.row(login)
        answer = self.directory.patch(
            login, {"op": "Replace", "path": "userName", "value": "somebody.else@contoso.com"}
        )
        self.step("changing the anchor (userName)", answer, 400, proof=self.row(login) == row)
        manager = {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": {"value": "alice.keller@contoso.com"}}
        answer = self.directory.patch(login, manager)
        self.step("setting a manager (a reference)", answer, 400, proof=self.row(login) == row)
        newcomer = {"schemas": [CORE], "userName": "new@contoso.com", "password": "Tr0ub4dor&3"}
        newcomer |= {"name": {"givenName": "New", "familyName": "Comer"}}
        answer = self.directory.call("POST", "Users", newcomer)
        self.step("creating a user with a password", answer, 400, proof=self.row("new@contoso.com") is None)

    def _update(self, told: str, person: Person, resource: dict[str, object]) -> None:
        operations = list(differences(person, resource))
        changed = ", ".join(re.split(r"[:.]", operation["path"])[-1] for operation in operations)
        answer = self.directory.patch(str(resource["id"]), *operations)
        self.step(f"{told} ({changed})", answer, 200, proof=self._holds(person))

    def _holds(self, person: Person) -> bool:
        """Whether the person's row in the table says what the file says."""
        row = self.row(person["userName"])
        return (
            row is not None
            and {
                "FirstName": person["givenName"],
                "LastName": person["familyName"],
                "Email": person["mail"],
                "Department": person["department"],
                "JobTitle": person["title"],
                "HireDate": person["hireDate"],
                "Country": person["country"],
                "Active": int(person["accountEnabled"] == "true"),
            }.items()
            <= row.items()
        )


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n{BOLD}{text}{PLAIN}")


def show_table(chain: Chain, logins: list[str]) -> None:
    """Print the rows that the directory has touched."""
    heading(f"The table Employees now ({employees.count(chain.database)} rows; these were touched)")
    rows = [[_cell(row[column]) for column in SHOWN] for row in employees.rows(chain.database, logins)]
    widths = [max(map(len, column)) for column in zip(SHOWN, *rows, strict=True)]
    for line in ([*SHOWN], ["─" * width for width in widths], *rows):
        print("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)))


def _cell(value: object) -> str:
    text = str(value)
    return text if len(text) <= 28 else text[:10] + "…"  # noqa: PLR2004 - what fits on a line


def tell_story(chain: Chain) -> int:
    """Run every step and return how many of them did not do what they said."""
    heading("Setting up on loopback")
    chain.prepare()
    print(f"  a SQLite database with {employees.count(chain.database)} people, certificates and tokens: {chain.folder}")
    chain.describe_table()
    print(f"  connector-host init described the table: {chain.configuration}")
    chain.start()
    story = Story(chain, chain.connect())
    print("  relay, agent and connector host are up; the directory's connection test went through all three")
    monday, tuesday = people(HERE / "monday.csv"), people(HERE / "tuesday.csv")
    story.initial_cycle(monday)
    story.next_cycle(monday, tuesday)
    story.refusals("ebele.obi@contoso.com")
    show_table(chain, story.seen)
    return story.broken


def show_next(chain: Chain, *, running: bool) -> None:
    """Print where things are, and what to try next."""
    heading("Yours to try" if running else "Where things are")
    print(f"  URL      {chain.url}")
    print(f"  token    {chain.token_file}")
    print(f"  trust    {chain.relay_trust}")
    print(f"  config   {chain.configuration}   (programs' output: {chain.folder}/*.log)")
    curl = (
        f'curl --cacert {chain.relay_trust} -H "Authorization: Bearer $(cat {chain.token_file})"'
        f" '{chain.url}/Users?count=2'"
    )
    if running:
        print(f"\n  Try:  {curl}\n  Ctrl-C ends it.", flush=True)
    else:
        print("\n  Next:  ./scripts/run --keep   does the same and stays up for play; then try\n  " + curl)


def main() -> int:
    """Run the story; 0 when every step did what it says."""
    parser = argparse.ArgumentParser(prog="./scripts/run", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="stay up afterwards, for play, until Ctrl-C")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o077)
    try:
        with Chain(ports=(8585, 8443)) as chain:
            broken = tell_story(chain)
            show_next(chain, running=keep and not broken)
            if keep and not broken:
                signal.pause()
    except Failed as failure:
        print(f"\n{RED}{failure}{PLAIN}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if keep else 130
    if broken:
        print(f"\n{RED}{broken} steps did not do what they said.{PLAIN}", file=sys.stderr)
        return 1
    print(f"\n{GREEN}Every step did what it said.{PLAIN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

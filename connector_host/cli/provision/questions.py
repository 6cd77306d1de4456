"""The questions of `provision new` on a terminal: each answer is tried at once, and asked for again if it is wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Question:
    """One key of a table; `default` is what Enter stands for, and an empty one leaves the key out."""

    key: str
    default: str | None = None
    hidden: bool = False
    file: bool = False
    """Whether the answer is a file that must be there."""
    needs: str | None = None
    """The key without which this one is not asked for."""


_TRUST = Question("trust", "", file=True)
_SECRET = Question("secret", "", hidden=True)

SOURCES: Final = {
    "csv": (Question("path", file=True), Question("delimiter", ","), Question("key")),
    "ndjson": (Question("path", file=True), Question("key")),
    "sql": (Question("database"), _SECRET, Question("query"), Question("key"), Question("mark", "")),
    "ldap": (
        Question("url"),
        Question("start_tls", "no", needs="ldap://"),
        _TRUST,
        Question("login", ""),
        Question("secret", "", hidden=True, needs="login"),
        Question("search_base"),
        Question("filter", "(objectClass=person)"),
        Question("key", "entryUUID"),
        Question("mark", "modifyTimestamp"),
    ),
    "scim": (Question("url"), _TRUST, _SECRET, Question("key", "id")),
    "graph": (Question("tenant"), Question("client"), Question("secret", hidden=True)),
}
"""What is asked about each type of source; every other key can be given by --source or written into the file."""

TARGET: Final = (Question("url"), Question("trust", "", file=True), Question("token", hidden=True))
NOTIFY: Final = (
    Question("email", ""),
    Question("smtp", "smtp://localhost:25", needs="email"),
    Question("smtp_password_file", "", file=True, needs="@"),
)


def source(given: dict[str, Any]) -> dict[str, Any]:
    """Return a source that can be read, asked for where `given` leaves something open."""
    from connector_host.provisioning.checking import look

    models = source_models()
    kind = given.get("type") or click.prompt("Source: type", type=click.Choice(tuple(SOURCES)))
    if kind not in models:
        return given  # the settings say what types there are
    return _table("Source", models[kind], SOURCES[kind], given | {"type": kind}, lambda found: asyncio.run(look(found)))


def source_models() -> dict[str, type[BaseModel]]:
    """Return the settings of each type of source."""
    from connector_host.provisioning import settings

    return {
        "csv": settings.CsvSettings,
        "ndjson": settings.NdjsonSettings,
        "sql": settings.SqlSettings,
        "ldap": settings.LdapSettings,
        "scim": settings.ScimSettings,
        "graph": settings.GraphSettings,
    }


def target(given: dict[str, Any]) -> dict[str, Any]:
    """Return a target that answers the cloud's probe."""
    from connector_host.provisioning.settings import TargetSettings
    from connector_host.provisioning.targets import Target

    async def probe(found: TargetSettings) -> None:
        async with Target(found) as one:
            await one.probe("userName")

    questions = [one for one in TARGET if one.key != "token" or "token_file" not in given]
    return _table("Target", TargetSettings, questions, given, lambda found: asyncio.run(probe(found)))


def notify(given: dict[str, Any]) -> dict[str, Any]:
    """Return who is told, an address that the mail server accepts; empty for nobody."""
    from connector_host.errors import ConfigurationError, failures
    from connector_host.provisioning.reaching import check_notices
    from connector_host.provisioning.settings import NotificationSettings

    def accept(found: NotificationSettings) -> None:
        if wrong := failures(asyncio.run(check_notices(found))):
            raise ConfigurationError("\n".join(f"{one.fact} {one.mend}" for one in wrong))

    return _table("Notices", NotificationSettings, NOTIFY, given, accept)


def _table(
    title: str,
    model: type[BaseModel],
    questions: Iterable[Question],
    given: dict[str, Any],
    proof: Callable[[Any], object],
) -> dict[str, Any]:
    """Ask for what is not given until the whole is valid and passes its proof; answers become the next defaults."""
    from pydantic import ValidationError

    from connector_host.errors import HostError

    questions = [one for one in questions if one.key not in given]
    before: dict[str, Any] = {}
    while True:
        answers = _asked(title, model, questions, given, before)
        try:
            proof(model.model_validate(answers))
        except ValidationError as failure:
            wrong = "\n".join(one["msg"] for one in failure.errors(include_input=False))
        except HostError as failure:
            wrong = str(failure)
        else:
            return answers
        if not questions:
            return answers  # there is nothing to ask again: the checks say what is wrong
        click.echo(f"{wrong}\nOnce more; Enter keeps an answer.", err=True)
        before = answers


def _asked(
    title: str, model: type[BaseModel], questions: Iterable[Question], given: dict[str, Any], before: dict[str, Any]
) -> dict[str, Any]:
    answers = dict(given)
    for one in questions:
        if not _is_asked(one, answers):
            continue
        kept = None if one.hidden else before.get(one.key)
        answer = click.prompt(
            f"{title}: {one.key}",
            default=kept or one.default,
            show_default=bool(kept or one.default),
            hide_input=one.hidden,
            value_proc=_judge(model, one, dict(answers)),
        )
        if answer != "":
            answers[one.key] = answer
    return answers


def _is_asked(one: Question, answers: dict[str, Any]) -> bool:
    match one.needs:
        case None:
            return True
        case "ldap://":
            return str(answers.get("url")).startswith("ldap://")
        case "@":
            return "@" in str(answers.get("smtp", ""))
        case key:
            return key in answers


def _judge(model: type[BaseModel], one: Question, answers: dict[str, Any]) -> Callable[[str], str]:
    """Return what takes an answer, or refuses it with the reason so that the question comes again."""

    def judge(text: str) -> str:
        from pydantic import ValidationError

        answer = text if one.hidden else text.strip()
        if answer == "" and one.default == "":
            return ""
        if answer == "":
            raise click.UsageError(f"{one.key} needs an answer.")
        if one.file:
            answer = str(Path(answer).absolute())
            if not Path(answer).is_file():
                raise click.UsageError(f"{answer}: there is no such file.")
        try:
            model.model_validate(answers | {one.key: answer})
        except ValidationError as failure:
            for found in failure.errors(include_input=False):
                if found["loc"][:1] == (one.key,):
                    raise click.UsageError(f"{one.key}: {found['msg']}.") from None
        return answer

    return judge

"""`check` asks mail server and webhook whether they would take a notice, and sends none."""

from __future__ import annotations

import socket

import pytest

from connector_host.errors import Level
from connector_host.provisioning.reaching import check_notices
from connector_host.provisioning.settings import NotificationSettings
from tests.provisioning.mail import mail_server, webhook


async def found(**notify):
    (finding,) = await check_notices(NotificationSettings.model_validate(notify))
    return finding.level, f"{finding.fact} {finding.mend}"


async def test_an_address_is_taken_as_far_as_the_server_accepts_it_and_no_mail_is_sent():
    async with mail_server() as (smtp, received):
        level, said = await found(email="it@example.org", sender="scim@example.org", smtp=smtp)
    assert (level, "accepts the address" in said) == (Level.OK, True)
    words = [line.split(" ")[0].split(":")[0].upper() for line in received]
    assert words == ["EHLO", "MAIL", "RCPT", "RSET", "QUIT"]
    assert "it@example.org" in received[2]


@pytest.mark.parametrize(
    ("answers", "level", "named"),
    [
        ({"RCPT": "550 no such user"}, Level.FAILURE, "Look at notify.email"),
        ({"MAIL": "553 not yours"}, Level.FAILURE, "Look at notify.sender"),
        ({"RCPT": "451 greylisted"}, Level.WARNING, "again later"),
        ({"EHLO": "502 no", "HELO": "554 go away"}, Level.FAILURE, "cannot be used"),
        ({"EHLO": "250-test\r\n250 AUTH PLAIN", "AUTH": "535 wrong"}, Level.FAILURE, "refuses the login"),
    ],
)
async def test_a_mail_server_that_would_not_take_the_notice_is_named_with_the_mend(tmp_path, answers, level, named):
    password = tmp_path / "smtp"
    password.write_text("p\n")
    async with mail_server(answers) as (smtp, received):
        login = {"smtp": smtp, "smtp_password_file": password}
        if "AUTH" in answers:
            login["smtp"] = smtp.replace("//", "//me@")
        was, said = await found(email="it@example.org", **login)
    assert (was, named in said) == (level, True), said
    assert not any(line.startswith("DATA") for line in received)


async def test_what_is_not_there_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    level, said = await found(email="it@example.org", smtp=f"smtp://127.0.0.1:{port}")
    assert (level, "ConnectionRefusedError" in said) == (Level.FAILURE, True)
    level, said = await found(webhook=f"http://127.0.0.1:{port}/hook-secret")
    assert (level, "cannot be reached" in said) == (Level.FAILURE, True)
    assert "hook-secret" not in said


@pytest.mark.parametrize(
    ("status", "level", "named"),
    [
        (200, Level.OK, "answers."),
        (405, Level.OK, "answers."),
        (302, Level.WARNING, "redirects"),
        (404, Level.WARNING, "404"),
        (500, Level.WARNING, "500"),
    ],
)
async def test_a_webhook_is_asked_without_posting_a_notice(status, level, named):
    async with webhook(status) as (url, received):
        was, said = await found(webhook=url)
    assert (was, named in said) == (level, True), said
    assert "hook-secret" not in said
    assert received == [("HEAD", "")]


async def test_a_job_without_any_address_is_warned_of():
    assert await found() == (
        Level.WARNING,
        "nobody is told when the job is quarantined. Give `notify.email` or `notify.webhook`.",
    )

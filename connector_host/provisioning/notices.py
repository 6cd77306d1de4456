"""Telling people: a JSON document to a webhook, a mail to an address. What cannot be sent is logged, no more."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import aiohttp
import structlog

from connector_host import clock
from connector_host.errors import HostError
from connector_host.observability import events
from connector_host.provisioning.secrets import revealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector_host.provisioning.settings import NotificationSettings

TIMEOUT_S: Final = 20.0
REFUSED_FROM: Final = 400
PORTS: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}

_LOG = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are told; holds no value of any user."""

    event: str
    text: str


async def tell(job: str, settings: NotificationSettings, notice: Notice) -> None:
    """Send the notice everywhere that the job says."""
    if settings.webhook is not None:
        await _post(job, settings.webhook, notice)
    if settings.email is not None:
        try:
            await asyncio.to_thread(_mail, job, settings, notice)
        # smtplib encodes logins and passwords as ASCII.
        except (OSError, smtplib.SMTPException, HostError, UnicodeError) as failure:
            _LOG.error(events.NOTICE_NOT_SENT, key=job, kind="e-mail", reason=type(failure).__name__)


async def _post(job: str, url: str, notice: Notice) -> None:
    document = {"job": job, "event": notice.event, "text": notice.text, "at": clock.now().isoformat()}
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=document) as answer:
            if answer.status >= REFUSED_FROM:
                _LOG.error(events.NOTICE_NOT_SENT, key=job, kind="webhook", status=answer.status)
    except (aiohttp.ClientError, OSError) as failure:
        _LOG.error(events.NOTICE_NOT_SENT, key=job, kind="webhook", reason=type(failure).__name__)


def _mail(job: str, settings: NotificationSettings, notice: Notice) -> None:
    message = EmailMessage()
    message["Subject"] = f"Provisioning job {job}: {notice.event}"
    sender = settings.sender or settings.email or ""
    message["From"] = sender
    message["To"] = settings.email
    message["Date"] = format_datetime(clock.now())  # RFC 5322 §3.6: without it, and an id, mail passes for spam
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message.set_content(f"{notice.text}\n\nJob: {job}\nSee: connector-host provision status {job}\n")
    with server_of(settings) as server:
        server.send_message(message)


@contextmanager
def server_of(settings: NotificationSettings) -> Iterator[smtplib.SMTP]:
    """Connect to the mail server, encrypted and logged in as the settings say, for the time of the block.

    Raises OSError, SMTPException, and ConfigurationError where the password cannot be read.
    """
    parts = urlsplit(settings.smtp)
    host, port = parts.hostname or "localhost", parts.port or PORTS[parts.scheme]
    context = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
        if parts.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    ) as server:
        if parts.scheme == "smtp+starttls":
            server.starttls(context=context)
        if parts.username:
            server.login(
                unquote(parts.username), revealed(None, settings.smtp_password_file, "smtp_password_file") or ""
            )
        yield server

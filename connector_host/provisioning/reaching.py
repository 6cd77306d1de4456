"""Whether notices would arrive, asked without sending one.

A mail server is taken as far as RCPT, which accepts or refuses the address, and then RSET. A webhook is asked by HEAD,
which no service takes for an event: one that is there may still refuse it, since it is made for POST, so a refusal
is a warning, and only what cannot be reached at all is a failure. Its URL may be a secret: no finding quotes it.
"""

from __future__ import annotations

import asyncio
import smtplib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp

from connector_host.errors import ConfigurationError, Finding, Level
from connector_host.provisioning.notices import PORTS, TIMEOUT_S, server_of

if TYPE_CHECKING:
    from connector_host.provisioning.settings import NotificationSettings

LATER: Final = range(400, 500)
"""SMTP's answers that ask to try again later (RFC 5321 section 4.2.1): greylisting is one of them."""

UNDISCLOSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""HTTP's answers to a HEAD by which a service for POST alone says that it is there."""


async def check_notices(settings: NotificationSettings) -> list[Finding]:
    """Return whether webhook and mail server take notices; nothing is sent that anybody could take for one."""
    findings = []
    if settings.webhook is not None:
        findings.append(await _webhook(settings.webhook))
    if settings.email is not None:
        findings.append(await asyncio.to_thread(_mail, settings))
    if findings:
        return findings
    mend = "Give `notify.email` or `notify.webhook`."
    return [Finding(Level.WARNING, "notices", "nobody is told when the job is quarantined.", mend)]


async def _webhook(url: str) -> Finding:
    host = urlsplit(url).hostname
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.head(url) as answer:
            return _answered(host, answer.status)
    except (aiohttp.ClientError, OSError) as failure:
        fact = f"the webhook at {host} cannot be reached ({type(failure).__name__})."
        return Finding(Level.FAILURE, "notices", fact, "Look at notify.webhook, and whether a firewall is between.")


def _answered(host: str | None, status: int) -> Finding:
    if status < HTTPStatus.MULTIPLE_CHOICES or status in UNDISCLOSED:
        return Finding(Level.OK, "notices", f"the webhook at {host} answers.")
    if status < HTTPStatus.BAD_REQUEST:
        fact = f"the webhook at {host} redirects ({status}), and a redirected notice is lost."
        return Finding(Level.WARNING, "notices", fact, "Write the address that it redirects to into notify.webhook.")
    fact = f"the webhook at {host} answers {status} to a HEAD, which may differ for a notice."
    return Finding(Level.WARNING, "notices", fact, "Look at notify.webhook: is the address whole, and still valid?")


def _mail(settings: NotificationSettings) -> Finding:
    parts = urlsplit(settings.smtp)
    where = f"the mail server {parts.hostname}:{parts.port or PORTS[parts.scheme]}"
    try:
        with server_of(settings) as server:
            return _accepted(server, settings, where)
    except ConfigurationError as failure:
        return Finding(Level.FAILURE, "notices", str(failure), "Look at notify.smtp_password_file.")
    except smtplib.SMTPAuthenticationError:
        mend = "Look at the user in notify.smtp, and at notify.smtp_password_file."
        return Finding(Level.FAILURE, "notices", f"{where} refuses the login.", mend)
    except (OSError, smtplib.SMTPException, UnicodeError) as failure:
        fact = f"{where} cannot be used ({type(failure).__name__})."
        return Finding(Level.FAILURE, "notices", fact, "Look at notify.smtp: scheme, host, port and certificate.")


def _accepted(server: smtplib.SMTP, settings: NotificationSettings, where: str) -> Finding:
    server.ehlo_or_helo_if_needed()
    email = settings.email or ""
    for key, ask, address in (("sender", server.mail, settings.sender or email), ("email", server.rcpt, email)):
        role = "sender" if key == "sender" else "recipient"
        status, _ = ask(address)
        if status in LATER:
            fact = f"{where} asks to try the {role} again later ({status})."
            return Finding(Level.WARNING, "notices", fact, "Where that stays so, ask whoever runs the mail server.")
        if status >= LATER.stop:
            fact = f"{where} refuses the {role} ({status})."
            return Finding(
                Level.FAILURE, "notices", fact, f"Look at notify.{key}, or ask whoever runs the mail server."
            )
    server.rset()
    return Finding(Level.OK, "notices", f"{where} accepts the address.")

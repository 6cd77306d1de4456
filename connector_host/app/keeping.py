"""What a host has one of, opened from its configuration: the audit trail, the record of outcomes, the event loop."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import structlog

from connector_host.app.refusing import CannotStart, CannotStartYet
from connector_host.endpoint.outcomes import Outcomes
from connector_host.observability import events
from connector_host.observability.audit import FIRST, LOCK, AuditDamaged, AuditTrail, files_of
from connector_host.ownership import is_root, make_file, make_folder

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextlib import AsyncExitStack
    from pathlib import Path

    from connector_host.settings import AuditSettings


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop: uvloop's where the extra `fast` installed it, which is not for Windows."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return new_event_loop


def open_outcomes(stack: AsyncExitStack, file: Path) -> Outcomes | None:
    """Return the record of outcomes; where none can be made the host serves, but promises nothing for idempotency keys.

    Raises CannotStartYet where there is, or may be, one that cannot be opened: what it knows of would be carried out
    again.
    """
    is_kept = _may_hold_something(file)
    try:
        outcomes = Outcomes(file)
    except (OSError, sqlite3.Error) as failure:
        if is_kept:
            raise CannotStartYet(
                f"state: {file} says which writes were carried out, and cannot be opened ({failure}). Make room on its "
                "disk, and let this account write it; one that is damaged move away: its idempotency keys are new then."
            ) from failure
        structlog.get_logger().warning(events.OUTCOMES_UNAVAILABLE, file=str(file), reason=str(failure))
        return None
    stack.push_async_callback(outcomes.close)
    return outcomes


def _may_hold_something(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # in a folder, say, that this account is let into only later


def open_trail(stack: AsyncExitStack, settings: AuditSettings) -> AuditTrail | None:
    """Return the audit trail; raises CannotStart for one that is wanted and cannot be written, or AuditInUse."""
    if not settings.enabled or settings.folder is None:
        return None
    try:
        if is_root():
            _make_as_owner(settings.folder)
        trail = AuditTrail(settings.folder, rotate_bytes=settings.rotate_bytes, keep_files=settings.keep_files)
    except OSError as failure:
        raise CannotStart(
            f"audit: {settings.folder} cannot be written ({failure.strerror}). "
            "Let this account write there, set `folder` in [audit], or set `enabled = false`."
        ) from failure
    except AuditDamaged as failure:
        raise CannotStart(f"audit: {failure}") from failure
    stack.push_async_callback(trail.close)
    return trail


def _make_as_owner(folder: Path) -> None:
    """Make what is missing as the account's that the trail belongs to; raises OSError, and so for a link."""
    make_folder(folder, 0o700)
    for path in (folder / LOCK, *(files_of(folder)[-1:] or [folder / FIRST])):
        make_file(path)

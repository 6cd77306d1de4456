"""Whose a file is that root makes: the account's whose folder it stands in, which could not read it otherwise.

A service has an account and a folder of its own, and an administrator types commands as root. Everything is done on
open files and folders and not on paths: whoever owns a folder on the way could exchange one, or put a link there that
leads into a folder of root's.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened_folder(folder: Path) -> Iterator[int | None]:
    """Open a folder, for its files to be named by `dir_fd`; None on Windows, which knows none. Raises OSError."""
    if sys.platform == "win32":
        yield None
    else:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def give_to_owner(descriptor: int, folder: int | None, name: str | None = None) -> None:
    """Hand an open file over to the owner of an open folder, or of the file of this name in it, where there is one.

    Nothing is done where this is not root.
    """
    if sys.platform != "win32" and folder is not None and is_root():
        facts = os.fstat(folder)
        if name is not None:
            with suppress(FileNotFoundError):
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        os.fchown(descriptor, facts.st_uid, facts.st_gid)


def may_write(account: str, path: Path) -> bool:
    """Return whether another account of this machine may write to what is there, as far as its mode tells (no ACL)."""
    if sys.platform == "win32":
        return True
    else:  # noqa: RET505 - mypy tells platforms apart by branches
        try:
            facts, person = path.stat(), pwd.getpwnam(account)
        except (OSError, KeyError):
            return False
        if facts.st_uid == person.pw_uid:
            return bool(facts.st_mode & stat.S_IWUSR)
        if facts.st_gid in os.getgrouplist(account, person.pw_gid):
            return bool(facts.st_mode & stat.S_IWGRP)
        return bool(facts.st_mode & stat.S_IWOTH)


def is_open(path: Path) -> bool:
    """Return whether everybody on this machine may read or write it; Windows says that by other means."""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make the folder and those above it that are missing, each as its parent's owner's; raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    if sys.platform == "win32":
        folder.mkdir(exist_ok=True, mode=mode)
    else:
        _make_in_parent(folder, mode)


def _make_in_parent(folder: Path, mode: int) -> None:
    with opened_folder(folder.parent) as parent:
        try:
            os.mkdir(folder.name, mode, dir_fd=parent)
        except FileExistsError:
            if not folder.is_dir():
                raise
            return
        made = os.open(folder.name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0), dir_fd=parent)
        try:
            give_to_owner(made, parent)
        finally:
            os.close(made)


def make_file(path: Path, mode: int = 0o600) -> None:
    """Make an empty file where there is none, as its folder's owner's; raises OSError, and so for a link.

    One that is there already stays whose it is: it may be another name of a file of root's.
    """
    with opened_folder(path.parent) as folder:
        name = str(path) if folder is None else path.name
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder)
        except FileExistsError:
            os.close(os.open(name, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), dir_fd=folder))
            return
        try:
            give_to_owner(descriptor, folder)
        finally:
            os.close(descriptor)


def foreign_owner(folder: Path) -> str:
    """Return the account that a folder, or the nearest one above that is there, belongs to; empty where we may be it.

    Only root can write there without being it, and would leave files that the account cannot read.
    """
    owner = next(above for above in (folder, *folder.parents) if above.exists()).stat().st_uid
    return _account(owner) if is_root() and owner != 0 else ""


def person() -> str:
    """Return the account that runs this, and who became root by sudo; taken from no variable that others could set."""
    if sys.platform == "win32":
        return os.getlogin()
    else:  # noqa: RET505 - mypy tells platforms apart by branches
        account, before = _account(os.getuid()), os.environ.get("SUDO_USER", "") if is_root() else ""
        return f"{account} (sudo by {before})" if before else account


def _account(number: int) -> str:
    name = f"#{number}"
    if sys.platform != "win32":
        with suppress(KeyError):
            name = pwd.getpwuid(number).pw_name
    return name


def is_root() -> bool:
    """Return whether this process may give files away; never on Windows, where files inherit rights from the folder."""
    return sys.platform != "win32" and os.geteuid() == 0

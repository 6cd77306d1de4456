"""Whose a file is that root makes: the account's whose folder it stands in, which could not read it otherwise.

A service has an account and a folder of its own, and an administrator types commands as root. Everything is done on
open files and not on paths, since whoever owns the folder could exchange a path in between.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def give_to_owner(descriptor: int, of: Path) -> None:
    """Hand an open file over to the owner of another path; nothing is done where this is not root."""
    if sys.platform != "win32" and is_root():
        facts = of.lstat()
        os.fchown(descriptor, facts.st_uid, facts.st_gid)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make the folder and those above it that are missing, each as its parent's owner's; raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True, mode=mode)
    if sys.platform != "win32" and is_root():
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            give_to_owner(descriptor, folder.parent)
        finally:
            os.close(descriptor)


def is_root() -> bool:
    """Return whether this process may give files away; never on Windows, where files inherit rights from the folder."""
    return sys.platform != "win32" and os.geteuid() == 0

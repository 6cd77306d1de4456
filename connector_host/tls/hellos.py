"""What a TLS client says first, where it is a name that Python cannot read: not for the log.

Python decodes the name that a client asks for (SNI) before it calls `sni_callback`. Where that fails it ends the
handshake, as it should, and writes a traceback with the name to standard error, where a stranger may fill the log so.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Hook = Callable[["sys.UnraisableHookArgs"], object]


def pass_over_odd_names() -> None:
    """Say nothing of names that cannot be read, in this process, from here on; for whoever sets `sni_callback`."""
    if not (isinstance(sys.unraisablehook, partial) and sys.unraisablehook.func is _tell_of_others):
        sys.unraisablehook = partial(_tell_of_others, sys.unraisablehook)


def _tell_of_others(others: Hook, unraisable: sys.UnraisableHookArgs) -> None:
    failure = unraisable.exc_value
    # The codec and the object are CPython's (Modules/_ssl.c, _servername_callback).
    is_name = isinstance(failure, UnicodeDecodeError) and failure.encoding == "ascii"
    if not (is_name and (isinstance(unraisable.object, bytes) or "servername" in (unraisable.err_msg or ""))):
        others(unraisable)

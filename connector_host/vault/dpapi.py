"""Windows' Data Protection API with machine scope: what is protected here can be read on this machine only.

Thin by design; see CryptProtectData in the documentation of dpapi.h. Never imported on other systems.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

if sys.platform == "win32":
    from ctypes import wintypes

    LOCAL_MACHINE: Final = 0x4  # CRYPTPROTECT_LOCAL_MACHINE
    NO_UI: Final = 0x1  # CRYPTPROTECT_UI_FORBIDDEN

    class _Blob(ctypes.Structure):
        """DATA_BLOB."""

        _fields_ = (("size", wintypes.DWORD), ("data", ctypes.POINTER(ctypes.c_char)))

    def protect(content: bytes) -> bytes:
        """Return the content protected for this machine; raises OSError."""
        return _call("CryptProtectData", content, LOCAL_MACHINE | NO_UI)

    def unprotect(content: bytes) -> bytes:
        """Return what was protected on this machine; raises OSError for what was not."""
        return _call("CryptUnprotectData", content, NO_UI)

    def _call(function: str, content: bytes, flags: int) -> bytes:
        crypt = ctypes.WinDLL("crypt32", use_last_error=True)
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        buffer = ctypes.create_string_buffer(content, len(content))
        given = _Blob(len(content), ctypes.cast(buffer, ctypes.POINTER(ctypes.c_char)))
        made = _Blob()
        done = getattr(crypt, function)(ctypes.byref(given), None, None, None, None, flags, ctypes.byref(made))
        if not done:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            return ctypes.string_at(made.data, made.size)
        finally:
            kernel.LocalFree(made.data)

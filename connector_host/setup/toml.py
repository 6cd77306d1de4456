"""How TOML writes a string and a key (TOML 1.0)."""

from __future__ import annotations

import json
import re


def quoted(text: str) -> str:
    """Return a TOML string: literal where that spares escapes, else basic with JSON's escapes, which are TOML's."""
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def bare(key: str) -> str:
    """Return a key as TOML writes it: bare where it may be (TOML 1.0, Keys)."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quoted(key)

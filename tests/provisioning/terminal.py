"""A program on a pseudo-terminal, spoken to as a person would: wait for what it shows, type a line."""

from __future__ import annotations

import os
import select
import subprocess
import time

PATIENCE_S = 60.0


class Terminal:
    """Standard input, output and error of a program are one terminal, which echoes what is typed."""

    def __init__(self, command) -> None:
        self._ours, theirs = os.openpty()
        environment = os.environ | {"TERM": "dumb", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""
        self._read_up_to = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def wait_for(self, text):
        """Wait until the text is shown, behind whatever was waited for before."""
        end = time.monotonic() + PATIENCE_S
        while (found := self.shown.find(text, self._read_up_to)) < 0:
            assert self._more(end), f"{text!r} did not come after:\n{self.shown}"
        self._read_up_to = found + len(text)

    def type(self, line):
        """Type a line; None types nothing."""
        if line is not None:
            os.write(self._ours, f"{line}\n".encode())

    def finish(self):
        """Wait for the end and return the exit code."""
        end = time.monotonic() + PATIENCE_S
        while self._more(end):
            pass
        return self._process.wait(PATIENCE_S)

    def _more(self, end):
        """Read what is shown next; false at the end of the program or of patience."""
        ready, _, _ = select.select([self._ours], [], [], max(end - time.monotonic(), 0))
        if not ready:
            return False
        try:
            part = os.read(self._ours, 65_536)
        except OSError:
            return False
        self.shown += part.decode(errors="replace")
        return bool(part)

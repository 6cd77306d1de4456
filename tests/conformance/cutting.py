"""A TCP proxy that a test can cut, so that a connection is lost exactly when the test wants it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class CuttingProxy:
    """Forwards bytes to a server until it is told to stop; runs in threads of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._cut_after: bytes | None = None
        self._silent_after: bytes | None = None
        self.silent = False
        """Whether the server's answers are lost while connections stay open, as where it hangs."""
        self.refusing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut every connection that is open now."""
        with self._lock:
            ends, self._open = self._open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def cut_after(self, words: bytes) -> None:
        """Pass on the next message to the server that holds these bytes, and cut before its answer comes back."""
        self._cut_after = words

    def silence_after(self, words: bytes) -> None:
        """Be silent from the next message to the server on that holds these bytes, which it gets."""
        self._silent_after = words

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            server = socket.create_connection(self._target)
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:  # noqa: FBT001 - a direction
        try:
            while data := source.recv(65_536):
                if to_server and self._cut_after is not None and self._cut_after in data.upper():
                    self._cut_after = None
                    # The answer must not come back, but the server must have the message.
                    with contextlib.suppress(OSError):
                        source.shutdown(socket.SHUT_RDWR)
                    target.sendall(data)
                    continue
                if to_server and self._silent_after is not None and self._silent_after in data.upper():
                    self._silent_after, self.silent = None, True
                if to_server or not self.silent:
                    target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_WR)

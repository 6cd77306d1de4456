"""What systemd hears of a host, of one process and of several: that it is ready, lives, reloads, and stops."""

import queue
import socket
import threading
from contextlib import ExitStack

import pytest

from tests.app.test_oversight import add


def _listen(manager, told):
    while heard := manager.recv(1_000):
        told.put(heard.decode().splitlines())


@pytest.mark.parametrize("workers", [1, 2])
def test_systemd_hears_of_a_whole_life(configured, workers):
    add(configured, f"workers = {workers}")
    address = str(configured.path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, ExitStack() as stack:
        manager.bind(address)
        stack.callback(manager.shutdown, socket.SHUT_RDWR)
        told = queue.Queue()
        # Read all the time, as systemd does: a socket takes a few messages only, and whoever sends one more waits.
        threading.Thread(target=_listen, args=(manager, told), daemon=True).start()

        def heard_until(line):
            """Return which lines came, up to this one."""
            heard = set()
            while line not in heard:
                heard |= set(told.get(timeout=60))
            return heard

        with configured.serve(env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}) as host:
            assert "STOPPING=1" not in heard_until("READY=1")
            heard_until("WATCHDOG=1")
            assert configured.run("reload").returncode == 0
            assert "READY=1" not in heard_until("RELOADING=1")
            heard_until("READY=1")
            assert host.stop() == 0
            assert "READY=1" not in heard_until("STOPPING=1")

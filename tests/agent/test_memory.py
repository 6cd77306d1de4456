"""What is freed goes back to the system, and what nobody uses is not read."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import weakref

import pytest

PROGRAM = """
import ctypes, sys
from agent import memory
settled = "settle" in sys.argv and memory.keep_blocks_apart()
libc = ctypes.CDLL(None)
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks f u k".split()] + [
        ("keepcost", ctypes.c_size_t)]
libc.mallinfo2.restype, libc.malloc.restype, libc.free.argtypes = Info, ctypes.c_void_p, [ctypes.c_void_p]
def apart():
    before = libc.mallinfo2().hblks
    block = libc.malloc(memory.BLOCK_BYTES)
    taken = libc.mallinfo2().hblks - before
    libc.free(block)
    return taken
print(settled, apart(), apart())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is another one")
@pytest.mark.parametrize(("argument", "said"), [("", "False 1 0"), ("settle", "True 1 1")])
def test_a_freed_block_never_makes_the_next_one_a_part_of_the_heap(argument, said):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, argument], capture_output=True, text=True, check=True, env={"PATH": ""}
    )
    assert done.stdout.strip() == said


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is another one")
def test_what_the_administrator_has_set_stays(monkeypatch):
    from agent import memory

    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    assert not memory.keep_blocks_apart()


LEAN = """
import mimetypes, os, ssl, sys
from agent.cli import main
mimetypes.knownfiles.append(sys.argv[1])
main([*sys.argv[2:], "--config", os.devnull])
import aiohttp.connector, frozenlist
print(aiohttp.connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"], ".nobody-asks" in mimetypes.types_map)
print(frozenlist.FrozenList is frozenlist.PyFrozenList)
print(ssl.create_default_context().cert_store_stats()["x509"], os.environ.get("FROZENLIST_NO_EXTENSIONS"))
print(os.environ.get("SSL_CERT_FILE"), mimetypes.knownfiles[-1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a store of its own")
@pytest.mark.parametrize("program", ["run", "relay", "sign run"])
def test_a_program_that_serves_reads_nothing_for_modules_that_nobody_asks_for_it(papers, tmp_path, program):
    types = tmp_path / "mime.types"
    types.write_text("x-of-nobody/x nobody-asks\n")
    given = {**os.environ, "SSL_CERT_FILE": str(papers.authority), "SSL_CERT_DIR": os.devnull}
    command = [sys.executable, "-c", LEAN, str(types), *program.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=given)
    assert done.stdout.splitlines() == ["0 False", "True", "1 None", f"{papers.authority} {types}"]


def test_a_program_that_serves_looks_for_cycles_less_often_than_with_every_batch_of_requests():
    told = (
        "import gc; from agent import memory; memory.keep_what_stays();"
        "print(gc.get_freeze_count() > 0, *gc.get_threshold())"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    frozen, young, *_ = done.stdout.split()
    assert frozen == "True"
    assert int(young) == 5_000


FRAGMENTED = """
import asyncio, ctypes
from agent import memory
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def held():
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * 4096
async def main():
    memory.keep_blocks_apart()
    before, blocks = held(), []
    for _ in range(400):
        blocks.append(libc.malloc(100_000))
        libc.memset(blocks[-1], 1, 100_000)
        libc.malloc(2_000)  # stays above it
    for block in blocks:
        libc.free(block)
    free = held() - before
    async with memory.given_back(pause_s=0.01), asyncio.timeout(20):
        while held() - before > 10_000_000:
            await asyncio.sleep(0.01)
    print(free > 30_000_000)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is another one")
def test_what_is_free_between_blocks_that_stay_is_given_back():
    done = subprocess.run(
        [sys.executable, "-c", FRAGMENTED], capture_output=True, text=True, check=True, env={"PATH": ""}
    )
    assert done.stdout.strip() == "True"


class Knot:
    """Two of them refer to each other."""


@pytest.mark.parametrize(("ends", "later_s"), [(1, 0.05), (100, 3_600.0)], ids=["a few", "many"])
async def test_what_ends_is_looked_for_later_where_it_is_little_and_soon_where_it_is_much(monkeypatch, ends, later_s):
    from agent import memory

    monkeypatch.setattr(memory, "_LATER_S", later_s)
    leftovers, gone, loop = memory.Leftovers(), asyncio.Event(), asyncio.get_running_loop()
    gc.disable()
    try:
        one, other = Knot(), Knot()
        one.other, other.other = other, one
        weakref.finalize(one, loop.call_soon, gone.set)
        del one, other
        for _ in range(ends):
            leftovers.note()
        async with asyncio.timeout(10):
            await gone.wait()
    finally:
        gc.enable()

"""Tests that threads share one heap, as glibc itself tells."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys, threading
from edgekit.system.memory import share_heap

if sys.argv[1] == "shared":
    share_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.fdopen.restype = ctypes.c_void_p
ready = threading.Barrier(8)

def work():
    held = libc.malloc(1 << 20)
    ready.wait()
    libc.free(held)

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has these settings")
def test_all_threads_allocate_from_one_heap():
    counts = {}
    for name in ("own", "shared"):
        command = [sys.executable, "-c", COUNT, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        counts[name] = done.stdout.count("<heap nr=")
    assert counts["shared"] == 1 < counts["own"]

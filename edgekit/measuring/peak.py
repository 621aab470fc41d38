"""Measures how many multiply-adds and bytes this machine moves at most: the roofs of a roofline.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 2009. A process of its own measures with numpy, because the number of threads
of a matrix product has to be set before numpy is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import msgspec

from edgekit.errors import EdgeKitError
from edgekit.system.memory import memory_gib

__all__ = ["Peak", "measure_peak"]

_SIDE = 1024
_SECONDS = 0.3
_MIB = 1 << 20
_LARGEST, _SMALLEST, _SHARE = 128 * _MIB, 8 * _MIB, 64
"""Bounds in bytes of each copied array, and the part of the memory that it may have."""

_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM")
_PATIENCE = 60.0


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """Most that this machine was seen to do with a number of threads.

    Attributes:
        threads: Number of threads.
        gmacs: Billions of float32 multiply-adds a second, of a matrix product.
        gbytes: Billions of bytes a second that a copy in main memory reads and writes.
    """

    threads: int
    gmacs: float
    gbytes: float

    def least_ms(self, macs: int, moved: int) -> float:
        """Returns the least milliseconds for a number of multiply-adds and of bytes."""
        return max(macs / self.gmacs, moved / self.gbytes) / 1e6

    def is_bound_by_compute(self, macs: int, moved: int) -> bool:
        """Returns whether multiply-adds take longer than moving the bytes."""
        return macs / self.gmacs > moved / self.gbytes


def measure_peak(threads: int) -> Peak:
    """Measures the peak of this machine; takes about a second.

    Args:
        threads: Number of threads, at least 1.

    Raises:
        EdgeKitError: The process that measures ended early.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from edgekit.measuring import peak; peak.main()"
    )
    names = {f"{name}{'' if name.endswith('MAXIMUM') else '_NUM'}_THREADS" for name in _THREADS}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(threads)],
            env={**os.environ, **dict.fromkeys(names, str(threads))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        )
        return msgspec.json.decode(done.stdout, type=Peak)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        raise EdgeKitError(f"EdgeKit could not measure the peak of this machine: {error}.") from (
            error
        )


def main() -> None:
    """Prints the peak with the number of threads that the command line names, as JSON."""
    threads = int(sys.argv[1])
    peak = Peak(threads=threads, gmacs=round(_gmacs(), 2), gbytes=round(_gbytes(threads), 2))
    sys.stdout.write(msgspec.json.encode(peak).decode())


def _gmacs() -> float:
    import numpy as np

    first, second = (np.full((_SIDE, _SIDE), value, np.float32) for value in (0.5, 2.0))
    product = np.empty_like(first)
    return _SIDE**3 / _fastest(lambda: np.matmul(first, second, out=product)) / 1e9


def _gbytes(threads: int) -> float:
    import numpy as np

    room = int((memory_gib() or 1.0) * 2**30) // _SHARE
    source = np.ones(max(_SMALLEST, min(_LARGEST, room)), np.uint8)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))

    def copy() -> None:
        # numpy copies without Python's lock, so that the threads really copy at once.
        workers = [threading.Thread(target=np.copyto, args=(to, part)) for part, to in parts[1:]]
        for worker in workers:
            worker.start()
        np.copyto(parts[0][1], parts[0][0])
        for worker in workers:
            worker.join()

    return 2 * source.nbytes / _fastest(copy) / 1e9


def _fastest(work: Callable[[], object]) -> float:
    """Returns the seconds of the fastest call within a short time, after a first one."""
    work()
    best, end = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best

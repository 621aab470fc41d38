"""The compiled library: whether it is there, and which kernel of it is in use."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import time
from pathlib import Path
from typing import NamedTuple

from edgekit._installed import install_line
from edgekit.errors import MissingDependencyError, UsageError
from edgekit.runtime.native import structures

__all__ = ["NUMPY", "VARIABLE", "Setting", "clock", "compiled", "load", "rebuild", "setting"]

VARIABLE = "EDGEKIT_KERNEL"
"""The environment variable that names the kernel to use instead of the fastest."""

NUMPY = "numpy"
"""The kernel that needs no library."""

_LOG = logging.getLogger(__name__)
_NAMES = ("avx512", "avx2", "sse2", "neon", "generic")
_LIBRARY = Path(__file__).with_name("_kernels.so")


class Setting(NamedTuple):
    """Which kernel is in use.

    Attributes:
        kernel: ``avx512``, ``avx2``, ``sse2``, ``neon``, ``generic`` or ``numpy``.
        available: All that run here, fastest first.
        problem: Why the library is of no use; empty where it is.
    """

    kernel: str
    available: tuple[str, ...]
    problem: str


def setting() -> Setting:
    """The kernel that cascades made from now on use: the fastest, or that of ``EDGEKIT_KERNEL``.

    Raises:
        UsageError: The variable names none, or one that this processor lacks.
        MissingDependencyError: It names one of the library, which is missing or broken.
    """
    library, problem = load()
    available = (*_kernels(library), NUMPY)
    wanted = os.environ.get(VARIABLE, "").strip()
    if not wanted:
        return Setting(available[0], available, problem)
    if wanted in available:
        return Setting(wanted, available, problem)
    if wanted in _NAMES and library is None:
        raise MissingDependencyError(
            f"{VARIABLE} asks for the kernel {wanted}: {problem}.", mend=rebuild()
        )
    raise UsageError(
        f"{VARIABLE} is one of {', '.join(available)} on this machine, not {wanted!r}.",
        mend=f"Run: unset {VARIABLE}",
    )


def clock() -> float:
    """Cycles a second of the core that this runs on, at this moment, by a chain of additions.

    Raises:
        MissingDependencyError: There is no library.
    """
    library, problem = load()
    if library is None:
        raise MissingDependencyError(f"The clock is measured in C: {problem}.", mend=rebuild())
    library.count.argtypes, library.count.restype = [ctypes.c_uint64], ctypes.c_uint64
    spent: list[float] = []
    for _ in range(9):
        begin = time.perf_counter()
        additions = int(library.count(250_000))
        spent.append((time.perf_counter() - begin) / additions)
    return 1 / min(spent)


def compiled() -> ctypes.CDLL | None:
    """The library, for what has one kernel; None where there is none or numpy is asked for.

    Unlike ``setting`` it is quick, and does not ask whether the variable names anything. Where the
    library is of no use it says so, once in a process.
    """
    if os.environ.get(VARIABLE, "").strip() == NUMPY:
        return None
    library, problem = load()
    if library is None:
        _tell(problem)
    return library


@functools.cache
def _tell(problem: str) -> None:
    _LOG.warning(
        "EdgeKit computes with numpy, which is up to ten times slower: %s. %s", problem, rebuild()
    )


def rebuild() -> str:
    """What gets the library where it is missing."""
    line = install_line(options="--force-reinstall --no-deps")
    return f"Run, where a C compiler is: {line}"


@functools.cache
def load() -> tuple[ctypes.CDLL | None, str]:
    """The library, or why there is none."""
    if not _LIBRARY.is_file():
        return None, "the compiled kernel was not built"
    try:
        library = ctypes.CDLL(str(_LIBRARY))
        sizes = [library.layout(which) for which in range(len(structures.LAYOUTS))]
        if sizes == [*map(ctypes.sizeof, structures.LAYOUTS)] and _is_current(library):
            return library, ""
    except (OSError, AttributeError) as error:
        return None, f"the compiled kernel does not load: {error}"
    return None, "the compiled kernel was built from other sources"


def _is_current(library: ctypes.CDLL) -> bool:
    """Whether it was built from the sources beside it, where they are there: in a checkout."""
    files = sorted(_LIBRARY.parent.glob("*.[ch]"))
    if not files:
        return True
    library.sources.restype = ctypes.c_char_p
    built_from: bytes = library.sources()
    content = b"".join(path.read_bytes() for path in files)
    return built_from.decode() == hashlib.sha256(content).hexdigest()[:16]


def _kernels(library: ctypes.CDLL | None) -> tuple[str, ...]:
    if library is None:
        return ()
    library.kernels.restype = ctypes.c_char_p
    named: bytes = library.kernels()
    return tuple(named.decode().split())

"""Loads the compiled library, and selects one of its kernels."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import MissingDependencyError, UsageError
from edgekit.runtime.native import structures
from edgekit.system.installation import install_line

__all__ = ["NUMPY", "VARIABLE", "Setting", "clock", "compiled", "load", "rebuild", "setting"]

VARIABLE = "EDGEKIT_KERNEL"
"""Environment variable that names the kernel to use instead of the fastest."""

NUMPY = "numpy"
"""Kernel that needs no library."""

_LOG = logging.getLogger(__name__)
_NAMES = ("avx512", "avx2", "sse2", "neon")
_LIBRARY = Path(__file__).with_name("_kernels.so")


@dataclass(frozen=True, slots=True)
class Setting:
    """The kernel in use.

    Attributes:
        kernel: Name of the kernel: ``avx512``, ``avx2``, ``sse2``, ``neon`` or ``numpy``.
        available: Kernels that run on this machine, fastest first.
        problem: Reason why the library cannot be used; empty if it can.
    """

    kernel: str
    available: tuple[str, ...]
    problem: str


def setting() -> Setting:
    """Returns the kernel for new cascades: the fastest, or that of ``EDGEKIT_KERNEL``.

    Raises:
        UsageError: The variable names no kernel, or one that this processor lacks.
        MissingDependencyError: It names a kernel of the library, which is missing or broken.
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
            f"{VARIABLE} asks for the kernel {wanted}: {problem}.", hint=rebuild()
        )
    raise UsageError(
        f"Expected the environment variable {VARIABLE} to be one of {', '.join(available)} on this "
        f"machine; found {wanted!r}.",
        hint=f"Change the variable, or remove it: unset {VARIABLE}",
    )


def clock() -> float:
    """Returns the current cycles per second of this core, by a chain of additions.

    Raises:
        MissingDependencyError: There is no library.
    """
    library, problem = load()
    if library is None:
        raise MissingDependencyError(
            f"Measuring the processor's clock needs the compiled library: {problem}.",
            hint=rebuild(),
        )
    library.count.argtypes, library.count.restype = [ctypes.c_uint64], ctypes.c_uint64
    spent: list[float] = []
    for _ in range(9):
        begin = time.perf_counter()
        additions = int(library.count(250_000))
        spent.append((time.perf_counter() - begin) / additions)
    return 1 / min(spent)


def compiled() -> ctypes.CDLL | None:
    """Returns the library, for code with one kernel; None if it is missing or numpy is requested.

    Unlike ``setting`` it is fast, and does not check the variable's value. If the library cannot be
    used, it says so once per process.
    """
    if os.environ.get(VARIABLE, "").strip() == NUMPY:
        return None
    library, problem = load()
    if library is None:
        _warn(problem)
    return library


@functools.cache
def _warn(problem: str) -> None:
    _LOG.warning(
        "EdgeKit computes with numpy, which is up to ten times slower: %s. %s", problem, rebuild()
    )


def rebuild() -> str:
    """Returns the command that provides a missing library."""
    line = install_line(options="--force-reinstall --no-deps")
    return f"Run, where a C compiler is: {line}"


@functools.cache
def load() -> tuple[ctypes.CDLL | None, str]:
    """Returns the library, or the reason why there is none."""
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
    """Returns whether it was built from the sources beside it, if those exist (a checkout)."""
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

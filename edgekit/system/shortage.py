"""Detects that the system grants this process no more memory, threads or open files."""

from __future__ import annotations

import errno

from edgekit._parameters import parameter
from edgekit.errors import ResourceError

__all__ = ["GPU_MEMORY", "MEMORY", "shortage_of"]

MEMORY = "This process could not allocate more memory."
GPU_MEMORY = "The GPU has too little memory."
"""Messages of the shortages of memory, by which a caller knows them."""

_NO_THREAD = "can't start new thread"
"""Text of Python's ``RuntimeError``, which has no error number."""

_NO_MEMORY = (
    "bad_alloc",
    "alloc_failed",
    "allocate memory",
    "allocate shared memory",
    "insufficient memory",
    "out of memory",
    "failed to map segment from shared object",
)
"""Texts of C++ exceptions in runtimes and OpenCV, and of the system's loader, in lower case."""

_ON_GPU = ("cuda", "cublas", "cudnn")
"""Names in these texts by which a GPU has too little memory, in lower case."""


def shortage_of(error: BaseException | None) -> ResourceError | None:
    """Returns a ``ResourceError`` if the error or one of its causes is a resource shortage."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        text = str(error)
        if number in (errno.EMFILE, errno.ENFILE):
            return ResourceError(
                "This process may not open any more files.",
                hint="Raise the limit (ulimit -n 4096; in a systemd unit LimitNOFILE=4096), or use "
                "fewer sources and outputs.",
            )
        if (number == errno.EAGAIN and "thread" in text) or _NO_THREAD in text:
            return ResourceError(
                "This process may not start any more threads.",
                hint="Raise the limit (ulimit -u; in a systemd unit TasksMax=), give the process "
                f"more memory, or use fewer threads: {parameter('threads', 1)}",
            )
        lower = text.lower()
        if (
            isinstance(error, MemoryError)
            or number == errno.ENOMEM
            or any(words in lower for words in _NO_MEMORY)
        ):
            if isinstance(error, RuntimeError) and any(name in lower for name in _ON_GPU):
                return ResourceError(
                    GPU_MEMORY,
                    hint="End other programs that use it (nvidia-smi lists them), or use a smaller "
                    "model.",
                )
            return ResourceError(
                MEMORY,
                hint="Raise the limit (ulimit -v; in a systemd unit MemoryMax=), use fewer "
                "sources, or use a smaller model.",
            )
        error = error.__cause__ or error.__context__
    return None

"""What is said where the system gives this process no more memory, threads or open files."""

from __future__ import annotations

import errno

from edgekit.errors import ResourceError

__all__ = ["shortage_of"]

_NO_THREAD = "can't start new thread"
"""What Python says, as a ``RuntimeError`` without a number."""

_NO_MEMORY = ("bad_alloc", "allocate memory", "insufficient memory", "out of memory")
"""What the C++ of runtimes and of OpenCV says, in lower case."""


def shortage_of(error: BaseException | None) -> ResourceError | None:
    """The error that says so, if what was raised, or what that came from, is such a want."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        text = str(error)
        if number in (errno.EMFILE, errno.ENFILE):
            return ResourceError(
                "This process may not open any more files.",
                mend="Let it open more (ulimit -n 4096, in a unit LimitNOFILE=4096), or write to "
                "fewer places.",
            )
        if (number == errno.EAGAIN and "thread" in text) or _NO_THREAD in text:
            return ResourceError(
                "This process may not start any more threads.",
                mend="Let it start more (ulimit -u, in a unit TasksMax=), give it more memory, or "
                "use fewer: --threads 1",
            )
        lower = text.lower()
        if (
            isinstance(error, MemoryError)
            or number == errno.ENOMEM
            or any(words in lower for words in _NO_MEMORY)
        ):
            return ResourceError(
                "This process gets no more memory.",
                mend="Give it more (ulimit -v, in a unit MemoryMax=), or run fewer sources, or a "
                "smaller model.",
            )
        error = error.__cause__ or error.__context__
    return None

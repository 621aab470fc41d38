"""Keeps the beginning of what ``ssh`` writes on standard error."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import IO

__all__ = ["ErrorText"]

_MOST_SAID = 1 << 16


class ErrorText:
    """Reads what ``ssh`` writes on standard error, and keeps its beginning.

    Args:
        stream: Standard error of ``ssh``.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def read(self) -> str:
        """Returns the beginning, after ``ssh`` has ended or a second."""
        self._thread.join(1)
        return self._kept.decode(errors="replace")

    def close(self) -> None:
        """Closes the stream."""
        self._thread.join(1)
        self._stream.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed
            while piece := os.read(self._stream.fileno(), _MOST_SAID):
                self._kept += piece[: _MOST_SAID - len(self._kept)]

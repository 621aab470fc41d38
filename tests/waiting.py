"""Waits for what another thread or process does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["LIMIT", "wait_until"]

T = TypeVar("T")

LIMIT = 120.0
"""Seconds after which a test gives up."""


def wait_until(condition: Callable[[], T], process: subprocess.Popen[Any] | None = None) -> T:
    """Returns the first result of a function that is not false.

    Args:
        condition: Function that is called again and again.
        process: Process that must not end before; its output is then the reason of the failure.
    """
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        if process is not None:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not happen within two minutes"
        time.sleep(0.01)
    return found

"""Times several functions in turn, so that changes of the machine affect all of them equally."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from edgekit.measuring.machine import processor

__all__ = ["interleaved", "machine"]


def machine() -> str:
    """Returns a line that describes the machine."""
    parts = (
        processor(),
        f"{os.cpu_count()} cores",
        f"load {os.getloadavg()[0]:.1f}",
        f"Python {platform.python_version()}",
        f"numpy {np.__version__}",
        f"OpenCV {cv2.__version__}",
    )
    return ", ".join(parts)


def interleaved(
    ways: Mapping[str, Callable[[], object]], *, repeats: int = 20, warm_up: int = 2
) -> dict[str, float]:
    """Returns the median seconds of each way, called in turn.

    Args:
        ways: Functions by name; each is called without arguments.
        repeats: Number of measured calls of each.
        warm_up: Number of calls of each before the measured ones.
    """
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + repeats):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if turn >= warm_up:
                spent[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in spent.items()}

"""Timing several ways of doing one thing, in turn, so that a drifting machine meets them alike."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from edgekit.benchmarks.machine import processor

__all__ = ["interleaved", "machine"]


def machine() -> str:
    """One line that says what was measured on."""
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
    """The median seconds of each way, called in turn.

    Args:
        ways: By name; each is called without arguments.
        repeats: Counted calls of each.
        warm_up: Calls of each that are not counted, first.
    """
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + repeats):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if turn >= warm_up:
                spent[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in spent.items()}

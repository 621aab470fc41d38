"""Measures the time of each stage, in memory that does not grow with the stream."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

__all__ = ["STAGES", "Clock", "StageClocks", "StageTimes", "measure"]

STAGES = ("capture", "cascade", "network", "decode", "link", "emit")
"""Stages of a frame, in order, with the names that are used everywhere."""

_FIRST = 1e-7
_RATIO = 1.01
_BINS = 2400


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Durations of one stage over all frames, in milliseconds.

    Attributes:
        p50: Median duration; percentiles are exact to 1%.
        p90: 90th percentile of the duration.
        p99: 99th percentile of the duration.
        mean: Mean duration over all frames.
        total: Sum of the durations of all frames.
    """

    p50: float
    p90: float
    p99: float
    mean: float
    total: float


class Clock:
    """A histogram whose bins grow by 1%, from 100 ns to over half an hour."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._count = 0
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Adds one duration."""
        place = int(math.log(max(seconds, _FIRST) / _FIRST) / math.log(_RATIO))
        self._counts[min(place, _BINS - 1)] += 1
        self._count += 1
        self._total += seconds

    def times(self) -> StageTimes:
        """Returns the statistics so far."""
        if not self._count:
            return StageTimes(0.0, 0.0, 0.0, 0.0, 0.0)
        ranks = np.ceil(np.array([0.5, 0.9, 0.99]) * self._count)
        places = np.searchsorted(np.cumsum(self._counts), ranks)
        p50, p90, p99 = (1e3 * _FIRST * _RATIO ** (places + 0.5)).tolist()
        total = 1e3 * self._total
        return StageTimes(p50, p90, p99, total / self._count, total)


@contextmanager
def measure(ms: dict[str, float], stage: str) -> Iterator[None]:
    """Stores the duration of the block in ``ms``, in milliseconds, under the stage's name."""
    begin = time.perf_counter()
    yield
    ms[stage] = 1e3 * (time.perf_counter() - begin)


class StageClocks:
    """A clock for each stage."""

    def __init__(self) -> None:
        self._clocks = {stage: Clock() for stage in STAGES}

    def add(self, ms: Mapping[str, float]) -> None:
        """Adds a frame by the milliseconds of its stages."""
        for stage, milliseconds in ms.items():
            self._clocks[stage].add(milliseconds / 1e3)

    def times(self) -> dict[str, StageTimes]:
        """Returns the statistics of every stage so far, by name and in order."""
        return {stage: clock.times() for stage, clock in self._clocks.items()}

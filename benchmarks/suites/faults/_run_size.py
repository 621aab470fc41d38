"""Samples memory, threads and descriptors of a run, and fits their trend."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekit.benchmarks.suites.faults.stream_faults import size_of

__all__ = ["SizeSample", "Trend", "observed", "print_sizes", "trends_of"]

_PERIOD = 10.0
_ROWS = 12
_LONGEST = 60.0
_FLAT = {"memory, MiB": 0.01, "threads": None, "descriptors": None}
"""Largest growth that counts as flat, as a share of the mean; None for one half."""


class SizeSample(NamedTuple):
    """Size of the run at a moment.

    Attributes:
        minute: Minutes since the start.
        sizes: Resident MiB, threads and open descriptors.
    """

    minute: float
    sizes: tuple[float, int, int]


class Trend(NamedTuple):
    """Straight line through the samples of a size.

    Attributes:
        slope: Change per hour.
        growth: Change over the time of the samples.
        uncertainty: Two standard errors of ``growth``.
        is_flat: Whether the growth is below 1% for memory and one half for counts, within the
            uncertainty.
    """

    slope: float
    growth: float
    uncertainty: float
    is_flat: bool


def observed(
    command: list[str], seconds: float, file: Path | None
) -> tuple[list[SizeSample], dict[str, Any]]:
    """Runs a command of EdgeKit for a time; returns samples of its size, and its report.

    Args:
        command: Command with ``--json``, which does not end by itself.
        seconds: Duration, after which SIGTERM ends it.
        file: CSV file to which each sample is appended at once; None for none.
    """
    samples = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        try:
            threading.Thread(target=_drained, args=(run.stderr,), daemon=True).start()
            begin = time.monotonic()
            while (spent := time.monotonic() - begin) < seconds:
                time.sleep(min(_PERIOD, seconds - spent))
                if run.poll() is not None:
                    raise SystemExit(f"The run ended with status {run.returncode}.")
                sample = SizeSample((time.monotonic() - begin) / 60, size_of(run.pid))
                samples.append(sample)
                if file is not None:
                    with file.open("a") as stream:
                        stream.write(",".join(map(str, (sample.minute, *sample.sizes))) + "\n")
            run.send_signal(signal.SIGTERM)
            stdout, _ = run.communicate(timeout=_LONGEST)
        finally:
            run.kill()
    return samples, json.loads(stdout)


def trends_of(samples: list[SizeSample]) -> dict[str, Trend]:
    """Returns the trend of each size.

    Args:
        samples: At least three samples.
    """
    minutes = np.array([sample.minute for sample in samples])
    time = minutes - minutes.mean()
    span, spread = float(np.ptp(minutes)), float(time @ time)
    found = {}
    for column, (name, share) in enumerate(_FLAT.items()):
        values = np.array([sample.sizes[column] for sample in samples], np.float64)
        slope = float(time @ values) / spread
        rest = values - values.mean() - slope * time
        uncertainty = 2 * span * float(rest @ rest / (len(samples) - 2) / spread) ** 0.5
        bound = 0.5 if share is None else share * float(values.mean())
        growth = slope * span
        is_flat = abs(growth) < bound + uncertainty
        found[name] = Trend(60 * slope, growth, uncertainty, is_flat)
    return found


def print_sizes(samples: list[SizeSample]) -> None:
    """Prints some of the samples and their trends as Markdown tables."""
    print("\n| minute | memory, MiB | threads | descriptors |\n|---|---|---|---|")
    for sample in samples[:: max(1, len(samples) // _ROWS)]:
        memory, threads, descriptors = sample.sizes
        print(f"| {sample.minute:.1f} | {memory:.1f} | {threads} | {descriptors} |")
    print("\n| size | slope per hour | growth | uncertainty | flat |\n|---|---|---|---|---|")
    for name, trend in trends_of(samples).items():
        numbers = " | ".join(f"{number:+.2f}" for number in trend[:3])
        print(f"| {name} | {numbers} | {'yes' if trend.is_flat else 'no'} |")


def _drained(stream: Any) -> None:
    for _ in stream:
        pass

"""Measures how much the profiler of each runtime distorts, and where the time of a network goes.

Run it as ``python -m edgekit.benchmarks.suites.operators.profiles [BUNDLE...]``. For each bundle,
and each runtime that reports its operators, it prints the time of an inference without the
profiler, the ratio with it, the share of the operators in it, and the time by type of operator.
Inputs are noise; the default is the two shipped bundles on one thread.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.assets import default_bundle
from edgekit.benchmarks.operators import measure_peaks
from edgekit.benchmarks.report.operator_tables import groups_of
from edgekit.bundle import load_bundle
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError
from edgekit.measuring.timing import machine
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import runtimes_of

__all__ = ["main"]

_TYPES = 6


def _profile(path: Path, runtime: str, arguments: Any) -> None:
    options = SessionOptions(runtime=runtime, threads=arguments.threads)
    with Detector(path, options=options) as detector:
        made = detector.bundle.manifest.input
        random = np.random.default_rng(0)
        picture = random.integers(0, 256, (made.height, made.width, 3), dtype=np.uint8)
        inputs, _ = detector.prepare(picture)
        times = detector.session.profile(inputs, rounds=arguments.rounds)
    inside = 1 - times.outside_ms / times.profiled_ms
    print(
        f"{path.name}, {runtime}: {times.session_ms:.2f} ms, with the profiler "
        f"{times.profiled_ms / times.session_ms:.3f} of it; operators {inside:.1%}"
    )
    for group in groups_of(times)[:_TYPES]:
        print(f"  {group.name:<24}{group.ms:>9.3f} ms{group.ms / times.profiled_ms:>8.1%}")


def main() -> None:
    """Prints the peak of this machine and a profile of each bundle on each of its runtimes."""
    parser = argparse.ArgumentParser(description="Measures profilers of runtimes.")
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=50, help="inferences with the profiler")
    arguments = parser.parse_args()
    print(machine())
    for peak in measure_peaks([1, arguments.threads]):
        print(f"{peak.threads} threads: {peak.gmacs} GMAC/s float32, {peak.gbytes} GB/s")
    for path in arguments.bundles or [default_bundle(precision="fp32"), default_bundle()]:
        try:
            for runtime in runtimes_of(load_bundle(path)):
                _profile(path, runtime, arguments)
        except EdgeKitError as error:
            print(f"{path.name}: {error}")


if __name__ == "__main__":
    main()

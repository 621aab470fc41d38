"""Measures everything except the network: its time per frame, and its share of the frame.

Run it as ``python -m edgekit.benchmarks.suites.speed.beside_network --cache FOLDER [VIDEO]``; VIDEO
defaults to the clip of ``edgekit bench``. Inputs are 256x256, on one core. The first model is the
shipped INT8 model on ONNX Runtime. The second is DLA-34 with DCNv2 and random weights in float32 on
OpenVINO, made in FOLDER the first time. Each runs with the compiled kernels and without. Every row
has its own process, and a round is one pass of each row. Sums are taken frame by frame.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit.assets import default_bundle
from edgekit.benchmarks.footage import write_demo_clip
from edgekit.benchmarks.protocol import Job, Lap
from edgekit.benchmarks.suites.support.networks import exported, random_weights
from edgekit.benchmarks.suites.support.pinning import environment, pinned
from edgekit.benchmarks.workers import Worker
from edgekit.bundle import load_bundle
from edgekit.calibration.store import Store
from edgekit.errors import EdgeKitError
from edgekit.measuring.timing import machine
from edgekit.pipeline.stage_timer import STAGES
from edgekit.runtime import native
from edgekit.targets.registry import TARGETS

__all__ = ["beside", "main"]

_NETWORK = STAGES.index("network")
_MOST_MS = {"native": 3.0, "numpy": 10.0}


@dataclass(slots=True)
class _KernelRow:
    """A bundle with one kernel, and the largest share of the frame that the rest may take."""

    name: str
    kernel: str
    most_share: float | None
    worker: Worker
    laps: list[Lap] = field(default_factory=list)


def beside(laps: Sequence[Lap]) -> tuple[float, float]:
    """Returns median milliseconds of a frame without its network, and their share of the frame.

    Args:
        laps: Rounds, at least one; the result is the median over them.
    """
    figures = []
    for lap in laps:
        times = np.array(lap.stages)
        whole = times.sum(axis=1)
        rest = whole - times[:, _NETWORK]
        figures.append((np.median(rest), np.median(rest / whole)))
    rest_ms, share = np.median(figures, axis=0).tolist()
    return rest_ms, share


def _start(bundle: Path, video: Path, frames: int, kernel: str) -> Worker:
    target = load_bundle(bundle).manifest.target
    job = Job(
        bundle=str(bundle),
        source=str(video),
        frames=frames,
        runtime=TARGETS[target].runtimes[0],
        threads=1,
        arithmetic="f32" if target == "openvino" else None,
    )
    chosen = native.NUMPY if kernel == "numpy" else ""  # the kernel that this machine selects
    with pinned(1), environment({native.VARIABLE: chosen}):
        return Worker(job)


def _line(row: _KernelRow) -> str:
    medians = np.median([np.median(lap.stages, axis=0) for lap in row.laps], axis=0)
    rest, share = beside(row.laps)
    cells = [row.name, row.kernel]
    cells += [f"{ms:.2f}" for place, ms in enumerate(medians) if place != _NETWORK]
    cells += [f"{rest:.2f}", f"{_MOST_MS[row.kernel]:g}", f"{medians[_NETWORK]:.1f}"]
    cells += [f"{100 * share:.1f}%", f"{100 * row.most_share:g}%" if row.most_share else ""]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints a row for each network and kernel."""
    parser = argparse.ArgumentParser(description="Measures all stages except the network.")
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder for networks")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=100)
    arguments = parser.parse_args()
    store, frames = Store(arguments.cache), arguments.frames
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            video = arguments.video or write_demo_clip(folder)
            deep = exported(store, random_weights(store, "dla34"), "openvino")
            rows = []
            for name, bundle, share in (
                ("shipped INT8", default_bundle(), 0.25),
                ("DLA-34 + DCNv2", deep, 0.02),
            ):
                for kernel in _MOST_MS:
                    worker = stack.enter_context(_start(bundle, video, frames, kernel))
                    bound = share if kernel == "native" else None
                    rows.append(_KernelRow(name, kernel, bound, worker))
            for turn in range(arguments.rounds):
                first = turn % len(rows)
                for row in (*rows[first:], *rows[:first]):
                    row.laps.append(row.worker.play())
        except EdgeKitError as error:
            raise SystemExit(str(error)) from error
    kernel = native.setting().kernel
    print(f"{machine()}, one core; `native` is {kernel}; {arguments.rounds} rounds\n")
    rest = [stage for stage in STAGES if stage != "network"]
    headings = ["network", "kernel", *rest, "all of these", "bound", "the network", "share"]
    print(f"| {' | '.join((*headings, 'bound'))} |")
    print(f"| --- | --- {'| ---: ' * (len(headings) - 1)}|")
    for row in rows:
        print(_line(row))


if __name__ == "__main__":
    main()

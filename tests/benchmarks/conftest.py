"""Makes reports of ``edgekit bench`` with given times."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.benchmarks.protocol import Lap, Ready
from edgekit.benchmarks.report.figures import make_result
from edgekit.benchmarks.report.report import Accuracy, FootageInfo, Report, Row
from edgekit.measuring.machine import Conditions, describe_machine


def lap(network: float = 10.0, frames: int = 20, **more) -> Lap:
    """Every stage but ``network`` takes 0.5 ms, in every frame."""
    stages = np.full((frames, 6), 0.5)
    stages[:, 2] = network
    seconds = float(stages.sum()) / 1e3
    said = {
        "stages": stages.tolist(),
        "seconds": seconds,
        "cpu_seconds": 2 * seconds,
        "whole_cpu_seconds": 2 * seconds,
        "passed": frames + 6,
        "peak_memory": 100 << 20,
    }
    return Lap(**{**said, **more})


@pytest.fixture
def make_lap():
    return lap


@pytest.fixture
def make_ready():
    def make(**more) -> Ready:
        said = {"first_frame": 0.8, "version": "1.0", "device": "CPU", "arithmetic": "f32"}
        return Ready(**{**said, "warm_up": 32, "steady": True, **more})

    return make


@pytest.fixture
def make_report(make_ready):
    def make(
        rows: dict[str, list[float]],
        *,
        accuracy: dict[str, float] | None = None,
        conditions: Conditions | None = None,
        joules: float | None = None,
    ) -> Report:
        """A report with a row for each name, which has a round for each time of its network."""
        quiet = conditions or Conditions(0.0, 0.0, 3000.0, 50.0, 0)
        made = []
        for name, times in rows.items():
            judged = None
            if accuracy:
                found = accuracy[name]
                at = dict.fromkeys(("0.2", "0.5", "0.75", "0.5:0.95"), found / 2)
                judged = Accuracy(frame_map=found, video_map=at, videos=4, frames=320)
            measured = [(lap(time), quiet, joules) for time in times]
            row = Row(
                bundle=name,
                sha256="0" * 64,
                target="onnx",
                precision="fp32",
                input=(256, 256),
                cascade="ssim, host",
                size=12_500_000,
                runtime="onnxruntime",
                threads=1,
                arithmetic=None,
                result=make_result(make_ready(), measured, judged),
            )
            made.append(row)
        return Report(
            created="2026-01-01T00:00:00+00:00",
            machine=describe_machine(),
            footage=FootageInfo(name="clip", width=320, height=240, frames=130),
            frames=20,
            energy="not measured",
            rows=made,
        )

    return make

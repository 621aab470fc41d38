"""Tests that the device side loads no host library, and ``--help`` loads little."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from edgekit.targets.registry import TARGETS

HOST_ONLY = {
    *("torch", "onnx", "onnxscript", "onnx_ir", "safetensors", "matplotlib", "skimage"),
    *("litert_torch", "ai_edge_quantizer", "jax", "pnnx"),
}
DEVICE_SIDE = [
    "edgekit.bundle",
    "edgekit.bundle.signing.signer",
    "edgekit.bundle.signing.verification",
    "edgekit.demo",
    "edgekit.detector",
    "edgekit.doctor.system",
    "edgekit.fleet.listener",
    "edgekit.media",
    "edgekit.media.sources.opening",
    "edgekit.synthetic",
    "edgekit.runtime.cascade",
    "edgekit.runtime.decode",
    "edgekit.pipeline.pipeline",
    "edgekit.runtime.selection",
    "edgekit.running.run",
    "edgekit.linking.trimming",
    "edgekit.linking.published",
    "edgekit.targets.jetson.engine",
    "edgekit.targets.rknn.environment",
    "edgekit.targets.registry",
    "edgekit.tracker",
]
UNUSED = {
    *("edgekit.cli.running.check", "edgekit.datasets.annotations", "edgekit.media.activity"),
    *("edgekit.media.sources.cameras.camera", "edgekit.media.sources.cameras.v4l2"),
    *("edgekit.metrics.detections", "numpy.ma", "tomllib"),
    *("aiohttp", "asyncio", "email", "http", "multiprocessing", "paho", "ssl"),
}
"""Modules that a run of a clip without further options does not use."""

SESSIONS = {
    session.partition(":")[0] for name in TARGETS.own for session in TARGETS[name].sessions.values()
}


def modules_after(statement: str) -> set[str]:
    """Returns the names of all modules that are loaded after a statement."""
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    # A measurement of coverage would load modules of its own.
    environment = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", [*DEVICE_SIDE, *sorted(SESSIONS)])
def test_the_device_side_loads_no_host_library(module):
    assert not modules_after(f"import {module}") & HOST_ONLY


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["doctor", "--help"], ["demo", "--help"], ["bench", "--help"]],
)
def test_help_loads_no_runtime(arguments):
    loaded = modules_after(f"from edgekit.cli import main as run\nrun({arguments})")
    assert not loaded & (HOST_ONLY | {"cv2", "numpy", "onnxruntime"})


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_names_of_edgekit_read_no_entry_points(arguments):
    loaded = modules_after(f"from edgekit.cli import main as run\nrun({arguments})")
    assert "email" not in loaded


def test_running_a_clip_loads_no_host_library(tmp_path):
    import cv2
    import numpy as np

    clip = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 25, (160, 120))
    for level in range(4):
        writer.write(np.full((120, 160, 3), 40 * level, np.uint8))
    writer.release()
    arguments = ["run", "--source", str(clip), "--events", str(tmp_path / "e"), "--json"]
    loaded = modules_after(f"from edgekit.cli import main as run\nassert run({arguments}) == 0")
    assert "onnxruntime" in loaded
    assert not loaded & HOST_ONLY
    assert not loaded & UNUSED


def test_the_demonstration_loads_no_host_library(tmp_path):
    arguments = ["demo", "-o", str(tmp_path / "demo"), "--json"]
    short = "from edgekit import demo\ndemo._FRAMES = 40\n"
    loaded = modules_after(
        f"{short}from edgekit.cli import main as run\nassert run({arguments}) == 0"
    )
    assert "onnxruntime" in loaded
    assert not loaded & HOST_ONLY


def test_scoring_loads_no_analysis_unless_asked(tmp_path):
    path = tmp_path / "found.json"
    frame = {"boxes": [[10, 10, 60, 90]], "scores": [{"0": 0.9}]}
    gt = {"label": 0, "start": 0, "end": 9, "boxes_xywh_1based": [[11, 11, 50, 80]] * 9}
    video = {"frames": 9, "gt": [gt], "detections": [frame] * 9}
    path.write_text(json.dumps({"classes": ["a"], "videos": {"v": video}}))
    code = (
        "from edgekit.cli import main as run\n"
        f"assert run(['eval', '--detections', {str(path)!r}, '--json']) == 0\n"
        "import sys; print([name for name in sys.modules if 'analysis' in name or "
        "name in ('edgekit.evaluation.report', 'edgekit.reporting', 'trackeval', 'scipy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

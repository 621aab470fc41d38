"""Writes a file of each schema, as this version of EdgeKit writes it.

    python -m tests.upgrades.write FOLDER

The files in ``files/`` were made by this module, run with the version that wrote such files first.
When a schema gets a new number, run it again and add the new file there; never change an old one.
A file is named KIND-SCHEMA; schema 0 is that of files from before they had a number.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch

from edgekit.assets import default_bundle
from edgekit.benchmarks.report.report import Report
from edgekit.bundle import load_bundle, save_bundle
from edgekit.bundle.manifest import LoweringTimes, Manifest
from edgekit.bundle.signing.signer import sign_bundle
from edgekit.cli.output.outcome import Outcome
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.tools.conversion import write_datasets
from edgekit.deploy.on_device.releases import ReleaseFacts, Releases
from edgekit.doctor.report import SystemReport
from edgekit.errors import OutputError
from edgekit.evaluation.report.writing import write_report
from edgekit.files.checksums import keep_file
from edgekit.fleet.messages import StatusMessage
from edgekit.linking.published import LiveTube
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.mqtt._outbox import Outbox, QueuedMessage
from edgekit.media.sources.cameras.v4l2 import Format
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.detections_writer import write_detections
from edgekit.metrics.evaluate import evaluate
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.models.checkpoints import save_checkpoint
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, GateSummary, RunInfo, RunSummary
from edgekit.pipeline.stage_timer import StageTimes
from edgekit.running.report import RunReport, SourceReport
from edgekit.running.sinks import TubeTally
from edgekit.runtime.native.library import Setting
from edgekit.runtime.types import Detections, Frame, Tube
from edgekit.targets.profile import PROFILE, Profile
from edgekit.training import run_folder
from edgekit.training.optimization.run_state import save_state
from edgekit.training.result import Epoch
from tests.ssh_keys import make_key

__all__ = ["CLASSES", "SETTINGS", "WRITERS"]

CLASSES = ["wave", "jump"]
SETTINGS = {"epochs": 3, "seed": 7, "rate": 0.001}


def sample(kind: Any) -> Any:
    """Returns a value of a type, with a value in each of its fields."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return inner[0]
    if origin in (typing.Union, types.UnionType):
        return sample(next(each for each in inner if each not in (type(None), msgspec.UnsetType)))
    if origin is tuple and inner[-1] is not ...:
        return tuple(map(sample, inner))
    if origin in (list, tuple):
        return origin([sample(inner[0])])
    if origin is dict:
        return {"key": sample(inner[1])}
    plain = {str: "text", int: 1, float: 0.5, bool: True}
    if kind in plain:
        return plain[kind]
    names = {"Format": Format, "Setting": Setting}  # imported for type checkers only
    hints = typing.get_type_hints(kind, {**vars(sys.modules[kind.__module__]), **names})
    return kind(**{name: sample(each) for name, each in hints.items() if name != "schema"})


def _bundle(path: Path) -> None:
    shipped = load_bundle(default_bundle())
    manifest: Manifest = msgspec.structs.replace(
        shipped.manifest,
        classes=tuple(CLASSES),
        outputs=tuple(
            msgspec.structs.replace(each, channels=len(CLASSES) if each.name == "hm" else 2)
            for each in shipped.manifest.outputs
        ),
        provenance=msgspec.structs.replace(
            shipped.manifest.provenance, lowerings=sample(LoweringTimes)
        ),
    )
    model = path.with_name("model")
    model.write_bytes(b"model")
    bundle = save_bundle(path, manifest, {manifest.model: model, "NOTICE": model})
    model.unlink()
    profile = Profile(
        bundle_sha256=bundle.sha256,
        processor="Sample CPU",
        architecture="x86_64",
        cores=2,
        runtime="onnxruntime",
        threads=2,
        arithmetic=None,
    )
    keep_file(path / PROFILE, msgspec.json.encode(profile), bundle.sha256)
    key = make_key(path.with_name("key"))
    sign_bundle(path, str(key))
    key.unlink()
    key.with_name("key.pub").rename(path.with_name(f"{path.name}.pub"))


def _tube() -> Tube:
    boxes = np.array([[1.0, 2.0, 30.0, 40.0], [2.0, 2.0, 31.0, 40.0]])
    return Tube(0, 1, 0.75, 3, 4, boxes, np.array([0.5, 0.75]), np.array([True, False]), 1)


def _summary() -> RunSummary:
    times = StageTimes(1.0, 2.0, 3.0, 1.5, 12.0)
    return RunSummary(8, 2, 0.5, {"network": times}, False, times, {"fps": 3}, GateSummary(2.0, 1))


def _events(path: Path) -> None:
    frame = Frame(3, 0.12, np.zeros((48, 64, 3), np.uint8))
    found = Detections(np.array([[1.0, 2.0, 30.0, 40.0]]), np.array([[0.0, 0.75]]))
    live = LiveTube(0, 1, 0.75, [1.0, 2.0, 30.0, 40.0], 0, 3, 1)
    change = BundleChange("bundle", "0" * 64, 4, tuple(CLASSES), "It is damaged.")
    with contextlib.closing(EventsSink(path, source_index=0)) as sink:
        sink.start(RunInfo("clip.mp4", 64, 48, 25.0, 10, tuple(CLASSES), "bundle", "0" * 64))
        sink.gap(Gap(3, "dropped", 2))
        sink.frame(FrameResult(frame, found, [live], {"network": 1.5}, 20.0))
        sink.tube(_tube())
        sink.bundle(change)
        sink.lost(2)
        sink.end(_summary())


def _saved() -> SavedDetections:
    boxes = np.array([[1.0, 2.0, 30.0, 40.0]] * 8)
    truth = VideoTruth("clip", 8, 64, 48, [TruthTube(1, 0, boxes)], 1)
    found = Detections(boxes[:1], np.array([[0.0, 0.75]]))
    frames = FrameDetections.of([found] * 7 + [None], len(CLASSES), fps=10.0)
    return SavedDetections(CLASSES, [SavedVideo(truth, frames)])


def _annotations(path: Path) -> None:
    boxes = np.array([[1.0, 2.0, 30.0, 40.0]] * 8)
    clip = VideoTruth("clip", 8, 64, 48, [TruthTube(1, 0, boxes)], 1)
    write_datasets(path.parent, {path.name: Truth(CLASSES, [clip])})


def _queue(path: Path) -> None:
    with Outbox(path, 1000) as queue:
        queue.add([QueuedMessage("door/tube/start", b"{}", "start")])


def _run_report(path: Path) -> None:
    health = SinkHealth("events", 12, 1, "The disk is full.", "h264", "The disk is full.")
    files = {"events": "events.jsonl"}
    bundle = ("bundle", "0" * 64)
    source = SourceReport(
        "clip.mp4", bundle, OutputError("Full."), _summary(), TubeTally(), 25.0, (health,), files
    )
    _json(path, RunReport((source,), 1.0, 0.5).to_json())


def _json(path: Path, result: object) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        Outcome(result).print(None)
    path.write_text(said.getvalue())


def _state(path: Path) -> None:
    save_state(
        path,
        {
            "epoch": 1,
            "step": 2,
            "sums": {"total": 3.0},
            "settings": json.dumps(SETTINGS),
            "network": {"weight": torch.ones(2)},
            "average": {"weight": torch.ones(2)},
            "optimizer": {"state": {}},
            "schedule": 5,
            "scaler": {},
            "best": (1, (0.5,)),
        },
    )


def _training(path: Path) -> None:
    run_folder.begin(path, SETTINGS, 0)
    for number in (1, 2):
        run_folder.add_to_history(path, Epoch(number, {"total": 1.5}, 0.001, (0.5,)))


def _checkpoint(path: Path) -> None:
    save_checkpoint(path, torch.nn.Linear(2, 1), {"classes": json.dumps(CLASSES)})


def _release(path: Path) -> None:
    facts = ReleaseFacts(
        bundle="bundle",
        sha256="0" * 64,
        target="onnx",
        edgekit="0.1.0",
        extras=["serve"],
        health="",
        service="user",
        notifies=True,
    )
    Releases(path).create(facts, 'source = "0"\n', None, path / "bundle", path / "venv")


WRITERS: dict[str, Callable[[Path], None]] = {
    "annotations.json": _annotations,
    "bench.json": lambda path: _json(path, sample(Report)),
    "bundle": _bundle,
    "checkpoint.safetensors": _checkpoint,
    "detections.json": lambda path: write_detections(path, _saved()),
    "doctor.json": lambda path: _json(path, sample(SystemReport)),
    "eval.json": lambda path: write_report(path, evaluate(_saved(), analyse=True)),
    "events.jsonl": _events,
    "queue.sqlite": _queue,
    "release": _release,
    "run.json": _run_report,
    "state.pt": _state,
    "status.json": lambda path: path.write_bytes(msgspec.json.encode(sample(StatusMessage))),
    "training": _training,
}
"""Function that writes a file or folder of each kind."""


if __name__ == "__main__":
    for name, write in WRITERS.items():
        write(Path(sys.argv[1], name))

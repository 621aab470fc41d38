"""Takes a trained online action detector to an edge device.

    from edgekit import Detector, Tracker, open_source

    with Detector("bundle") as detector, open_source("clip.mp4") as source:
        tracker = Tracker("edgekit", detector.classes)
        for frame in source:
            tubes = tracker.update(detector.detect(frame.image), frame.time, index=frame.index)

Each name is imported when it is first used, so that ``import edgekit`` is fast.

The docstring of a module or package may begin with the machine that it is for. HOST is the machine
with PyTorch that trains, exports and quantizes. DEVICE is the machine that runs bundles; its code
never imports PyTorch or a converter. Without either word, a module is for the machine of its
package, and a package is for both.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.benchmarks.bench import bench
    from edgekit.bundle import Bundle, load_bundle
    from edgekit.detector import Detector
    from edgekit.errors import EdgeKitError
    from edgekit.evaluation.evaluate import evaluate
    from edgekit.linking.published import LiveTube
    from edgekit.linking.registry import make_linker
    from edgekit.linking.tubes import Tubes
    from edgekit.media import Source, SourceOptions, open_source
    from edgekit.media.drawing.annotator import Annotator
    from edgekit.media.sinks.events import EventsSink
    from edgekit.media.sinks.mqtt.sink import MqttSink
    from edgekit.media.sinks.prometheus import Metrics
    from edgekit.media.sinks.sink import Sink
    from edgekit.media.sinks.summary_picture import PictureSink
    from edgekit.media.sinks.video.clips import ClipsSink
    from edgekit.media.sinks.video.file import VideoSink
    from edgekit.media.sinks.video.live import LiveVideoSink
    from edgekit.pipeline.pipeline import Pipeline
    from edgekit.pipeline.results import FrameResult
    from edgekit.quantization.quantize import quantize
    from edgekit.running.options import FrameOptions, RunOptions, TubeOptions
    from edgekit.running.output_options import ClipOptions, FileOptions, NetworkOptions
    from edgekit.running.run import run
    from edgekit.runtime.types import Detection, Detections, Frame, Tube
    from edgekit.targets.base import SessionOptions
    from edgekit.targets.export import export
    from edgekit.tracker import Tracker
    from edgekit.training.train import train

__all__ = [
    "Annotator",
    "Bundle",
    "ClipOptions",
    "ClipsSink",
    "Detection",
    "Detections",
    "Detector",
    "EdgeKitError",
    "EventsSink",
    "FileOptions",
    "Frame",
    "FrameOptions",
    "FrameResult",
    "LiveTube",
    "LiveVideoSink",
    "Metrics",
    "MqttSink",
    "NetworkOptions",
    "PictureSink",
    "Pipeline",
    "RunOptions",
    "SessionOptions",
    "Sink",
    "Source",
    "SourceOptions",
    "Tracker",
    "Tube",
    "TubeOptions",
    "Tubes",
    "VideoSink",
    "__version__",
    "bench",
    "evaluate",
    "export",
    "load_bundle",
    "make_linker",
    "open_source",
    "quantize",
    "run",
    "train",
]

__version__ = "0.1.0"

_HOMES = {
    "Annotator": "edgekit.media.drawing.annotator",
    "Bundle": "edgekit.bundle",
    "ClipOptions": "edgekit.running.output_options",
    "ClipsSink": "edgekit.media.sinks.video.clips",
    "Detection": "edgekit.runtime.types",
    "Detections": "edgekit.runtime.types",
    "Detector": "edgekit.detector",
    "EdgeKitError": "edgekit.errors",
    "EventsSink": "edgekit.media.sinks.events",
    "FileOptions": "edgekit.running.output_options",
    "Frame": "edgekit.runtime.types",
    "FrameOptions": "edgekit.running.options",
    "FrameResult": "edgekit.pipeline.results",
    "LiveTube": "edgekit.linking.published",
    "LiveVideoSink": "edgekit.media.sinks.video.live",
    "Metrics": "edgekit.media.sinks.prometheus",
    "MqttSink": "edgekit.media.sinks.mqtt.sink",
    "NetworkOptions": "edgekit.running.output_options",
    "PictureSink": "edgekit.media.sinks.summary_picture",
    "Pipeline": "edgekit.pipeline.pipeline",
    "RunOptions": "edgekit.running.options",
    "SessionOptions": "edgekit.targets.base",
    "Sink": "edgekit.media.sinks.sink",
    "Source": "edgekit.media",
    "SourceOptions": "edgekit.media",
    "Tracker": "edgekit.tracker",
    "Tube": "edgekit.runtime.types",
    "TubeOptions": "edgekit.running.options",
    "Tubes": "edgekit.linking.tubes",
    "VideoSink": "edgekit.media.sinks.video.file",
    "bench": "edgekit.benchmarks.bench",
    "evaluate": "edgekit.evaluation.evaluate",
    "export": "edgekit.targets.export",
    "load_bundle": "edgekit.bundle",
    "make_linker": "edgekit.linking.registry",
    "open_source": "edgekit.media",
    "quantize": "edgekit.quantization.quantize",
    "run": "edgekit.running.run",
    "train": "edgekit.training.train",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Tests that public functions refuse wrong types and shapes: expected and found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import edgekit
from edgekit.assets import default_bundle

RECORDS = {"Bundle", "Detection", "EdgeKitError", "Frame", "FrameResult", "LiveTube", "Tube"}
"""What EdgeKit makes and users only read."""

BASES = {"Sink", "Source"}
"""What users derive from."""

BOXES, SCORES = np.zeros((2, 4), np.float32), np.zeros((2, 3), np.float32)
PICTURE = np.zeros((8, 8, 3), np.uint8)


def detect(image: object) -> object:
    with edgekit.Detector(default_bundle()) as detector:
        return detector.detect(image)


def tracker() -> edgekit.Tracker:
    return edgekit.Tracker("edgekit", ("a", "b"))


WRONG: dict[str, list[Callable[[], object]]] = {
    "Annotator": [
        lambda: edgekit.Annotator(3),
        lambda: edgekit.Annotator(("a",)).draw("frame", ()),
        lambda: edgekit.Annotator(("a",)).draw(PICTURE, 3),
    ],
    "ClipOptions": [lambda: edgekit.ClipOptions(before="two")],
    "ClipsSink": [lambda: edgekit.ClipsSink(3)],
    "Detections": [
        lambda: edgekit.Detections(1, 2),
        lambda: edgekit.Detections(BOXES, SCORES, 3),
        lambda: edgekit.Detections(BOXES, SCORES[:1]),
        lambda: edgekit.Detections(BOXES, SCORES, ("a", "b")),
        lambda: edgekit.Detections(BOXES[:, :3], SCORES),
        lambda: edgekit.Detections(BOXES, SCORES)["first"],
    ],
    "Detector": [
        lambda: edgekit.Detector(3),
        lambda: edgekit.Detector("missing"),
        lambda: detect("picture"),
        lambda: detect(PICTURE.astype(float)),
        lambda: detect(PICTURE[..., 0]),
        lambda: detect(PICTURE[:0]),
    ],
    "EventsSink": [lambda: edgekit.EventsSink(3), lambda: edgekit.EventsSink("")],
    "FileOptions": [lambda: edgekit.FileOptions(events=3)],
    "FrameOptions": [lambda: edgekit.FrameOptions(drop_policy="oldest")],
    "LiveVideoSink": [lambda: edgekit.LiveVideoSink(3), lambda: edgekit.LiveVideoSink(None)],
    "Metrics": [lambda: edgekit.Metrics(8080)],
    "MqttSink": [lambda: edgekit.MqttSink(3)],
    "NetworkOptions": [lambda: edgekit.NetworkOptions(serve=8080)],
    "PictureSink": [lambda: edgekit.PictureSink(3), lambda: edgekit.PictureSink(None)],
    "Pipeline": [
        lambda: edgekit.Pipeline("clip.mp4", None, None),
        lambda: edgekit.Pipeline(None, edgekit.Detector(default_bundle()), tracker()),
    ],
    "RunOptions": [
        lambda: edgekit.RunOptions(sources=3),
        lambda: edgekit.RunOptions(bundle=3),
        lambda: edgekit.RunOptions(require_signature=3),
    ],
    "SessionOptions": [
        lambda: edgekit.SessionOptions(threads="all"),
        lambda: edgekit.SessionOptions(hint="speed"),
    ],
    "SourceOptions": [lambda: edgekit.SourceOptions(camera_size="640x480")],
    "Tracker": [
        lambda: edgekit.Tracker(3, ("a",)),
        lambda: edgekit.Tracker("magic", ("a",)),
        lambda: tracker().update("detections", 0.0),
        lambda: tracker().update(edgekit.Detections(BOXES, SCORES), 0.0),
    ],
    "TubeOptions": [lambda: edgekit.TubeOptions(score="high")],
    "Tubes": [lambda: edgekit.Tubes(3)],
    "VideoSink": [lambda: edgekit.VideoSink(None), lambda: edgekit.VideoSink("out.xyz")],
    "bench": [lambda: edgekit.bench(3), lambda: edgekit.bench(frames="many")],
    "evaluate": [
        lambda: edgekit.evaluate(3),
        lambda: edgekit.evaluate(root=3),
        lambda: edgekit.evaluate(root="clips", dataset="magic"),
    ],
    "export": [
        lambda: edgekit.export(3),
        lambda: edgekit.export(target="magic"),
        lambda: edgekit.export(precision=16),
    ],
    "load_bundle": [
        lambda: edgekit.load_bundle(None),
        lambda: edgekit.load_bundle("missing"),
        lambda: edgekit.load_bundle("missing", require_signature=3),
    ],
    "make_linker": [lambda: edgekit.make_linker("magic", ("a",))],
    "open_source": [
        lambda: edgekit.open_source(3.5),
        lambda: edgekit.open_source("clip.mp4", {"patience": 3}),
    ],
    "quantize": [lambda: edgekit.quantize(calib=3), lambda: edgekit.quantize(calib="x", samples=1)],
    "run": [lambda: edgekit.run("clip.mp4")],
    "train": [lambda: edgekit.train(3), lambda: edgekit.train("clips", epochs="many")],
}


def test_every_public_function_is_here():
    public = {name for name in edgekit.__all__ if callable(getattr(edgekit, name))}
    assert public - RECORDS - BASES == set(WRONG)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(call, id=f"{name}-{number}")
        for name, calls in WRONG.items()
        for number, call in enumerate(calls)
    ],
)
def test_an_error_says_expected_and_found(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(edgekit.EdgeKitError) as caught:
        call()
    words = caught.value.message.lower()
    assert "expected" in words
    assert "found" in words or "no such file" in words
    assert not list(tmp_path.iterdir())

"""Tests that public functions refuse wrong types and shapes: expected and found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.assets import default_bundle

RECORDS = {"Bundle", "Detection", "EdgeKitError", "LiveTube", "Tube"}
"""What EdgeKit makes and users only read."""

BASES = {"Sink", "Source"}
"""What users derive from."""

BOXES, SCORES = np.zeros((2, 4), np.float32), np.zeros((2, 3), np.float32)
PICTURE = np.zeros((8, 8, 3), np.uint8)


class Stills(edgekit.Source):
    """A source that a user wrote."""

    def __init__(self, given: object, **attributes: object) -> None:
        vars(self).update(attributes)
        self.given = [given]

    def read(self) -> edgekit.Frame:
        return self.given.pop() if self.given else None

    def close(self) -> None:
        pass


def run_over(given: object = None, **attributes: object) -> object:
    frame = edgekit.Frame(0, 0.0, PICTURE) if given is None else given
    source = Stills(frame, **attributes)
    return edgekit.Pipeline(source, detector(), edgekit.Tracker("edgekit", 24)).run()


FRAMES = Path(edgekit.__file__).parent / "assets" / "frames"


@cache
def detector() -> edgekit.Detector:
    return edgekit.Detector(default_bundle())


def decode(**values: object) -> object:
    inputs, letterbox = detector().prepare(PICTURE)
    outputs = detector().infer(inputs)
    return detector().decode(**{"outputs": outputs, "letterbox": letterbox, **values})


def tracker() -> edgekit.Tracker:
    return edgekit.Tracker("edgekit", ("a", "b"))


def draw(**values: object) -> object:
    tube = edgekit.LiveTube(0, 0, 0.5, [0, 0, 5, 5], 0, 0, 1)
    return edgekit.Annotator().draw(PICTURE, [tube._replace(**values)])


def result(**values: object) -> object:
    usual = {"frame": edgekit.Frame(0, 0.0, PICTURE), "detections": edgekit.Detections.empty(1)}
    return edgekit.FrameResult(**{**usual, "tubes": [], **values})


def pipeline(**values: object) -> object:
    with edgekit.open_source(FRAMES) as source:
        linker = values.pop("linker", edgekit.Tracker("edgekit", detector().classes))
        return edgekit.Pipeline(source, detector(), linker, **values)


def run(**values: object) -> object:
    options = edgekit.RunOptions(sources=(str(FRAMES),), bundle=default_bundle())
    return edgekit.run(options, **values)


WRONG: dict[str, list[Callable[[], object]]] = {
    "Annotator": [
        lambda: edgekit.Annotator(3),
        lambda: edgekit.Annotator(("a",)).draw("frame", ()),
        lambda: edgekit.Annotator(("a",)).draw(PICTURE, 3),
        lambda: draw(label=None),
        lambda: draw(label=-1),
        lambda: draw(score="high"),
        lambda: draw(box=None),
        lambda: draw(box=[0, 0, 1e300, 5]),
    ],
    "ClipOptions": [lambda: edgekit.ClipOptions(before="two")],
    "ClipsSink": [
        lambda: edgekit.ClipsSink(3),
        lambda: edgekit.ClipsSink("clips", before=31),
        lambda: edgekit.ClipsSink("clips", after=float("nan")),
        lambda: edgekit.ClipsSink("clips", most_bytes=0.5),
        lambda: edgekit.ClipsSink("clips").start("run"),
    ],
    "Detections": [
        lambda: edgekit.Detections(1, 2),
        lambda: edgekit.Detections(BOXES, SCORES, 3),
        lambda: edgekit.Detections(BOXES, SCORES[:1]),
        lambda: edgekit.Detections(BOXES, SCORES, ("a", "b")),
        lambda: edgekit.Detections(BOXES[:, :3], SCORES),
        lambda: edgekit.Detections(BOXES, SCORES)["first"],
        lambda: edgekit.Detections(BOXES, SCORES[:, :0]),
        lambda: edgekit.Detections(BOXES, SCORES.astype(str)),
        lambda: edgekit.Detections(BOXES.astype(object), SCORES),
        lambda: edgekit.Detections(BOXES, SCORES.astype(bool)),
        lambda: edgekit.Detections(BOXES, SCORES).flat("high"),
        lambda: edgekit.Detections.empty(-1),
        lambda: edgekit.Detections.empty(True),
        lambda: edgekit.Detections.empty(10**30),
    ],
    "Detector": [
        lambda: edgekit.Detector(3),
        lambda: edgekit.Detector("missing"),
        lambda: detector().detect("picture"),
        lambda: detector().detect(PICTURE.astype(float)),
        lambda: detector().detect(PICTURE[..., 0]),
        lambda: detector().detect(PICTURE[:0]),
        lambda: detector().infer(None),
        lambda: detector().infer({"input": [1, 2]}),
        lambda: detector().infer({"other": PICTURE}),
        lambda: detector().release(None),
        lambda: decode(outputs=None),
        lambda: decode(letterbox="letterbox"),
    ],
    "EventsSink": [
        lambda: edgekit.EventsSink(3),
        lambda: edgekit.EventsSink(""),
        lambda: edgekit.EventsSink("events", live="yes"),
        lambda: edgekit.EventsSink("events", rotate=0),
        lambda: edgekit.EventsSink("events", keep=-1),
        lambda: edgekit.EventsSink("events", source_index=True),
        lambda: edgekit.EventsSink("events").start(None),
        lambda: edgekit.EventsSink("events").tube((0, 1)),
    ],
    "FileOptions": [lambda: edgekit.FileOptions(events=3)],
    "Frame": [
        lambda: edgekit.Frame("first", 0.0, PICTURE),
        lambda: edgekit.Frame(-1, 0.0, PICTURE),
        lambda: edgekit.Frame(0, None, PICTURE),
        lambda: edgekit.Frame(0, "soon", PICTURE),
        lambda: edgekit.Frame(0, 0.0, "picture.png"),
        lambda: edgekit.Frame(0, 0.0, PICTURE / 255),
        lambda: edgekit.Frame(0, 0.0, PICTURE[..., 0]),
        lambda: edgekit.Frame(0, 0.0, np.zeros((4, 4, 4), np.uint8)),
        lambda: edgekit.Frame(0, 0.0, PICTURE[:0]),
        lambda: edgekit.Frame(0, 0.0, PICTURE, gap=True),
        lambda: edgekit.Frame(0, 0.0, PICTURE, sample_aspect=0),
        lambda: edgekit.Frame(0, 0.0, PICTURE, earlier=0),
        lambda: edgekit.Frame(0, 0.0, PICTURE, taken="now"),
    ],
    "FrameOptions": [
        lambda: edgekit.FrameOptions(drop_policy="oldest"),
        lambda: edgekit.FrameOptions(drop_policy=SCORES),
    ],
    "FrameResult": [
        lambda: result(frame=PICTURE),
        lambda: result(detections=BOXES),
        lambda: result(tubes=3),
        lambda: result(ms=3.5),
        lambda: result(age="old"),
        lambda: result(score=None),
    ],
    "LiveVideoSink": [
        lambda: edgekit.LiveVideoSink(3),
        lambda: edgekit.LiveVideoSink(None),
        lambda: edgekit.LiveVideoSink("v.mkv", seconds="long"),
        lambda: edgekit.LiveVideoSink("v.mkv", rotate=-1),
        lambda: edgekit.LiveVideoSink("v.mkv").end(3),
    ],
    "Metrics": [
        lambda: edgekit.Metrics(8080),
        lambda: edgekit.Metrics("9090", several="yes"),
        lambda: edgekit.Metrics("9090").sink(tuple).start("run"),
    ],
    "MqttSink": [
        lambda: edgekit.MqttSink(3),
        lambda: edgekit.MqttSink("mqtt://127.0.0.1", buffer="b", most=0),
        lambda: edgekit.MqttSink("mqtt://127.0.0.1", buffer="b", facts={}),
        lambda: edgekit.MqttSink("mqtt://127.0.0.1", buffer="b").lost("1"),
    ],
    "NetworkOptions": [lambda: edgekit.NetworkOptions(serve=8080)],
    "PictureSink": [
        lambda: edgekit.PictureSink(3),
        lambda: edgekit.PictureSink(None),
        lambda: edgekit.PictureSink("p.png", truth=[(0, 1)]),
        lambda: edgekit.PictureSink("p.png").gap(3),
    ],
    "Pipeline": [
        lambda: edgekit.Pipeline("clip.mp4", None, None),
        lambda: edgekit.Pipeline(None, detector(), tracker()),
        lambda: pipeline(linker=edgekit.Tracker),
        lambda: pipeline(linker=tracker()),
        lambda: pipeline(sinks=3),
        lambda: pipeline(sinks=["events"]),
        lambda: pipeline(bundle="name"),
        lambda: pipeline(score="high"),
        lambda: pipeline(min_hits=0),
        lambda: pipeline(drop_policy="oldest"),
        lambda: pipeline(fps="all"),
        lambda: pipeline(fps=0),
        lambda: pipeline(motion_gate=1),
        lambda: pipeline(duration=float("nan")),
        lambda: pipeline(max_frames=2.5),
        lambda: pipeline(patience=float("inf")),
        lambda: pipeline(lanes=0),
        lambda: pipeline(turn=None),
        lambda: run_over(PICTURE),
        lambda: run_over((0, 0.0, PICTURE)),
        lambda: run_over(fps=0),
        lambda: run_over(fps=None),
        lambda: run_over(name=None),
        lambda: run_over(width="wide"),
        lambda: run_over(height=-1),
        lambda: run_over(frames=2.5),
        lambda: run_over(live="no"),
        lambda: run_over(sample_aspect=float("nan")),
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
    "SourceOptions": [
        lambda: edgekit.SourceOptions(camera_size="640x480"),
        lambda: edgekit.SourceOptions(camera_size=(0, 480)),
        lambda: edgekit.SourceOptions(camera_format="motion"),
        lambda: edgekit.SourceOptions(camera_fps=float("nan")),
        lambda: edgekit.SourceOptions(patience=-1.0),
        lambda: edgekit.SourceOptions(raw_format="png"),
        lambda: edgekit.SourceOptions(rtsp_transport="http"),
    ],
    "Tracker": [
        lambda: edgekit.Tracker(3, ("a",)),
        lambda: edgekit.Tracker("magic", ("a",)),
        lambda: tracker().update("detections", 0.0),
        lambda: tracker().update(edgekit.Detections(BOXES, SCORES), 0.0),
        lambda: tracker().update(edgekit.Detections.empty(2), index=10**30),
        lambda: tracker().update(edgekit.Detections.empty(2), 10**400),
    ],
    "TubeOptions": [lambda: edgekit.TubeOptions(score="high")],
    "Tubes": [
        lambda: edgekit.Tubes(3),
        lambda: edgekit.Tubes([edgekit.LiveTube(0, -1, 0.5, [], 0, 0, 1)], ("a",)),
        lambda: edgekit.Tubes([edgekit.LiveTube(0, None, 0.5, [], 0, 0, 1)], ("a",)),
    ],
    "VideoSink": [
        lambda: edgekit.VideoSink(None),
        lambda: edgekit.VideoSink("out.xyz"),
        lambda: edgekit.VideoSink("v.mp4").start(3),
        lambda: edgekit.VideoSink("v.mp4").frame(PICTURE),
    ],
    "bench": [
        lambda: edgekit.bench(3),
        lambda: edgekit.bench(SCORES),
        lambda: edgekit.bench(frames="many"),
        lambda: edgekit.bench(progress=print),
    ],
    "evaluate": [
        lambda: edgekit.evaluate(3),
        lambda: edgekit.evaluate(root=3),
        lambda: edgekit.evaluate(root="clips", dataset="magic"),
        lambda: edgekit.evaluate(root="clips", progress=None),
    ],
    "export": [
        lambda: edgekit.export(3),
        lambda: edgekit.export(target="magic"),
        lambda: edgekit.export(precision=16),
        lambda: edgekit.export(progress=print),
    ],
    "load_bundle": [
        lambda: edgekit.load_bundle(None),
        lambda: edgekit.load_bundle("missing"),
        lambda: edgekit.load_bundle("missing", require_signature=3),
    ],
    "make_linker": [
        lambda: edgekit.make_linker("magic", 3),
        lambda: edgekit.make_linker(SCORES, 3),
        lambda: edgekit.make_linker("edgekit", ("a",)),
        lambda: edgekit.make_linker("edgekit", 10**30),
        lambda: edgekit.make_linker("edgekit", 3, cost="none"),
        lambda: edgekit.make_linker("edgekit", 3, min_hits=None),
        lambda: edgekit.make_linker("edgekit", 3, max_gap="long"),
        lambda: edgekit.make_linker("road", 3, max_misses=10**9),
        lambda: edgekit.make_linker("road", 3).update(edgekit.Detections.empty(2)),
        lambda: edgekit.make_linker("road", 3).update(SCORES),
    ],
    "open_source": [
        lambda: edgekit.open_source(3.5),
        lambda: edgekit.open_source("clip.mp4", {"patience": 3}),
        lambda: edgekit.open_source("clip\0.mp4"),
        lambda: edgekit.open_source(Path("clip\0.mp4")),
        lambda: edgekit.open_source("clip\ud800.mp4"),
        lambda: edgekit.open_source(True),
    ],
    "quantize": [
        lambda: edgekit.quantize(calib=3),
        lambda: edgekit.quantize(calib="x", samples=1),
        lambda: edgekit.quantize(calib="x", progress=print),
    ],
    "run": [
        lambda: edgekit.run("clip.mp4"),
        lambda: run(sinks=lambda: 3),
        lambda: run(on_start="begin"),
        lambda: run(say="hello"),
    ],
    "train": [
        lambda: edgekit.train(3),
        lambda: edgekit.train("clips", epochs="many"),
        lambda: edgekit.train("clips", progress=print),
    ],
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

"""Tests what every sink of the Python API refuses, and that several threads may call one."""

from __future__ import annotations

import contextlib
import json
import threading

import cv2
import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.linking.published import LiveTube
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sinks.mqtt.sink import MqttSink
from edgekit.media.sinks.prometheus import Metrics
from edgekit.media.sinks.summary_picture import PictureSink
from edgekit.media.sinks.video.clips import ClipsSink
from edgekit.media.sinks.video.file import VideoSink
from edgekit.media.sinks.video.live import LiveVideoSink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Detections, Frame, Tube

INFO = RunInfo("clip.mp4", 64, 48, 25.0, None, ("walk",))
ONE = np.ones(1)
THREADS = 4
FRAMES = 25


def result_of(index):
    image = np.full((48, 64, 3), 90, np.uint8)
    tubes = [LiveTube(0, 0, 0.8, [4.0, 4.0, 20.0, 20.0], 0, 0, 9)]
    return FrameResult(Frame(index, index / 25, image), Detections.empty(1), tubes)


CALLS = {
    "gap": Gap(1, "dropped", 1),
    "frame": result_of(0),
    "tube": Tube(0, 0, 0.8, 0, 0, np.ones((1, 4)), ONE, ONE.astype(bool)),
    "bundle": BundleChange(1, "b", "ab", ("walk",)),
    "lost": 1,
    "end": RunSummary(1, 0, 1.0, {}),
}


def metrics_sink(_):
    pytest.importorskip("prometheus_client")
    return Metrics("0").sink(tuple)


def mqtt_sink(folder):
    pytest.importorskip("paho.mqtt")
    return MqttSink("mqtt://127.0.0.1:1", buffer=folder / "m.db")


MAKERS = {
    "events": lambda folder: EventsSink(folder / "events.jsonl"),
    "clips": lambda folder: ClipsSink(folder / "clips"),
    "picture": lambda folder: PictureSink(folder / "picture.png"),
    "video": lambda folder: VideoSink(folder / "video.mp4"),
    "live": lambda folder: LiveVideoSink(folder / "video.mkv"),
    "metrics": metrics_sink,
    "mqtt": mqtt_sink,
}


@pytest.fixture(params=MAKERS)
def sink(request, tmp_path):
    with contextlib.closing(MAKERS[request.param](tmp_path)) as made:
        yield made


def refuses_all(sink, methods, found):
    for method in methods:
        with pytest.raises(UsageError) as caught:
            getattr(sink, method)(INFO if method == "start" else CALLS[method])
        assert caught.value.message.endswith(f"for its method {method}; found one that {found}.")


def test_calls_before_the_start_are_refused(sink, tmp_path):
    refuses_all(sink, CALLS, "has not started")
    sink.close()
    assert not list(tmp_path.iterdir())


def test_calls_after_the_end_are_refused(sink):
    sink.start(INFO)
    sink.frame(result_of(0))
    sink.end(CALLS["end"])
    refuses_all(sink, ["start", *CALLS], "has ended")


def test_calls_after_the_close_are_refused(sink, tmp_path):
    sink.start(INFO)
    sink.frame(result=result_of(0))
    sink.close()
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refuses_all(sink, ["start", *CALLS], "is closed")
    sink.close()
    assert left == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_second_start_is_refused(sink):
    sink.start(INFO)
    refuses_all(sink, ["start"], "has started")


@pytest.mark.parametrize("value", ["x", None, 1.5, INFO.__class__])
def test_arguments_of_another_type_are_refused(sink, value):
    for method in ("start", *CALLS):
        with pytest.raises(UsageError, match=r"^Expected \w+ to be an object of .*; found "):
            getattr(sink, method)(value)


def test_a_call_that_fails_is_no_start(tmp_path):
    (tmp_path / "file").touch()
    sink = ClipsSink(tmp_path / "file" / "clips")
    with pytest.raises(Exception, match="Cannot"):
        sink.start(INFO)
    refuses_all(sink, CALLS, "has not started")


def test_several_threads_write_whole_frames(sink, tmp_path):
    sink.start(INFO)
    failures = []
    ready = threading.Barrier(THREADS)

    def write(number):
        ready.wait()
        try:
            for index in range(number, FRAMES * THREADS, THREADS):
                sink.frame(result_of(index))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.tube(CALLS["tube"])
    sink.end(CALLS["end"])
    sink.close()
    assert not failures
    if (events := tmp_path / "events.jsonl").exists():
        read = [json.loads(line) for line in events.read_text().splitlines()]
        frames = [event["index"] for event in read if event["type"] == "frame"]
        assert sorted(frames) == list(range(FRAMES * THREADS))
    for video in (*tmp_path.glob("video.*"), *tmp_path.glob("clips/*.mp4")):
        capture = cv2.VideoCapture(str(video))
        count = 0
        while capture.read()[0]:
            count += 1
        assert count == FRAMES * THREADS, video.name

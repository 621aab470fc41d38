from __future__ import annotations

import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgekit.errors import OutputError
from edgekit.linking.published import LiveTube
from edgekit.media.drawing import timeline
from edgekit.media.drawing.annotator import Annotator
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sinks.summary_picture import MOST_ROWS, PictureSink
from edgekit.media.sinks.video.file import VideoSink
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.pipeline.stage_timer import STAGES, StageTimes
from edgekit.runtime.types import Detections, Frame, Tube

CLASSES = ("walk", "run")
INFO = RunInfo("clip.mp4", 320, 240, 25.0, 40, CLASSES, "model", "ab12", score=0.3)
STAGE_TIMES = {stage: StageTimes(1.0, 2.0, 3.0, 1.5, 30.0) for stage in STAGES}
SUMMARY = RunSummary(40, 2, 1.25, STAGE_TIMES)


def result_of(index=0, *, tubes=(), size=(240, 320), level=90, boxes=(), scores=()):
    image = np.full((*size, 3), level, np.uint8)
    found = Detections(np.array(boxes).reshape(-1, 4), np.array(scores).reshape(-1, 2))
    return FrameResult(Frame(index, index / 25, image), found, tubes, {"capture": 0.12345})


def live(id=0, label=0, score=0.8, box=(40, 60, 120, 200), age=0):
    return LiveTube(id, label, score, list(map(float, box)), age, 0, 9)


def tube_of(id=0, label=0, score=0.8, start=3, observed=(1, 1, 0, 1)):
    length = len(observed)
    boxes = np.tile([1.004, 2.0, 3.0, 4.0], (length, 1))
    seen = np.array(observed, bool)
    return Tube(id, label, score, start, start + length - 1, boxes, np.ones(length), seen)


def give(sink, results):
    for result in results:
        sink.frame(result)


def feed(sink, results, tubes=(), *, end=True):
    sink.start(INFO)
    give(sink, results)
    for tube in tubes:
        sink.tube(tube)
    if end:
        sink.end(SUMMARY)
    sink.close()
    sink.close()


def test_events_of_a_live_run_report_the_age_of_frames(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = EventsSink(path)
    sink.start(INFO)
    sink.frame(replace(result_of(), age=12.34567))
    sink.end(replace(SUMMARY, age=StageTimes(1.0, 2.0, 3.00004, 1.5, 30.0)))
    sink.close()
    _, frame, end = map(json.loads, path.read_text().splitlines())
    assert frame["age"] == 12.346
    assert end["age"] == {"p50": 1.0, "p90": 2.0, "p99": 3.0, "mean": 1.5}


def test_events_are_the_documented_lines(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = EventsSink(path)
    sink.start(INFO)
    sink.gap(Gap(4, "dropped", 4))
    boxes, scores = [[1.23456, 2, 3, 4], [5, 6, 7, 8]], [[0.9, 0.1], [0.2, 0.95]]
    sink.frame(result_of(4, tubes=[live(2, 1, age=3)], boxes=boxes, scores=scores))
    sink.tube(tube_of(2, 1, 0.123456789))
    sink.end(SUMMARY)
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for marked in (lines[0], lines[-1]):
        assert marked.pop("time").endswith("+00:00")
    assert lines == [
        {
            "type": "start",
            "schema": 1,
            "source": "clip.mp4",
            "bundle": {"name": "model", "sha256": "ab12"},
            "classes": ["walk", "run"],
        },
        {"type": "gap", "index": 4, "reason": "dropped", "frames": 4},
        {
            "type": "frame",
            "index": 4,
            "time": 0.16,
            "detections": [
                {"box": [5, 6, 7, 8], "class": 1, "score": 0.95},
                {"box": [1.23, 2, 3, 4], "class": 0, "score": 0.9},
            ],
            "tubes": [
                {
                    "id": 2,
                    "class": 1,
                    "score": 0.8,
                    "box": [40, 60, 120, 200],
                    "state": "extrapolated",
                    "age": 3,
                }
            ],
            "ms": {"capture": 0.123},
        },
        {
            "type": "tube",
            "id": 2,
            "class": 1,
            "score": 0.12346,
            "start": 3,
            "end": 6,
            "boxes": [[1.0, 2, 3, 4]] * 4,
            "observed": [True, True, False, True],
        },
        {
            "type": "end",
            "frames": 40,
            "dropped": 2,
            "seconds": 1.25,
            "stages": {
                stage: {"p50": 1.0, "p90": 2.0, "p99": 3.0, "mean": 1.5, "total": 30.0}
                for stage in STAGES
            },
        },
    ]


def test_events_are_whole_lines_at_any_moment(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = EventsSink(path)
    sink.start(INFO)
    for index in range(5):
        sink.frame(result_of(index))
        text = path.read_text()
        assert text.endswith("\n")
        assert json.loads(text.splitlines()[-1])["index"] == index
    sink.close()


def test_events_go_to_a_stream_that_stays_open():
    stream = io.BytesIO()
    feed(EventsSink(stream), [result_of()])
    assert len(stream.getvalue().splitlines()) == 3
    assert not stream.closed


def test_events_on_a_full_disk_end_with_a_whole_line(small_disk):
    path = small_disk / "events.jsonl"
    sink = EventsSink(path)
    sink.start(INFO)
    results = (result_of(index, tubes=[live(id) for id in range(9)]) for index in range(10_000))
    with pytest.raises(OutputError, match="No space left"):
        give(sink, results)
    sink.close()
    text = path.read_text()
    assert text.endswith("\n")
    assert len([json.loads(line) for line in text.splitlines()]) > 10


@pytest.mark.parametrize("make", [EventsSink, VideoSink])
def test_a_place_below_a_file_cannot_be_written(tmp_path, make):
    (tmp_path / "file").touch()
    sink = make(tmp_path / "file" / "out.mp4")
    with pytest.raises(OutputError, match="Cannot write"):
        sink.start(INFO)
    sink.close()


@pytest.mark.usefixtures("bound_by_permissions")
@pytest.mark.parametrize("make", [EventsSink, VideoSink])
def test_an_unwritable_folder(tmp_path, make):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Make the folder writable"):
        make(tmp_path / "out.mp4").start(INFO)


@pytest.mark.parametrize("size", [(24, 32), (240, 320), (1080, 1920), (320, 40)])
def test_drawing_stays_in_the_picture_and_leaves_the_frame_alone(size):
    height, width = size
    boxes = [(-50, -50, 20, 20), (0, 0, width, height), (width - 9, height - 9, width + 50, 9999)]
    tubes = [live(n, n % 2, 0.5, box, age=n % 2) for n, box in enumerate(boxes)]
    result = result_of(size=size, tubes=tubes)
    drawn = Annotator(CLASSES).draw_result(result)
    assert drawn.shape == (*size, 3)
    assert (drawn != result.frame.image).any()
    assert (result.frame.image == 90).all()


def border_share(drawn):
    """How much of the box's left edge is drawn on."""
    return (drawn[90:200, 40] != 90).any(axis=1).mean()


def test_extrapolated_boxes_are_dashed():
    solid = Annotator(CLASSES).draw_result(result_of(tubes=[live()]))
    dashed = Annotator(CLASSES).draw_result(result_of(tubes=[live(age=2)]))
    assert border_share(solid) == 1
    assert 0.3 < border_share(dashed) < 0.95


def test_several_classes_on_one_actor_are_drawn_once():
    alone = Annotator(CLASSES).draw_result(result_of(tubes=[live(0, 1, 0.9)]))
    both = Annotator(CLASSES).draw_result(result_of(tubes=[live(5, 0, 0.4), live(0, 1, 0.9)]))
    assert (alone == both).all()


def test_the_trail_shows_where_a_tube_has_been():
    annotator = Annotator(CLASSES)
    for index in range(20):
        box = (40 + 8 * index, 20, 60 + 8 * index, 60)
        drawn = annotator.draw_result(result_of(index, tubes=[live(box=box)]))
    assert (drawn[58:63, 60] != 90).any()
    assert (drawn[58:63, 20] == 90).all()
    drawn = annotator.draw_result(result_of(20))
    assert (drawn == 90).all()


def test_labels_do_not_cover_each_other_if_there_is_room(monkeypatch):
    places = []
    rectangle = cv2.rectangle

    def spy(image, a, b, colour, thickness, *rest):
        if thickness == cv2.FILLED:
            places.append((*a, *b))
        return rectangle(image, a, b, colour, thickness, *rest)

    monkeypatch.setattr(cv2, "rectangle", spy)
    boxes = [(40, 60, 120, 200), (90, 64, 220, 210)]
    Annotator(CLASSES).draw_result(
        result_of(tubes=[live(n, n, box=box) for n, box in enumerate(boxes)])
    )
    (ax, ay, az, aw), (bx, by, bz, bw) = places
    assert az < bx or bz < ax or aw < by or bw < ay


def picture_of(path, frames, tubes, *, step=1, size=(240, 320)):
    feed(PictureSink(path), [result_of(n, size=size) for n in range(0, frames, step)], tubes)
    image = cv2.imread(str(path))
    assert image.shape[1] == 1600
    return image


@pytest.mark.parametrize("count", [0, 1, 3, 40, 400])
@pytest.mark.parametrize("frames", [1, 40, 10_000])
def test_the_summary_has_a_row_for_each_tube(tmp_path, count, frames):
    tubes = [
        tube_of(n, n % 2, 0.4 + n / 1000, (n * 17) % frames, [1] * min(4, frames))
        for n in range(count)
    ]
    image = picture_of(tmp_path / "p.png", frames, tubes, step=max(1, frames // 50))
    height = image.shape[0]
    rows = min(count, MOST_ROWS)
    assert height >= rows * 26 + 300
    coloured = (image.max(axis=2).astype(int) - image.min(axis=2)) > 60
    assert coloured.any() == (count > 0)


def test_thumbnails_do_not_grow_with_the_run(tmp_path):
    sink = PictureSink(tmp_path / "p.png")
    sink.start(INFO)
    for index in range(0, 100_000, 37):
        sink.frame(result_of(index, size=(24, 32)))
    kept = [thumbnail.frame for thumbnail in sink._thumbnails]
    assert 6 <= len(kept) <= 16
    assert kept[0] == 0
    assert kept[-1] > 70_000


@pytest.mark.parametrize("size", [(20, 400), (400, 20), (8, 8)])
def test_frames_of_any_shape_have_thumbnails(tmp_path, size):
    picture_of(tmp_path / "p.png", 30, [], size=size)


def test_a_picture_needs_a_known_ending(tmp_path):
    with pytest.raises(OutputError, match=r"\.png"):
        PictureSink(tmp_path / "p.nonsense")


def test_ticks_are_round_and_few():
    for frames in (1, 7, 113, 9_999, 10**7):
        ticks = timeline._ticks(timeline._Scale(200, 1568, frames))
        assert 1 <= len(ticks) <= 13
        assert all(int(str(tick).rstrip("0") or 0) < 1000 for tick in ticks)

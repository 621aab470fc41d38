from __future__ import annotations

import copy
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.errors import AnnotationError, OutputError
from edgekit.metrics import _decoding, detections
from edgekit.metrics.detections import (
    SavedDetections,
    SavedVideo,
    open_detections,
    read_detections,
)
from edgekit.metrics.detections_writer import detections_writer, write_detections
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.types import Detections

GOOD: dict[str, Any] = {
    "classes": ["run", "jump", "sit"],
    "width": 320,
    "height": 240,
    "videos": {
        "a": {
            "frames": 2,
            "gt": [{"label": 1, "start": 1, "end": 2, "boxes_xywh_1based": [[1, 2, 30, 40]]}],
            "detections": [
                {"boxes": [[0, 1, 30.5, 41]], "scores": [{"0": 0.5, "2": 0.25}]},
                {"boxes": [], "scores": []},
            ],
        },
        "b": {"frames": 0, "width": 64, "height": 48, "gt": [], "detections": []},
    },
}


def write(path: Path, content: object) -> Path:
    data = json.dumps(content).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["d.json", "d.json.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    saved = read_detections(write(tmp_path / name, GOOD))
    assert saved.classes == ["run", "jump", "sit"]
    first, second = saved.videos
    assert first.detections[0].boxes.tolist() == [[0, 1, 30.5, 41]]
    assert first.detections[0].scores.tolist() == [[0.5, 0, 0.25]]
    assert first.detections[1].scores.shape == (0, 3)
    (tube,) = first.truth.tubes
    assert (tube.label, tube.start, tube.end) == (1, 1, 1)
    assert tube.boxes.tolist() == [[0, 1, 30, 41]]
    assert (first.truth.width, second.truth.width) == (320, 64)


def test_a_video_keeps_its_rate_and_has_25_frames_per_second_without_one(tmp_path: Path) -> None:
    content = copy.deepcopy(GOOD)
    content["videos"]["a"]["fps"] = 59.94006
    path = write(tmp_path / "d.json", content)
    for _ in range(2):
        saved = read_detections(path)
        rates = [FrameDetections.of(video.detections, 3).fps for video in saved.videos]
        assert rates == [59.94006, 25.0]
        write_detections(path, saved)


def test_boxes_are_written_with_four_decimals_and_scores_with_six(tmp_path: Path) -> None:
    saved = read_detections(write(tmp_path / "d.json", GOOD))
    found = Detections(np.full((1, 4), 1 / 3), np.full((1, 3), 2 / 3))
    video = SavedVideo(saved.videos[0].truth, [found, found])
    write_detections(tmp_path / "d.json", SavedDetections(saved.classes, [video]))
    again = read_detections(tmp_path / "d.json").videos[0].detections[1]
    assert again.boxes.tolist() == [[0.3333] * 4]
    assert again.scores.tolist() == [[0.666667] * 3]


@pytest.mark.parametrize("name", ["d.json", "d.json.gz"])
def test_writing_and_reading_again_changes_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    saved = read_detections(write(path, GOOD))
    write_detections(path, saved)
    again = read_detections(path)
    assert again.classes == saved.classes
    for one, other in zip(saved.videos, again.videos, strict=True):
        assert (one.truth.name, one.truth.width) == (other.truth.name, other.truth.width)
        for a, b in zip(one.truth.tubes, other.truth.tubes, strict=True):
            assert (a.label, a.start, a.boxes.tolist()) == (b.label, b.start, b.boxes.tolist())
        for x, y in zip(one.detections, other.detections, strict=True):
            assert x.boxes.tolist() == y.boxes.tolist()
            assert x.scores.tolist() == y.scores.tolist()
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_the_same_detections_give_the_same_bytes(tmp_path: Path) -> None:
    saved = read_detections(write(tmp_path / "d.json", GOOD))
    for name in ("one.json.gz", "two.json.gz"):
        write_detections(tmp_path / name, saved)
    assert (tmp_path / "one.json.gz").read_bytes() == (tmp_path / "two.json.gz").read_bytes()


def test_a_file_broken_off_is_not_left_behind(tmp_path: Path) -> None:
    found = Detections(np.ones((1, 4), np.float32), np.full((1, 2), 0.5, np.float32))

    def broken_off() -> None:
        with (
            detections_writer(tmp_path / "d.json.gz", ["run", "jump"]) as writer,
            writer.video("a", (64, 48)) as frames,
        ):
            frames.add(found)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError), detections_writer(tmp_path / "file/d.json", ["run"]):
        pass


def first_frame(content: dict[str, Any]) -> dict[str, Any]:
    return content["videos"]["a"]["detections"][0]  # type: ignore[no-any-return]


def truth(content: dict[str, Any]) -> dict[str, Any]:
    return content["videos"]["a"]["gt"][0]  # type: ignore[no-any-return]


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no scores": (lambda c: first_frame(c).pop("scores"), "missing required field `scores`"),
    "too few scores": (lambda c: first_frame(c).update(scores=[]), "1 boxes, but 0 scores"),
    "unknown class": (lambda c: first_frame(c).update(scores=[{"3": 0.1}]), "class '3'"),
    "class by name": (lambda c: first_frame(c).update(scores=[{"run": 0.1}]), "class 'run'"),
    "negative class": (lambda c: first_frame(c).update(scores=[{"-1": 0.1}]), "class '-1'"),
    "score over 1": (lambda c: first_frame(c).update(scores=[{"0": 1.5}]), "score 1.5"),
    "text score": (lambda c: first_frame(c).update(scores=[{"0": "high"}]), "Expected `float`"),
    "huge box": (lambda c: first_frame(c).update(boxes=[[0, 0, 1, float("inf")]]), "malformed"),
    "three corners": (lambda c: first_frame(c).update(boxes=[[0, 0, 1]]), "length 4"),
    "missing frame": (lambda c: c["videos"]["a"].update(frames=3), "for 2 of 3 frames"),
    "truth too long": (
        lambda c: truth(c).update(end=3),
        "from frame 1 to frame 3, but the video has 2 frames",
    ),
    "truth boxes": (lambda c: truth(c).update(start=0), "1 boxes for 2 frames"),
    "truth class": (lambda c: truth(c).update(label=3), "label 3, expected 0 to 2"),
    "truth empty": (lambda c: truth(c).update(boxes_xywh_1based=[[1, 1, 0, 5]]), "empty"),
    "no classes": (lambda c: c.update(classes=[]), "'classes'"),
    "no rate": (lambda c: c["videos"]["b"].update(fps=0), "'fps' is 0"),
    "no picture": (lambda c: c["videos"]["b"].update(width=-2), "-2x48"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    spoil, message = WRONG[case]
    content = copy.deepcopy(GOOD)
    spoil(content)
    path = write(tmp_path / "d.json", content)
    with pytest.raises(AnnotationError) as error:
        read_detections(path)
    assert str(path) in error.value.message
    assert message in error.value.message


def test_a_gzip_file_that_is_cut_or_none_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d.json.gz", GOOD)
    whole = path.read_bytes()
    for content in (whole[:-20], whole[:5], b"", b"{}", whole[:30] + b"\0" * 20 + whole[50:]):
        path.write_bytes(content)
        with pytest.raises(AnnotationError):
            read_detections(path)
    with pytest.raises(AnnotationError, match="No such file"):
        read_detections(tmp_path / "none.json")


def test_a_video_needs_detections_for_every_annotated_frame() -> None:
    tubes = [TruthTube(0, 0, np.array([[0.0, 0, 5, 5]]))]
    with pytest.raises(AnnotationError, match="'a' has detections for 1 frames"):
        SavedVideo(VideoTruth("a", 2, 64, 48, tubes), [Detections.empty(2)])


def test_no_video_is_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    write_detections(path, SavedDetections(["run"], []))
    assert read_detections(path).videos == []


def test_a_frame_that_nobody_looked_at_is_null_and_stays_so(tmp_path: Path) -> None:
    content = copy.deepcopy(GOOD)
    content["videos"]["a"]["detections"][0] = None
    saved = read_detections(write(tmp_path / "d.json", content))
    assert saved.videos[0].detections[0] is None
    write_detections(tmp_path / "again.json", saved)
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["videos"]["a"]["detections"] == [None, {"boxes": [], "scores": []}]


@pytest.mark.parametrize("case", WRONG)
def test_an_opened_file_reports_what_is_wrong_when_its_videos_are_loaded(
    tmp_path: Path, case: str
) -> None:
    spoil, message = WRONG[case]
    content = copy.deepcopy(GOOD)
    spoil(content)
    path = write(tmp_path / "d.json", content)
    with pytest.raises(AnnotationError) as error:
        [video.load() for video in open_detections(path).videos]
    assert str(path) in error.value.message
    assert message in error.value.message


def test_an_opened_file_gives_what_a_read_one_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "d.json", GOOD)
    opened, saved = open_detections(path), read_detections(path)
    assert opened.classes == saved.classes
    assert [video.annotated for video in opened.videos] == [True, False]
    for stored, known in zip(opened.videos, saved.videos, strict=True):
        assert stored.load().truth.name == known.truth.name
        for one, other in zip(stored.load().detections, known.detections, strict=True):
            assert one is not None
            assert other is not None
            assert one.scores.tolist() == other.scores.tolist()


def test_a_class_may_be_written_with_a_zero_in_front(tmp_path: Path) -> None:
    content = copy.deepcopy(GOOD)
    first_frame(content)["scores"] = [{"00": 0.5, "2": 0.25}]
    (found, _) = read_detections(write(tmp_path / "d.json", content)).videos[0].detections
    assert found is not None
    assert found.scores.tolist() == [[0.5, 0, 0.25]]


def test_an_opened_file_is_in_memory_once(tmp_path: Path) -> None:
    frame = GOOD["videos"]["a"]["detections"][0]
    video = {"frames": 20000, "detections": [frame] * 20000}
    path = write(tmp_path / "d.json", {**GOOD, "videos": {"a": video, "b": video}})
    tracemalloc.start()
    try:
        assert len(open_detections(path).videos) == 2
        assert tracemalloc.get_traced_memory()[1] < 1.5 * path.stat().st_size
    finally:
        tracemalloc.stop()


FRAMES: list[Any] = [
    None,
    {"boxes": [], "scores": []},
    {"boxes": [[0, 1, 30.5, 41]], "scores": [{"0": 0.5, "2": 0.25}]},
    {"scores": [{}, {"1": 1}], "boxes": [[0, 0, 1, 1], [5, 5, 9, 9]]},
]


@pytest.mark.parametrize("indent", [None, 1])
@given(frames=st.lists(st.sampled_from(FRAMES), max_size=9), block=st.integers(1, 120))
def test_frames_that_are_read_in_blocks_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, indent: int | None, frames: list[Any], block: int
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "d.json"
    video = {"frames": len(frames), "detections": frames}
    path.write_text(json.dumps({**GOOD, "videos": {"a": video}}, indent=indent))
    (whole,) = read_detections(path).videos
    with mock.patch.object(_decoding, "_BLOCK", block):
        (parts,) = read_detections(path).videos
    for one, other in zip(whole.detections, parts.detections, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("block", [1, 1 << 20])
@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"boxes": [["x", 1, 2, 3]], "scores": [{}]}, r"\$\.detections\[4\]\.boxes"),
        ({"boxes": [[0, 1, 2, 3]], "scores": [{"7": 1}]}, "frame 4: class '7'"),
        ({"boxes": [[0, 1, 2, 3]], "scores": []}, "frame 4: 1 boxes, but 0 scores"),
    ],
)
def test_a_wrong_frame_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, frame: Any, words: str
) -> None:
    monkeypatch.setattr(_decoding, "_BLOCK", block)
    video = {"frames": 5, "detections": [*FRAMES, frame]}
    with pytest.raises(AnnotationError, match=words):
        read_detections(write(tmp_path / "d.json", {**GOOD, "videos": {"a": video}}))


def test_a_frame_that_would_take_too_much_memory_is_refused(tmp_path: Path) -> None:
    frame = {"boxes": [], "scores": [{}] * (1 << 20)}
    video = {"frames": 1, "detections": [frame]}
    path = write(tmp_path / "d.json", {**GOOD, "videos": {"a": video}})
    with pytest.raises(AnnotationError, match="an item has over 3145728 bytes"):
        read_detections(path)


FRAME = b'{"boxes":[' + b",".join([b"[0,0,1,1]"] * 60) + b'],"scores":[' + b",".join([b"{}"] * 60)
MANY = {
    "frames": (b"null", 700_000, b"[]", "more boxes, with 40 classes each, than fit into"),
    "boxes": (FRAME + b"]}", 600, b"[]", "more boxes, with 40 classes each, than fit into"),
    "truth": (b"null", 1, b"[" + b" " * (1 << 25) + b"]", "its 'gt' has over 33554432 bytes"),
}


@pytest.mark.parametrize("kind", MANY)
def test_what_unpacks_to_much_memory_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind != "truth":
        monkeypatch.setattr(detections, "_MOST_MEMORY", 8 << 20)
        monkeypatch.setattr(detections, "_LEAST_ARRAYS", 1 << 20)
    frame, count, tubes, words = MANY[kind]
    classes = json.dumps([f"{number}" for number in range(40)]).encode()
    frames = frame + (b"," + frame) * (count - 1)
    video = b'{"frames":%d,"gt":%b,"detections":[%b]}' % (count, tubes, frames)
    path = tmp_path / "d.json.gz"
    path.write_bytes(gzip.compress(b'{"classes":%b,"videos":{"v":%b}}' % (classes, video), 1))
    del frames, video
    (stored,) = open_detections(path).videos
    tracemalloc.start()
    try:
        with pytest.raises(AnnotationError, match=words):
            stored.load()
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def _crowded(path: Path, videos: int) -> Path:
    """Writes videos of two frames that nobody looked at and one of three boxes, with one class."""
    crowd = {"boxes": [[0, 0, 1, 1]] * 3, "scores": [{}] * 3}
    video = {"frames": 3, "detections": [None, None, crowd]}
    return write(path, {"classes": ["a"], "videos": dict.fromkeys(map(str, range(videos)), video)})


@pytest.mark.parametrize("block", [1, 1 << 20])
@pytest.mark.parametrize("videos", [1, 3])
def test_what_just_fits_into_memory_is_read_and_one_value_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, videos: int
) -> None:
    monkeypatch.setattr(_decoding, "_BLOCK", block)
    monkeypatch.setattr(detections, "_MOST_MEMORY", 0)
    path = _crowded(tmp_path / "d.json", videos)
    values = videos * (3 * (4 + 1) + 3)  # each box has four corners and a score, each frame a count
    monkeypatch.setattr(detections, "_LEAST_ARRAYS", 8 * values)
    assert len(read_detections(path).videos) == videos
    monkeypatch.setattr(detections, "_LEAST_ARRAYS", 8 * (values - 1))
    if videos == 1:
        with pytest.raises(AnnotationError, match="it has more boxes"):
            open_detections(path).videos[0].load()
    with pytest.raises(AnnotationError, match=f"video '{videos - 1}' are wrong: it has more boxes"):
        read_detections(path)


@pytest.mark.parametrize(("size", "room"), [(0, 256), (120, 239)])
def test_a_large_file_leaves_less_memory_for_the_boxes_of_a_video(
    tmp_path: Path, size: int, room: int
) -> None:
    path = tmp_path / "d.json.gz"
    path.write_bytes(
        gzip.compress(b'{"classes":["a"],"videos":{"v":{"frames":60000000,"detections":[]}')
        + gzip.compress(b" " * (1 << 20)) * size
        + gzip.compress(b"}}")
        + bytes(2 << 20)  # EdgeKit refuses a file that unpacks to over 100 times its size
    )
    (stored,) = open_detections(path).videos
    with pytest.raises(AnnotationError, match=f"than fit into {room} MiB beside the file"):
        stored.load()


def test_frames_that_nobody_announced_are_not_decoded_to_their_end(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    frames = ",".join(["null"] * 700_000 + ["no frame"])
    path.write_text(f'{{"classes":["a"],"videos":{{"v":{{"frames":9,"detections":[{frames}]}}}}}}')
    with pytest.raises(AnnotationError, match="malformed"):
        read_detections(path)
    path.write_text(path.read_text().replace("no frame", "3"))
    with pytest.raises(AnnotationError, match="detections for more than 9 frames"):
        read_detections(path)


def test_many_videos_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    videos = ",".join(f'"{number}":0' for number in range(1_000_000))
    path.write_text(f'{{"classes":["a"],"videos":{{{videos}}}}}')
    with pytest.raises(AnnotationError, match="expected at most 200000 names"):
        open_detections(path)


def test_a_long_video_takes_memory_for_its_arrays_and_not_for_its_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An eighth of the frames in blocks of an eighth: counting each object of more takes seconds.
    monkeypatch.setattr(_decoding, "_BLOCK", _decoding._BLOCK // 8)
    video = {"frames": 12_500, "detections": [FRAMES[2]] * 12_500}
    path = write(tmp_path / "d.json", {**GOOD, "videos": {"a": video}})
    (stored,) = open_detections(path).videos
    tracemalloc.start()
    try:
        stored.load()
        assert tracemalloc.get_traced_memory()[1] < 5 * path.stat().st_size
    finally:
        tracemalloc.stop()


def test_the_test_part_of_ucf24_can_be_read_again(tmp_path: Path) -> None:
    """With as many detections in each of its frames as a bundle gives by default."""
    random = np.random.default_rng(0)
    scores = np.where(np.arange(24) < 2, random.uniform(0.01, 0.5, (50, 24)), 0)
    found = Detections(random.uniform(0, 320, (50, 4)), scores)
    video = SavedVideo(VideoTruth("v", 10, 320, 240), [found] * 10)
    path = tmp_path / "d.json"
    write_detections(path, SavedDetections([str(label) for label in range(24)], [video]))
    assert path.stat().st_size / 10 * 159_289 < detections.MOST_BYTES


def test_a_file_that_is_too_large_to_read_is_said_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    video = SavedVideo(VideoTruth("v", 99, 320, 240), [None] * 99)
    saved = SavedDetections(["a"], [video])
    for most, words in ((1000, ""), (99, "EdgeKit reads at most 99: it cannot score them again")):
        monkeypatch.setattr("edgekit.metrics.detections_writer.MOST_BYTES", most)
        write_detections(tmp_path / "d.json.gz", saved)
        assert words in caplog.text
        assert bool(caplog.text) is bool(words)


def test_a_missing_file_is_to_be_written_by_what_saves_annotations_too(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="No such file") as caught:
        open_detections(tmp_path / "d.json")
    assert "edgekit eval BUNDLE --root FOLDER --save-detections FILE" in caught.value.hint

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.linking.choices import LINKS
from edgekit.linking.published import LiveTube
from edgekit.linking.registry import make_linker
from edgekit.media.drawing.drawn_boxes import DrawnBoxes, DrawnRun
from edgekit.media.drawing.frame_times import FrameTimes
from edgekit.media.drawing.text import colour_of, lighter
from edgekit.media.drawing.timeline import TimelineRow, draw_timeline
from edgekit.media.sinks.summary_picture import PictureSink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary
from edgekit.runtime.types import Detections, Frame, Tube

CLASSES = ("walk", "run")
INFO = RunInfo("clip.mp4", 64, 48, 25.0, None, CLASSES, score=0.3)
SUMMARY = RunSummary(1, 0, 1.0, {})
IMAGE = np.zeros((48, 64, 3), np.uint8)
PAPER_BAND = (249, 247, 245)


def result_of(index: int, tubes: Sequence[LiveTube] = ()) -> FrameResult:
    return FrameResult(Frame(index, index / 25, IMAGE), Detections.empty(2), tubes)


def live(id: int = 0, *, age: int = 0, x: float = 0.0, score: float = 0.8) -> LiveTube:
    return LiveTube(id, id % 2, score, [x, 0.0, x + 30, 40.0], age, 0, 9)


def looks(image: Any, place: int, rows: int, label: int, frames: int) -> list[str]:
    """What each frame of a bar looks like, read from the pixels of the picture."""
    height = image.shape[0]
    pitch = 34
    # From below: the note, the axis, and the rows, three at least.
    top = height - 34 - 58 - max(rows, 3) * pitch + place * pitch
    band = (np.abs(image[height - 34 - 58 - 2].astype(int) - PAPER_BAND) < 2).all(axis=1)
    left, right = np.flatnonzero(band)[[0, -1]]
    full, solid = lighter(colour_of(label), 0.2), colour_of(label)
    pale = lighter(colour_of(label), 0.75)
    found = []
    for frame in range(frames):
        middle = round(left + (right + 1 - left) * (frame + 0.5) / frames)
        columns = slice(middle - 4, middle + 4)
        colours = {tuple(pixel) for pixel in image[top + 9, columns].tolist()}
        inside = {tuple(pixel) for pixel in image[top + 17, columns].tolist()}
        if colours <= {pale, full, solid}:
            found.append(
                "observed"
                if colours == {solid}
                else "extrapolated"
                if colours == {pale, full}
                else "pale"
            )
        elif inside <= {pale, full, solid}:
            found.append(f"outside {'observed' if inside == {solid} else 'extrapolated'}")
        else:
            found.append("")
    return found


def test_a_bar_shows_each_frame_as_it_was_drawn() -> None:
    drawn = [DrawnRun(5, 19, True), DrawnRun(20, 29, False), DrawnRun(30, 35, True)]
    row = TimelineRow(0, 1, 0.8, 3, 24, drawn)
    image = draw_timeline(INFO, SUMMARY, [row], 1, [], frames=40, times=FrameTimes(25.0))
    expected = (
        [""] * 3
        + ["pale"] * 2
        + ["observed"] * 15
        + ["extrapolated"] * 5
        + ["outside extrapolated"] * 5
        + ["outside observed"] * 6
        + [""] * 4
    )
    assert looks(image, 0, 1, 1, 40) == expected


@given(st.integers(0, 2**32 - 1), st.sampled_from(LINKS), st.integers(20, 60))
@settings(max_examples=25, deadline=None)
def test_bars_say_of_every_tube_and_frame_what_was_drawn(
    tmp_path_factory: pytest.TempPathFactory, seed: int, link: str, frames: int
) -> None:
    """From detections to pixels: the bar of each tube against the frames that showed it."""
    random = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("picture") / "p.png"
    sink = PictureSink(path)
    sink.start(INFO)
    linker = make_linker(link, 2, max_misses=8)
    shown: dict[tuple[int, int], str] = {}
    closed: list[Tube] = []
    place = random.uniform(0, 400, (3, 1))
    level = random.uniform(0.3, 0.9, (3, 2))
    for index in range(frames):
        place += random.normal(0, 3, place.shape)
        acting = level * (1 if index < 2 * frames // 3 else 0.2)
        seen = random.random(3) > 0.3
        boxes = np.concatenate((place, place * 0, place + 40, place * 0 + 80), axis=1)
        update = linker.update(Detections(boxes[seen], acting[seen]))
        result = result_of(index, update.live)
        for tube in result.actors:
            shown[tube.id, index] = "observed" if tube.observed else "extrapolated"
        sink.frame(result)
        for ended in update.closed:
            sink.tube(ended)
        closed += update.closed
    for ended in linker.finish():
        closed.append(ended)
        sink.tube(ended)
    sink.end(SUMMARY)
    image = cv2.imread(str(path))
    first = {t.label: min(o.start for o in closed if o.label == t.label) for t in closed}
    closed.sort(key=lambda t: (first[t.label], t.label, t.start, t.id))
    assert len(closed) <= 24, "the rows would be lower"
    for number, tube in enumerate(closed):
        expected = []
        for index in range(frames):
            drawn = shown.get((tube.id, index), "")
            if tube.start <= index <= tube.end:
                if drawn:
                    assert tube.observed[index - tube.start] == (drawn == "observed")
                expected.append(drawn or "pale")
            else:
                expected.append(f"outside {drawn}" if drawn else "")
        assert looks(image, number, len(closed), tube.label, frames) == expected


def test_what_is_remembered_does_not_grow() -> None:
    drawn = DrawnBoxes(10)
    for index in range(2000):
        drawn.frame(result_of(index, [live(age=index % 2), live(2 + index, x=500.0)]))
    assert len(drawn.of(0)) == 10
    assert drawn.of(0)[-1] == DrawnRun(1999, 1999, False)
    assert len(drawn._runs) == 3, "what lives, and what ended in the frame before"


def test_frames_that_were_not_processed_look_like_the_one_before_them() -> None:
    drawn = DrawnBoxes(10)
    for index, age in ((0, 0), (5, 0), (10, 5), (15, 10), (90, 0), (95, 0)):
        drawn.frame(result_of(index, [live(age=age)]))
    assert drawn.of(0) == [DrawnRun(0, 9, True), DrawnRun(10, 89, False), DrawnRun(90, 95, True)]
    drawn.frame(result_of(100, [live(), live(1, score=0.9)]))
    drawn.frame(result_of(105, [live(score=0.95), live(1)]))
    assert drawn.of(0)[2:] == [DrawnRun(90, 95, True), DrawnRun(105, 105, True)]
    assert drawn.of(1) == [DrawnRun(100, 100, True)]


def test_of_two_tubes_on_one_actor_the_drawn_one_has_the_boxes() -> None:
    drawn = DrawnBoxes(10)
    for index in range(4):
        drawn.frame(result_of(index, [live(0, score=0.5), live(1, score=0.7)]))
    drawn.frame(result_of(9, [live(0), live(1, age=3)]))
    assert drawn.of(0) == [DrawnRun(9, 9, True)]
    assert drawn.end(1) == [DrawnRun(0, 3, True)]
    assert drawn.end(1) == []


def test_the_picture_names_the_bundle_that_ran_at_last(tmp_path: Path) -> None:
    pictures = []
    for first, changes in (
        ("two", []),
        ("one", [BundleChange("two", "22", 1, CLASSES), BundleChange("x", "", 2, CLASSES, "Bad.")]),
    ):
        path = tmp_path / f"{first}.png"
        sink = PictureSink(path)
        sink.start(replace(INFO, bundle=first))
        for change in changes:
            sink.bundle(change)
        sink.end(SUMMARY)
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1]


def test_thumbnails_are_as_wide_as_a_player_shows_them(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[:] = (0, 0, 255)
    widths = []
    for aspect in (1.0, 1.5):
        path = tmp_path / f"{aspect}.png"
        sink = PictureSink(path)
        sink.start(INFO)
        frame = Frame(0, 0.0, red, sample_aspect=aspect)
        sink.frame(FrameResult(frame, Detections.empty(2), []))
        sink.end(SUMMARY)
        picture = cv2.imread(str(path))
        assert picture is not None
        widths.append((picture == (0, 0, 255)).all(axis=2).sum(axis=1).max())
    assert widths[1] == pytest.approx(1.5 * widths[0], abs=2)


@pytest.mark.parametrize("truth", [(-1, 0, 3), (0, -1, 3), (0, 4, 3), (0, 1)])
def test_a_truth_that_no_tube_can_have_is_refused(tmp_path: Path, truth: Any) -> None:
    with pytest.raises(UsageError, match="truth to be a sequence of class index, first and last"):
        PictureSink(tmp_path / "p.png", truth=[truth])


def test_a_truth_of_an_unknown_class_is_refused_before_the_run(tmp_path: Path) -> None:
    sink = PictureSink(tmp_path / "p.png", truth=[(0, 0, 3), (2, 0, 3)])
    with pytest.raises(UsageError, match="below the number of classes, 2; found 2"):
        sink.start(INFO)
    PictureSink(tmp_path / "p.png").start(replace(INFO, classes=()))

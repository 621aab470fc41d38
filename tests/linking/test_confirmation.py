from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit import Detector, make_linker, open_source
from edgekit.assets import default_bundle
from edgekit.errors import UsageError
from edgekit.linking.choices import LINKS, PUBLISHED
from edgekit.linking.confirmation import ConfirmedLinker
from edgekit.linking.published import LinkUpdate, LiveTube
from edgekit.linking.tracker import OnlineLinker
from edgekit.pipeline.pipeline import Pipeline
from edgekit.runtime.types import Detections, Tube

CLASSES = 3


def random_video(seed: int, frames: int) -> list[Detections]:
    """Actors whose class changes now and then, one in five not found, among clutter."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 5))
    centre = random.uniform(40, 200, (count, 2))
    profile = random.dirichlet(np.ones(CLASSES), count)
    out = []
    for _ in range(frames):
        centre += random.normal(0, 2, centre.shape)
        turned = random.random(count) < 0.05
        profile[turned] = random.dirichlet(np.ones(CLASSES), int(turned.sum()))
        seen = random.random(count) > 0.2
        clutter = int(random.integers(0, 3))
        middle = np.concatenate((centre[seen], random.uniform(0, 240, (clutter, 2))))
        scores = np.concatenate((profile[seen], random.uniform(0, 0.2, (clutter, CLASSES))))
        out.append(Detections(np.concatenate((middle - 20, middle + 20), axis=1), scores))
    return out


thresholds = st.tuples(st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.9]), st.integers(1, 8))


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(LINKS),
    st.lists(st.tuples(thresholds, st.integers(1, 25)), min_size=1, max_size=4),
    st.sampled_from([None, 0, 4]),
    st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_what_is_shown_counts_and_ends_with_the_score_that_it_had(
    seed: int,
    link: str,
    parts: list[tuple[tuple[float, int], int]],
    min_length: int | None,
    max_misses: int,
) -> None:
    """Thresholds change between the parts; a lost frame comes before each change."""
    (score, min_hits), _ = parts[0]
    linker = make_linker(
        link,
        CLASSES,
        score=score,
        min_hits=min_hits,
        min_length=min_length,
        max_misses=max_misses,
    )
    last: dict[int, LiveTube] = {}
    least: dict[int, float] = {}
    closed: list[Tube] = []
    video = iter(random_video(seed, sum(count for _, count in parts)))
    for (score, min_hits), count in parts:
        linker.count_from(score=score, min_hits=min_hits)
        closed += linker.skip(1)
        for _ in range(count):
            update = linker.update(next(video))
            ended = {tube.id for tube in closed}
            for tube in update.live:
                if tube.id not in last:
                    assert tube.id == len(last), "numbered without a gap as they are shown"
                    assert tube.hits >= min_hits
                # Where the threshold was lower for a time, the tube may have changed its class.
                least[tube.id] = min(score, least.get(tube.id, score))
                assert tube.score >= least[tube.id]
                before = last.get(tube.id, tube)
                assert tube.score >= before.score or tube.label != before.label
                assert tube.id not in ended
                last[tube.id] = tube
            shown = {tube.id for tube in update.live} | ended
            closed += update.closed
            assert shown | {tube.id for tube in update.closed} == set(last), "none vanishes"
    closed += linker.finish()
    assert sorted(tube.id for tube in closed) == sorted(last), "each ends once"
    for ended_tube in closed:
        shown_last = last[ended_tube.id]
        assert (ended_tube.score, ended_tube.label) == (shown_last.score, shown_last.label)
        assert ended_tube.track is None


class Script:
    """A linker that says what it was told to say."""

    classes = min_length = 2

    def __init__(self, frames: Sequence[Sequence[LiveTube]], closed: Sequence[Tube]) -> None:
        self._frames = iter(frames)
        self._closed = closed

    def update(self, detections: Detections, time: float | None = None) -> LinkUpdate:
        return LinkUpdate(list(next(self._frames)), [])

    def finish(self) -> list[Tube]:
        return list(self._closed)


def live(id: int, score: float, *, label: int = 0, hits: int = 3) -> LiveTube:
    return LiveTube(id, label, score, [0.0, 0.0, 9.0, 9.0], 0, 0, hits)


def ended(id: int, score: float, *, label: int = 0, track: int | None = None) -> Tube:
    boxes = np.zeros((4, 4))
    return Tube(id, label, score, 0, 3, boxes, np.ones(4), np.ones(4, bool), track=track)


def confirmed(frames: Sequence[Sequence[LiveTube]], closed: Sequence[Tube]) -> Any:
    linker = ConfirmedLinker(Script(frames, closed))  # type: ignore[arg-type]
    nothing = Detections.empty(2)
    shown = [
        [(tube.id, tube.label, tube.score) for tube in linker.update(nothing).live] for _ in frames
    ]
    return shown, [(tube.id, tube.label, tube.score) for tube in linker.finish()]


def test_a_tube_is_reported_with_the_best_score_that_it_had_live() -> None:
    # The linker's own score of a short tube is below its live one.
    frames = [[live(7, 0.29)], [live(7, 0.35)], [live(7, 0.25)]]
    assert confirmed(frames, [ended(7, 0.2)]) == (
        [[], [(0, 0, 0.35)], [(0, 0, 0.35)]],
        [(0, 0, 0.35)],
    )


def test_scores_before_there_are_enough_detections_do_not_count() -> None:
    frames = [[live(7, 0.9, hits=2)], [live(7, 0.31)]]
    assert confirmed(frames, [])[0] == [[], [(0, 0, 0.31)]]


def test_a_tube_takes_another_class_once_that_counts() -> None:
    frames = [[live(1, 0.6)], [live(1, 0.28, label=1)], [live(1, 0.3, label=1)]]
    several = [ended(1, 0.5, track=1), ended(8, 0.4, label=1, track=1), ended(9, 0.1, track=1)]
    shown, told = confirmed(frames, several)
    assert shown == [[(0, 0, 0.6)], [(0, 0, 0.6)], [(0, 1, 0.3)]]
    assert told == [(0, 1, 0.3)]
    assert confirmed(frames, [ended(1, 0.5, track=1)])[1] == [(0, 1, 0.3)]


@pytest.mark.parametrize(("labels", "chosen"), [([0, 1, 1], 1), ([1, 1, 0], 0), ([0, 2, 0], 0)])
def test_a_tube_ends_with_the_best_boxes_of_the_class_that_was_shown(labels, chosen):
    """The linker gives the tubes of a track best first; if none has that class, the best one."""
    several = [
        replace(ended(id, 0.5, label=label, track=1), boxes=np.full((4, 4), place))
        for place, (id, label) in enumerate(zip((1, 8, 9), labels, strict=True))
    ]
    linker = ConfirmedLinker(Script([[live(1, 0.6)], [live(1, 0.5, label=1)]], several))
    for _ in range(2):
        linker.update(Detections.empty(2))
    (tube,) = linker.finish()
    assert (tube.label, tube.boxes[0, 0]) == (1, chosen)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["v_Basketball_g07_c04", "v_SalsaSpin_g03_c01"])
def test_a_loop_in_python_gives_the_tubes_of_a_run(shared: Any, name: str) -> None:
    class Keep:
        def __init__(self) -> None:
            self.tubes: list[Tube] = []

        def tube(self, tube: Tube) -> None:
            self.tubes.append(tube)

        def __getattr__(self, call: str) -> Any:
            return lambda *_: None

    clip, sink = shared / "ucf24" / f"{name}.mp4", Keep()
    tubes: list[Tube] = []
    everything: list[Tube] = []
    with Detector(default_bundle()) as detector:
        linker = make_linker("edgekit", len(detector.classes))
        raw = make_linker("edgekit", len(detector.classes), min_length=5).linker
        with open_source(str(clip)) as source:
            for frame in source:
                detections = detector.detect(frame.image)
                tubes += linker.update(detections).closed
                everything += raw.update(detections).closed
        tubes += linker.finish()
        everything += raw.finish()
        detector.reset()
        with open_source(str(clip)) as source:
            linker = make_linker("edgekit", len(detector.classes))
            Pipeline(source, detector, linker, [sink]).run()  # type: ignore[list-item]
    assert [tube.id for tube in tubes] == list(range(len(tubes)))
    assert [repr(tube) for tube in tubes] == [repr(tube) for tube in sink.tubes]
    assert len(everything) > len(tubes) > 0
    assert min(tube.score for tube in everything) < 0.3 <= min(tube.score for tube in tubes)


@pytest.mark.parametrize("strong", [True, False])
def test_only_tubes_that_count_are_held_while_nothing_moves(strong):
    box = np.array([[10.0, 10, 40, 60]])
    linker = ConfirmedLinker(OnlineLinker(2))
    for index in range(10):
        seen = Detections(box, np.array([[0.8 if strong else 0.1, 0.0]]))
        linker.update(seen, index / 25)
    assert linker.hold(90) == []
    acting = Detections(box, np.array([[0.0, 0.9]]))
    for index in range(100, 106):
        live = linker.update(acting, index / 25).live
    assert [tube.start for tube in live] == ([0] if strong else [100])


def test_noise_from_before_a_rest_does_not_take_the_next_actor():
    """Its many weak detections would keep the actor's mean score below the threshold."""
    boxes = np.array([[10.0, 10, 40, 60], [110.0, 10, 140, 60]])
    linker = ConfirmedLinker(OnlineLinker(2))
    for _ in range(100):
        live = linker.update(Detections(boxes, np.array([[0.8, 0.0], [0.0, 0.02]]))).live
    assert [tube.start for tube in live] == [0]
    assert linker.hold(30) == []
    for _ in range(3):
        live = linker.update(Detections(boxes, np.array([[0.8, 0.0], [0.0, 0.5]]))).live
    assert [tube.start for tube in live] == [0, 130]


def test_sure_detections_of_heartbeats_add_up():
    """Nothing moves, but one detection in each heartbeat is enough for a tube in the end."""
    sure = Detections(np.array([[10.0, 10, 40, 60]]), np.array([[0.6, 0.0]]))
    linker = ConfirmedLinker(OnlineLinker(2), min_hits=3)
    counts = []
    for _ in range(3):
        counts.append(len(linker.update(sure).live))
        assert linker.hold(74) == []
    assert counts == [0, 0, 1]


@pytest.mark.parametrize("link", ["edgekit", "road"])
def test_other_classes_begin_at_the_next_frame_with_the_next_number(link):
    linker = make_linker(link, 2, score=0.3, min_hits=2)
    box = np.array([[10.0, 10, 30, 40]])
    for _ in range(4):
        linker.update(Detections(box, np.array([[0.0, 0.9]])))
    linker.skip(3)
    (ended,) = linker.change_classes(1, 7, (64, 48))
    assert (ended.id, ended.label, ended.start) == (0, 1, 0)
    for _ in range(3):
        update = linker.update(Detections(box, np.array([[0.8]])))
    assert [(tube.id, tube.label, tube.start) for tube in update.live] == [(1, 0, 7)]
    linker.count_from(score=0.9, min_hits=2)  # new thresholds reach the new linker
    (last,) = linker.finish()
    assert (last.id, last.start, last.end) == (1, 7, 9)


@pytest.mark.parametrize("others", [0, 40])
def test_a_tube_that_is_lost_for_longer_than_it_remembers_still_ends(others):
    linker = make_linker("edgekit", 2, max_gap=8, history=100)
    spots = np.array([[40.0 * n, 200, 40 * n + 30, 260] for n in range(others)]).reshape(-1, 4)
    rest = Detections(spots, np.full((others, 2), [0.0, 0.9]))
    box = np.array([[10.0, 10, 50, 90]])
    both = Detections(np.concatenate((box, spots)), np.full((others + 1, 2), [0.0, 0.9]))
    closed = []
    for index in range(300):
        closed += linker.update(
            both if index % 150 < 50 and index < 200 else rest, index / 25
        ).closed
    assert closed == []
    for index in range(300, 410):
        closed += linker.update(rest, index / 25).closed
    (tube,) = closed
    assert (tube.id, tube.end) == (0, 199)
    assert 50 <= len(tube.boxes) <= 100


@pytest.mark.parametrize("link", LINKS)
def test_all_tubes_need_as_many_detections_as_those_that_count(link):
    seen = Detections(np.array([[10.0, 10, 40, 60]]), np.array([[0.8, 0.0]]))
    for count, least, tubes in ((3, 4, 0), (4, 4, 1), (3, 3, 1)):
        linker = make_linker(link, 2, min_hits=4)
        linker.count_from(score=0.3, min_hits=least)
        for _ in range(count):
            linker.update(seen)
        assert len(linker.linker.finish()) == tubes, (count, least)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("classes", [1, 3])
def test_scores_of_another_number_of_classes_are_refused(link, classes):
    with pytest.raises(UsageError, match=f"Expected scores of 2 classes; found {classes}"):
        make_linker(link, 2).update(Detections.empty(classes))


@pytest.mark.parametrize("link", LINKS)
def test_a_tube_of_other_classes_needs_as_many_detections_as_before(link):
    linker = make_linker(link, 2, min_hits=2)
    assert linker.change_classes(1, 0, (64, 48)) == []
    for _ in range(2):
        live = linker.update(Detections(np.array([[10.0, 10, 40, 60]]), np.array([[0.8]]))).live
    assert [tube.id for tube in live] == [0]
    assert [tube.end for tube in linker.finish()] == [1]


def test_frames_of_another_size_come_with_other_classes():
    linker = make_linker("korsal-motion", 2, min_hits=1)
    linker.change_classes(1, 0, (60, 40))
    for right in (57.0, 59.0):
        linker.update(Detections(np.array([[right - 27, 10, right, 40]]), np.array([[0.9]])))
    (tube,) = linker.update(Detections.empty(1)).live
    assert tube.box == [34, 10, 60, 40]


@pytest.mark.parametrize("link", PUBLISHED)
def test_published_linkers_count_frames_without_motion_as_misses(link):
    held, skipped = (make_linker(link, 2, max_misses=3) for _ in range(2))
    seen = Detections(np.array([[10.0, 10, 40, 60]]), np.array([[0.8, 0.0]]))
    for linker in (held, skipped):
        for _ in range(4):
            linker.update(seen)
    for frames, ends in ((2, 0), (1, 1)):
        closed = held.hold(frames)
        assert repr(closed) == repr(skipped.skip(frames))
        assert len(closed) == ends


@pytest.mark.parametrize("link", LINKS)
def test_make_linker_passes_the_score_on(link):
    seen = Detections(np.array([[10.0, 10, 40, 60]]), np.array([[0.25, 0.0]]))
    for score, tubes in ((0.2, 1), (0.3, 0)):
        linker = make_linker(link, 2, score=score)
        for _ in range(3):
            live = linker.update(seen).live
        assert len(live) == tubes


@pytest.mark.parametrize("link", LINKS)
def test_a_tube_is_not_shown_before_it_is_long_enough_to_end_as_one(link):
    linker = make_linker(link, 2, min_hits=2, min_length=4)
    seen = Detections(np.array([[10.0, 10, 40, 60]]), np.array([[0.8, 0.0]]))
    assert [len(linker.update(seen).live) for _ in range(5)] == [0, 0, 0, 0, 1]
    assert len(linker.finish()) == 1

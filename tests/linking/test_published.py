from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.linking.choices import COSTS, PUBLISHED
from edgekit.linking.paths import LinkedPath, rank_paths
from edgekit.linking.published import TubeLinker
from edgekit.linking.registry import make_linker
from edgekit.runtime.types import Detections

VARIANTS = {"road": "baseline", "korsal-hold": "hold", "korsal-motion": "extrapolate"}
COST_NAMES = {
    "score": "score",
    "similarity": "similarity",
    "score_plus_similarity": "score-plus-similarity",
}


def link_one_class(linker: TubeLinker, frames: list[dict[str, Any]], classes: int) -> list[Any]:
    dead: list[LinkedPath] = []
    for frame in frames:
        found = Detections(
            np.array(frame["boxes"]).reshape(-1, 4),
            np.array(frame["all_scores"]).reshape(-1, classes),
        )
        picks = [list(range(len(found)))] + [[]] * (classes - 1)
        dead += linker.advance(found, picks)
    return rank_paths(linker.finish(), dead)


@pytest.fixture(scope="module")
def linking(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "golden/linking.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.shared
@pytest.mark.parametrize("link", PUBLISHED)
def test_every_published_path_comes_out_in_its_order(linking: dict[str, Any], link: str) -> None:
    for case in linking["cases"]:
        rows = [row for frame in case["frames"] for row in frame["all_scores"]]
        classes = len(rows[0]) if rows else 1
        for k, params in enumerate(linking["params"]):
            linker = TubeLinker(
                classes,
                link=link,
                cost=COST_NAMES[params["cost"]],
                iou_threshold=params["iou_threshold"],
                max_misses=params["max_misses"],
                min_length=params["min_length_exclusive"],
            )
            paths = link_one_class(linker, case["frames"], classes)
            expected = case["results"][VARIANTS[link]][k]
            where = f"{case['name']} {params}"
            assert len(paths) == len(expected), where
            for path, want in zip(paths, expected, strict=True):
                for name in ("start", "end", "count", "last_found"):
                    assert getattr(path, name) == want[name], where
                assert path.found_at.tolist() == want["found_at"], where
                assert path.path_score == pytest.approx(want["path_score"], abs=1e-6), where
                np.testing.assert_allclose(path.boxes, want["boxes"], atol=1e-6, err_msg=where)
                np.testing.assert_allclose(path.scores, want["scores"], atol=1e-6, err_msg=where)
                assert path.observed.tolist() == [source >= 0 for source in want["src"]], where


def frame(*boxes: tuple[float, float, float, float, float]) -> Detections:
    rows = np.array(boxes, np.float64).reshape(-1, 5)
    return Detections(rows[:, :4], rows[:, 4:])


STILL = frame((10, 10, 50, 50, 0.8))
NOTHING = frame()


def test_a_tube_is_live_from_its_first_box_and_closes_when_it_dies() -> None:
    linker = TubeLinker(1, max_misses=2, min_length=0)
    first = linker.update(STILL)
    assert [(tube.id, tube.label, tube.age, tube.hits) for tube in first.live] == [(0, 0, 0, 1)]
    assert first.live[0].observed
    missed = linker.update(NOTHING)
    assert [(tube.age, tube.observed) for tube in missed.live] == [(1, False)]
    assert missed.closed == []
    died = linker.update(NOTHING)
    assert died.live == []
    assert [(tube.start, tube.end, tube.last_found) for tube in died.closed] == [(0, 0, 2)]
    assert linker.finish() == []


def test_a_frame_that_misses_is_filled_and_says_so() -> None:
    linker = TubeLinker(1, min_length=0)
    for detections in (STILL, NOTHING, STILL, NOTHING):
        linker.update(detections)
    (tube,) = linker.finish()
    assert (tube.start, tube.end, tube.count) == (0, 2, 2)
    assert tube.observed.tolist() == [True, False, True]
    assert tube.age == 0


def test_the_extrapolating_forms_keep_their_tail() -> None:
    linker = TubeLinker(1, link="korsal-hold", min_length=0)
    for detections in (STILL, NOTHING, NOTHING):
        linker.update(detections)
    (tube,) = linker.finish()
    assert tube.observed.tolist() == [True, False, False]
    assert tube.age == 2


def test_motion_is_limited_to_one_side_and_to_the_frame() -> None:
    linker = TubeLinker(1, link="korsal-motion", min_length=0, frame_size=(100, 60))
    linker.update(frame((40, 10, 90, 40, 0.9)))
    linker.update(frame((50, 5, 99, 50, 0.9)))
    (tube,) = linker.update(NOTHING).live
    assert tube.box == [53, 0, 100, 51]


def test_motion_is_limited_to_the_published_frame_size_by_default() -> None:
    for linker in (
        TubeLinker(1, link="korsal-motion"),
        make_linker("korsal-motion", 1).linker,
    ):
        linker.update(frame((300, 200, 316, 239, 0.9)))
        linker.update(frame((304, 201, 320, 240, 0.9)))
        linker.update(NOTHING)
        (tube,) = linker.update(NOTHING).live
        assert tube.box == [310, 203, 320, 240]


def test_short_paths_are_dropped_when_they_end() -> None:
    linker = TubeLinker(1, min_length=3)
    for _ in range(3):
        linker.update(STILL)
    assert linker.finish() == []
    for _ in range(4):
        linker.update(STILL)
    assert len(linker.finish()) == 1


@pytest.mark.parametrize("link", PUBLISHED)
@pytest.mark.parametrize("lost", [1, 3, 40])
def test_lost_frames_are_misses(link: str, lost: int) -> None:
    one, other = (TubeLinker(1, link=link, min_length=0) for _ in range(2))
    for linker in (one, other):
        linker.update(STILL)
    closed = one.skip(lost)
    expected = [path for _ in range(lost) for path in other.update(NOTHING).closed]
    assert [summary(path) for path in closed] == [summary(path) for path in expected]
    assert one.update(STILL).live == other.update(STILL).live
    assert [summary(p) for p in one.finish()] == [summary(p) for p in other.finish()]


def summary(path: LinkedPath) -> tuple[Any, ...]:
    arrays = (path.boxes, path.scores, path.observed, path.found_at)
    whole = (path.id, path.label, path.start, path.end, path.path_score, path.score)
    return (*whole, *(array.tolist() for array in arrays))


@pytest.mark.parametrize(
    "options", [{"link": "no-such"}, {"cost": "iou"}, {"max_misses": 0}], ids=str
)
def test_impossible_options_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TubeLinker(1, **options)


def test_make_linker_passes_everything_on() -> None:
    linker = make_linker("korsal-motion", 1, max_misses=1, min_length=0, frame_size=(64, 48)).linker
    assert isinstance(linker, TubeLinker)
    assert linker.link == "korsal-motion"
    linker.update(STILL)
    assert len(linker.update(NOTHING).closed) == 1


@pytest.mark.parametrize("link", PUBLISHED)
@pytest.mark.parametrize(
    ("cost", "left"), [("score", -16), ("similarity", 16), ("score-plus-similarity", 16)]
)
def test_make_linker_passes_the_cost_on(link: str, cost: str, left: int) -> None:
    linker = make_linker(link, 2, cost=cost).linker
    linker.update(Detections(np.array([[0.0, 0, 40, 40]]), np.array([[0.5, 0.4]])))
    stronger, alike = [-16.0, 0, 24, 40], [16.0, 0, 56, 40]
    both = Detections(np.array([stronger, alike]), np.array([[0.95, 0.3], [0.5, 0.4]]))
    assert [tube.box[0] for tube in linker.update(both).live if tube.id == 0] == [left]


@pytest.mark.parametrize("link", PUBLISHED)
def test_make_linker_ends_tubes_after_five_misses_and_with_what_they_remember(link: str) -> None:
    linker = make_linker(link, 1, history=3)
    for _ in range(9):
        linker.update(STILL)
    closed = [len(linker.update(NOTHING).closed) for _ in range(4)]
    (tube,) = linker.update(NOTHING).closed
    assert closed == [0, 0, 0, 0]
    assert len(tube.boxes) == 3


def test_what_ended_is_forgotten() -> None:
    linker = TubeLinker(1, max_misses=1)
    for x in range(200):
        linker.update(frame((100 * x, 0, 100 * x + 50, 50, 0.5)))
    assert len(linker._live) == len(linker._trails) == 1


def test_a_path_remembers_no_more_than_it_is_asked_to() -> None:
    linker = TubeLinker(1, min_length=5, history=3)
    for _ in range(10):
        (live,) = linker.update(STILL).live
    assert (live.start, live.hits) == (0, 10)
    (path,) = linker.finish()
    assert (path.start, path.end, len(path.boxes)) == (7, 9, 3)


def test_a_new_frame_size_ends_all_tubes_and_moves_the_limits() -> None:
    linker = TubeLinker(1, link="korsal-motion", min_length=0)
    linker.update(STILL)
    assert len(linker.resize((60, 40))) == 1
    linker.update(frame((30, 10, 57, 40, 0.9)))
    linker.update(frame((31, 10, 59, 40, 0.9)))
    (live,) = linker.update(NOTHING).live
    assert live.box == [32, 10, 60, 40]
    assert live.id == 1


score = st.sampled_from([0.0, 0.2, 0.5, 0.5001, 0.9])
edge = st.integers(0, 60)


@st.composite
def videos(draw: st.DrawFn, classes: int = 2) -> list[Detections]:
    frames = []
    for _ in range(draw(st.integers(1, 9))):
        corners = draw(st.lists(st.tuples(edge, edge), max_size=4))
        size = draw(st.integers(10, 40))
        boxes = np.array([(x, y, x + size, y + size) for x, y in corners], float).reshape(-1, 4)
        rows = [[draw(score) for _ in range(classes)] for _ in corners]
        frames.append(Detections(boxes, np.array(rows).reshape(-1, classes)))
    return frames


@settings(max_examples=60, deadline=None)
@given(videos(), st.sampled_from(PUBLISHED), st.sampled_from(COSTS), st.integers(1, 3))
def test_laws_of_every_linker(
    video: list[Detections], link: str, cost: str, max_misses: int
) -> None:
    linker = TubeLinker(2, link=link, cost=cost, max_misses=max_misses, min_length=0)
    closed: list[LinkedPath] = []
    ended: set[int] = set()
    for detections in video:
        update = linker.update(detections)
        alive = [tube.id for tube in update.live]
        assert len(set(alive)) == len(alive)
        assert not ended & set(alive)
        assert all(tube.age < max_misses for tube in update.live)
        for label in range(2):
            observed = [tuple(t.box) for t in update.live if t.label == label and t.observed]
            available = [tuple(box) for box in detections.boxes.tolist()]
            for box in set(observed):
                assert observed.count(box) <= available.count(box)
        closed += update.closed
        ended |= {path.id for path in update.closed}
    closed += linker.finish()
    assert len({path.id for path in closed}) == len(closed) == linker._next_id
    for path in closed:
        length = path.end - path.start + 1
        shapes = {len(path.boxes), len(path.scores), len(path.observed), len(path.class_scores)}
        assert shapes == {length}
        assert path.observed[0]
        assert path.class_scores[:, path.label].tolist() == path.scores.tolist()
        np.testing.assert_array_equal(np.diff(path.found_at) > 0, True)


@settings(max_examples=40, deadline=None)
@given(videos(classes=3), st.sampled_from(PUBLISHED))
def test_classes_do_not_know_of_each_other(video: list[Detections], link: str) -> None:
    def linked(label: int, frames: list[Detections]) -> list[Any]:
        linker = TubeLinker(frames[0].scores.shape[1], link=link, min_length=0)
        closed = [path for found in frames for path in linker.update(found).closed]
        paths = [path for path in closed + linker.finish() if path.label == label]
        return [summary(path)[2:] for path in paths]

    for label in range(3):
        alone = [Detections(f.boxes, f.scores[:, label : label + 1]) for f in video]
        assert linked(label, video) == linked(0, alone)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([STILL, NOTHING]), max_size=20),
    st.sampled_from(PUBLISHED),
    st.integers(1, 9),
    st.integers(1, 4),
)
def test_a_path_ends_with_the_newest_frames_that_it_remembers(
    video: list[Detections], link: str, history: int, max_misses: int
) -> None:
    def linked(history: int | None) -> list[LinkedPath]:
        linker = TubeLinker(1, link=link, max_misses=max_misses, min_length=0, history=history)
        closed = [path for found in video for path in linker.update(found).closed]
        return closed + linker.finish()

    for part, whole in zip(linked(history), linked(None), strict=True):
        frames = len(part.boxes)
        assert 1 <= frames <= history
        assert part.found_at.tolist() == [n for n in whole.found_at if n > whole.end - history]
        assert (part.id, part.label, part.end) == (whole.id, whole.label, whole.end)
        for name in ("boxes", "scores", "observed", "class_scores"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[-frames:])

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgekit.linking.tracker import OnlineLinker
from edgekit.linking.tracks.compiled import NativeTracks
from edgekit.linking.tracks.plain import PlainTracks
from edgekit.runtime import native
from edgekit.runtime.types import Detections, Tube

COMPILED = native.setting().available[:-1]

pytestmark = pytest.mark.skipif(not COMPILED, reason="the compiled kernel was not built")


def made(kernel: str, classes: int, **options: int) -> OnlineLinker:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.VARIABLE, kernel)
        return OnlineLinker(classes, **options)  # type: ignore[arg-type]


def both(classes: int, kernel: str = "", **options: int) -> tuple[OnlineLinker, OnlineLinker]:
    plain, compiled = made("numpy", classes, **options), made(kernel, classes, **options)
    assert isinstance(plain._tracks, PlainTracks)
    assert isinstance(compiled._tracks, NativeTracks)
    return plain, compiled


def stream(seed: int, frames: int, most: int, classes: int) -> Iterator[Detections]:
    """Actors and clutter; of coarse numbers in some streams, so that gains are often equal."""
    random = np.random.default_rng(seed)
    coarse, wild = random.random(2) < (0.5, 0.3)
    actors = int(random.integers(0, most + 1))
    centre = random.uniform(0, 300, (actors, 2))
    step = random.normal(0, 4, (actors, 2))
    profile = random.dirichlet(np.ones(classes), actors)
    for _ in range(frames):
        centre += step
        seen = random.random(actors) > 0.3
        clutter = int(random.integers(0, most // 2 + 1))
        middle = np.concatenate((centre[seen], random.uniform(0, 300, (clutter, 2))))
        half = random.uniform(2, 60, (len(middle), 2))
        if coarse:
            middle, half = middle.round(-1), half.round(-1)
        boxes = np.concatenate((middle - half, middle + half), axis=1)
        scores = np.concatenate((profile[seen], random.uniform(0, 0.5, (clutter, classes))))
        scores *= random.choice([1.0, 0.2, 0.02], (len(scores), 1), p=[0.5, 0.4, 0.1])
        if coarse:
            scores = scores.round(1)
        if wild:
            odd = random.choice([np.nan, np.inf, -np.inf, 0.0, 1e5, -1e5], boxes.shape)
            boxes = np.where(random.random(boxes.shape) < 0.03, odd, boxes)
            scores[random.random(scores.shape) < 0.02] = np.nan
        again = np.flatnonzero(random.random(len(boxes)) < 0.2)
        boxes, scores = (
            np.concatenate((boxes, boxes[again])),
            np.concatenate((scores, scores[again])),
        )
        kind = np.float32 if coarse else np.float64
        keep = slice(0, 0 if random.random() < 0.1 else None)
        yield Detections(boxes[keep].astype(kind), scores[keep].astype(kind))


def assert_same(tubes: list[Tube], others: list[Tube]) -> None:
    assert len(tubes) == len(others)
    for tube, other in zip(tubes, others, strict=True):
        for name in ("id", "label", "score", "start", "end"):
            assert getattr(tube, name) == getattr(other, name)
        for name in ("boxes", "scores", "observed"):
            np.testing.assert_array_equal(getattr(tube, name), getattr(other, name))


@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(1, 40),
    most=st.sampled_from([1, 5, 25]),
    classes=st.sampled_from([1, 3, 8, 24, 25]),
    kernel=st.sampled_from(COMPILED or [""]),
    options=st.fixed_dictionaries(
        {
            "delay": st.sampled_from([0, 5]),
            "max_misses": st.sampled_from([1, 4, 30]),
            "history": st.sampled_from([None, 9]),
        }
    ),
)
@example(seed=2, frames=6, most=400, classes=24, kernel="", options={})
@example(seed=1, frames=6, most=400, classes=24, kernel=(COMPILED or [""])[-1], options={})
@settings(max_examples=120, deadline=None)
def test_the_library_links_what_numpy_links(seed, frames, most, classes, kernel, options):
    plain, compiled = both(classes, kernel, min_length=2, **options)
    random = np.random.default_rng(seed)
    step = random.choice([None, 1 / 60, 0.04, 0.15])
    time = None if step is None else 0.0
    for found in stream(seed, frames, most, classes):
        one, two = plain.update(found, time), compiled.update(found, time)
        time = None if time is None else time + step * random.choice([1.0, 1.0, 3.0, -1.0])
        assert one.live == two.live
        assert_same(list(one.closed), list(two.closed))
        if random.random() < 0.1:
            lost = int(random.integers(1, 40))
            assert_same(plain.skip(lost), compiled.skip(lost))
        if random.random() < 0.05:
            assert_same(plain.resize((9, 9)), compiled.resize((9, 9)))
        if random.random() < 0.2:
            kept = {tube.id for tube in one.live if random.random() < 0.5}
            assert_same(plain.hold(7, kept), compiled.hold(7, kept))
            assert plain.live_tubes() == compiled.live_tubes()
    assert_same(plain.finish(), compiled.finish())


def test_more_pairs_than_there_was_room_for():
    boxes = np.tile([10.0, 10, 50, 90], (200, 1)) + np.arange(200)[:, None] / 50
    scores = np.full((200, 3), 0.5)
    plain, compiled = both(3)
    # Far apart first, so that all start tracks; then all near all.
    apart = boxes + 1000 * np.arange(200)[:, None]
    for place in (apart, apart + 5, boxes, boxes):
        found = Detections(place, scores)
        assert plain.update(found).live == compiled.update(found).live
    compiled._tracks._arrays["states"][:200, 0, :2] = boxes[:, :2] + 20
    plain._tracks._rows.states[:200, 0, :2] = boxes[:, :2] + 20
    found = Detections(boxes, scores)
    assert plain.update(found).live == compiled.update(found).live
    assert compiled._tracks._linking.pair_capacity >= 200 * 200


@pytest.mark.parametrize(
    ("boxes", "scores"), [((3, 4), (3, 1)), ((3, 4), (2, 5)), ((2, 4), (3, 5)), ((3, 4), (3, 6))]
)
def test_arrays_that_do_not_fit_never_reach_the_library(boxes, scores):
    linker = made("", 5)
    linker.update(Detections(np.zeros((3, 4)), np.zeros((3, 5))))
    found = Detections(np.zeros((3, 4)), np.zeros((3, 5)))
    # Detections refuse shapes that differ; C does not trust them to have done so.
    object.__setattr__(found, "boxes", np.ones(boxes))
    object.__setattr__(found, "scores", np.ones(scores))
    with pytest.raises(ValueError, match="expected boxes of shape"):
        linker.update(found)


def test_a_stream_in_which_nothing_is_found():
    plain, compiled = both(4)
    for _ in range(3):
        assert compiled.update(Detections.empty(4)) == plain.update(Detections.empty(4))
    assert compiled.skip(10) == compiled.finish() == []


def test_the_fastest_kernel_links_with_what_avx2_has() -> None:
    tracks = made(COMPILED[0], 3)._tracks
    assert isinstance(tracks, NativeTracks)
    assert bool(tracks._linking.avx2) == ("avx2" in COMPILED)


def test_more_rows_than_there_is_room_for_are_refused_in_c() -> None:
    linker = made("", 3)
    tracks = linker._tracks
    assert isinstance(tracks, NativeTracks)
    linking = tracks._linking
    for found, row_capacity in ((10**6, 10**6), (1, 0), (-1, 64)):
        before = linking.found_capacity, linking.row_capacity
        linking.found, linking.row_capacity = found, row_capacity
        assert tracks._look(tracks._at) == -1
        assert tracks._do_step(tracks._at) == -1
        linking.found_capacity, linking.row_capacity = before
    linking.found, linking.past, linking.past_capacity = 1, 5, 5
    assert tracks._do_step(tracks._at) == -1

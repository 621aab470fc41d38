from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.linking.choices import LINKS
from edgekit.linking.registry import make_linker
from edgekit.linking.tracker import OnlineLinker
from edgekit.linking.tracks import kalman, matching, segments
from edgekit.runtime.iou import touching_pairs
from edgekit.runtime.types import Array, Detections, Tube


def found(*rows: tuple[float, float, Sequence[float]], size: float = 40.0) -> Detections:
    """Detections from centres and class scores."""
    boxes = np.array([[x - size / 2, y - size, x + size / 2, y + size] for x, y, _ in rows])
    scores = np.array([scores for _, _, scores in rows])
    return Detections(boxes, scores) if rows else Detections.empty(2)


def tubes_of(linker: OnlineLinker, frames: Sequence[Detections]) -> list[Tube]:
    return [tube for frame in frames for tube in linker.update(frame).closed] + linker.finish()


def random_video(seed: int, frames: int, *, classes: int = 3) -> list[Detections]:
    """Actors that walk at random, one in five not found, among clutter."""
    random = np.random.default_rng(seed)
    count = int(random.integers(0, 5))
    centre = random.uniform(40, 200, (count, 2))
    step = random.normal(0, 3, (count, 2))
    profile = random.dirichlet(np.ones(classes), count)
    out = []
    for _ in range(frames):
        centre += step
        seen = random.random(count) > 0.2
        clutter = int(random.integers(0, 3))
        middle = np.concatenate((centre[seen], random.uniform(0, 240, (clutter, 2))))
        middle += random.normal(0, 1, middle.shape)
        noise = random.uniform(0, 0.2, (clutter, classes))
        boxes = np.concatenate((middle - 20, middle + 20), axis=1)
        out.append(Detections(boxes, np.concatenate((profile[seen], noise))))
    return out


seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(0, 60), st.sampled_from(LINKS))
@settings(max_examples=30, deadline=None)
def test_what_was_given_does_not_change_later(seed: int, frames: int, link: str) -> None:
    """Neither with later frames, nor if the caller uses the arrays of detections again."""
    video = random_video(seed, frames)
    linker, other = (make_linker(link, 3, min_length=2, max_misses=3).linker for _ in range(2))
    given, copies = [], []
    for frame in video:
        shared = Detections(frame.boxes.copy(), frame.scores.copy())
        given.append(linker.update(shared))
        copies.append(copy.deepcopy(given[-1]))
        shared.boxes[:], shared.scores[:] = 7, 0.5
        expected = other.update(frame)
        assert repr(given[-1]) == repr(expected)
    assert repr(linker.finish()) == repr(other.finish())
    assert [repr(update) for update in given] == [repr(update) for update in copies]


@given(seeds, st.integers(1, 80), st.sampled_from([0, 4, 100]), st.sampled_from([1, 3, 30]))
@settings(max_examples=40, deadline=None)
def test_tubes_are_whole(seed: int, frames: int, delay: int, max_misses: int) -> None:
    linker = OnlineLinker(3, delay=delay, max_misses=max_misses, min_length=2)
    tubes = tubes_of(linker, random_video(seed, frames))
    assert len({tube.id for tube in tubes}) == len(tubes)
    for tube in tubes:
        assert 0 <= tube.start <= tube.end < frames
        assert tube.end - tube.start + 1 == len(tube.boxes) == len(tube.scores)
        assert len(tube.observed) == len(tube.boxes)
        assert tube.observed[0]
        assert tube.observed[-1]
        assert np.isfinite(tube.boxes).all()
        assert (tube.boxes[:, 2:] > tube.boxes[:, :2]).all()
        assert 0 < tube.score <= 1


@given(seeds, st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_a_delay_moves_boxes_and_nothing_else(seed: int, frames: int) -> None:
    video = random_video(seed, frames)
    now, later = (tubes_of(OnlineLinker(3, delay=delay), video) for delay in (0, 15))
    facts = [
        [(t.id, t.label, t.score, t.start, t.end, t.observed.tolist()) for t in tubes]
        for tubes in (now, later)
    ]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("delay", [0, 1, 3, 15])
def test_boxes_are_refined_by_as_many_later_frames_as_the_delay_has(delay):
    def boxes(turn: int) -> Array:
        linker = OnlineLinker(2, delay=delay)
        for frame in range(60):
            linker.update(walking(min(frame, 2 * turn - frame)))
        (tube,) = linker.finish()
        return tube.boxes

    differs = np.abs(boxes(39) - boxes(60)).max(axis=1) > 1e-9
    assert differs.tolist() == [frame >= 40 - delay for frame in range(60)]


@given(seeds, st.integers(20, 60), st.integers(1, 10))
@settings(max_examples=15, deadline=None)
def test_a_delayed_box_depends_on_no_frame_beyond_the_delay(
    seed: int, frames: int, lag: int
) -> None:
    measured = np.random.default_rng(seed).normal(3, 1, (frames, 4))
    states = filtered(measured)
    cut = frames - lag
    times = np.arange(frames, dtype=float)
    whole = kalman.smoothed(states, times, lag)
    for end in range(lag, cut):
        part = kalman.States(*(field[: end + 1] for field in states))
        row = end - lag
        known = kalman.smoothed(part, times[: end + 1], lag)
        np.testing.assert_allclose(known[row], whole[row], atol=1e-9)


def filtered(measured: Array) -> kalman.States:
    """The filtered states of one track that is found in every frame."""
    now = kalman.started(measured[:1])
    every = [now]
    for row in measured[1:]:
        now = kalman.corrected(kalman.predicted(now), row[None])
        every.append(now)
    return kalman.States(*(np.concatenate(field) for field in zip(*every, strict=True)))


def test_the_filter_and_the_smoother_are_those_of_the_textbook() -> None:
    random = np.random.default_rng(0)
    measured = np.concatenate((random.normal(100, 9, (12, 2)), np.full((12, 2), 3.0)), axis=1)
    states = filtered(measured)
    smooth = kalman.smoothed(states, np.arange(12.0), 99)
    size = np.exp(3.0)
    change = np.array([[1.0, 1.0], [0.0, kalman.FADING]])
    noise = np.diag([kalman.MOVED, kalman.ACCELERATED]) ** 2 * size**2
    look = np.array([[1.0, 0.0]])
    for axis in range(2):
        mean = np.array([measured[0, axis], 0.0])
        cov = np.diag([kalman.MEASURED, kalman.FIRST_VELOCITY]) ** 2 * size**2
        past = [(mean, cov)]
        for value in measured[1:, axis]:
            mean, cov = change @ mean, change @ cov @ change.T + noise
            gain = cov @ look.T / (look @ cov @ look.T + (kalman.MEASURED * size) ** 2)
            mean = mean + gain[:, 0] * (value - mean[0])
            cov = cov - gain @ look @ cov
            past.append((mean, cov))
        np.testing.assert_allclose(states.place[:, axis], [m[0] for m, _ in past])
        np.testing.assert_allclose(states.speed_variance[:, axis], [c[1, 1] for _, c in past])
        later = past[-1][0]
        for place in range(len(past) - 2, -1, -1):
            mean, cov = past[place]
            ahead = change @ cov @ change.T + noise
            later = mean + cov @ change.T @ np.linalg.inv(ahead) @ (later - change @ mean)
            assert smooth[place, axis] == pytest.approx(later[0])


@given(st.lists(st.integers(-5, 5), max_size=12))
@settings(max_examples=300, deadline=None)
def test_segments_are_the_maximal_ones(values: list[int]) -> None:
    # Ruzzo and Tompa's definition by recursion: the best stretch, then what is left and right.
    def best(first: int, stop: int) -> list[tuple[int, int, float]]:
        sums = [
            (sum(values[a : b + 1]), a - b, a, b)
            for a in range(first, stop)
            for b in range(a, stop)
        ]
        if not sums or max(sums)[0] <= 0:
            return []
        top = max(total for total, *_ in sums)
        # Of equals the longest; a zero at an edge is no part of a maximal segment.
        _, _, a, b = max(
            (s for s in sums if s[0] == top and least(s[2], s[3])), key=lambda s: -s[1]
        )
        return [*best(first, a), (a, b, top), *best(b + 1, stop)]

    def least(a: int, b: int) -> bool:
        whole = sum(values[a : b + 1])
        parts = itertools.combinations(range(a, b + 2), 2)
        return all(sum(values[x:y]) < whole for x, y in parts if (x, y) != (a, b + 1))

    assert segments.maximal_segments(values) == best(0, len(values))


def test_the_longest_stretch_comes_first_and_keeps_the_live_id() -> None:
    linker = OnlineLinker(2)
    for t in range(100):
        linker.update(found((20.0, 100, [0.8 if t < 10 or t >= 40 else 0.02, 0.0])))
    tubes = [tube for tube in linker.finish() if tube.label == 0]
    assert [(tube.id, tube.start, tube.end) for tube in tubes[:2]] == [(0, 40, 99), (1, 0, 9)]
    assert {tube.track for tube in tubes} == {0}


def test_a_track_of_too_short_stretches_ends_as_the_best_of_them():
    linker = OnlineLinker(2, min_length=2)
    for score in (0.8, 0.01, 0.01, 0.01, 0.01, 0.01):
        linker.update(found((20.0, 100, [score, 0.0])))
    assert [(tube.id, tube.start, tube.end) for tube in linker.finish()] == [(0, 0, 0)]


@pytest.mark.parametrize(("min_length", "starts"), [(9, [40, 0]), (10, [40])])
def test_stretches_with_no_more_frames_than_the_least_are_dropped(min_length, starts):
    linker = OnlineLinker(2, min_length=min_length)
    for t in range(100):
        linker.update(found((20.0, 100, [0.8 if t < 10 or t >= 40 else 0.02, 0.0])))
    assert [tube.start for tube in linker.finish() if tube.label == 0] == starts


def test_a_tube_needs_two_detections_however_far_apart_frames_are():
    for count in (1, 2):
        linker = OnlineLinker(2, min_length=4)
        linker.update(found())
        for _ in range(count):
            linker.skip(9)
            linker.update(found((100, 100, [0.8, 0.0])))
        assert [int(tube.observed.sum()) for tube in linker.finish()] == [2][: count - 1]


@given(seeds, st.floats(0.25, 1))
@settings(max_examples=50, deadline=None)
def test_how_high_a_detector_scores_does_not_change_the_pairs(seed: int, factor: float) -> None:
    random = np.random.default_rng(seed)
    near = random.uniform(0, 80, (2, 6, 2))
    tracks, boxes = np.concatenate((near, near + random.uniform(1, 50, near.shape)), axis=2)
    sums, scores = random.uniform(0.1, 1, (2, 6, 3))

    def pairs(share: float) -> list[list[float]]:
        both = [share * matching.padded(rows) for rows in (sums, scores)]
        profiles = matching.unit(both[0]), matching.unit(both[1])
        levels = np.log(both[0].max(1)), np.log(both[1].max(1))
        pairs = matching.by_overlap(tracks, boxes, profiles, levels)
        return [found.tolist() for found in pairs]

    for found, expected in zip(pairs(factor), pairs(1.0), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_overlaps_are_those_of_box_and_box(seed: int) -> None:
    random = np.random.default_rng(seed)
    near = random.uniform(0, 80, (2, 6, 2))
    one, two = np.concatenate((near, near + random.uniform(1, 50, near.shape)), axis=2)
    rows, columns, iou = touching_pairs(one, two, 1e-6)
    want = {}
    for i, j in itertools.product(range(6), range(6)):
        sides = np.minimum(one[i, 2:], two[j, 2:]) - np.maximum(one[i, :2], two[j, :2])
        if (sides > 0).all():
            areas = (one[i, 2:] - one[i, :2]).prod() + (two[j, 2:] - two[j, :2]).prod()
            want[i, j] = sides.prod() / (areas - sides.prod())
    got = dict(zip(zip(rows.tolist(), columns.tolist(), strict=True), iou.tolist(), strict=True))
    assert got == pytest.approx({k: v for k, v in want.items() if v >= 1e-6}, rel=1e-4, abs=1e-5)


def test_an_actor_keeps_its_id_through_an_occlusion() -> None:
    def frame(t: int) -> Detections:
        return found() if 20 <= t < 30 else found((20.0 + 3 * t, 100, [0.8, 0.1]))

    linker = OnlineLinker(2)
    live = [linker.update(frame(t)).live for t in range(50)]
    assert {tube.id for tubes in live for tube in tubes} == {0}
    hidden = live[25][0]
    assert (hidden.age, hidden.observed) == (6, False)
    best = linker.finish()[0]
    assert (best.id, best.label, best.start, best.end) == (0, 0, 0, 49)
    assert best.observed.tolist() == [not 20 <= t < 30 for t in range(50)]


def test_crossing_actors_of_different_classes_keep_their_ids() -> None:
    linker = OnlineLinker(2)
    live = []
    for t in range(60):
        right = (20.0 + 4 * t, 100.0, [0.8, 0.1])
        left = (256.0 - 4 * t, 104.0, [0.1, 0.8])
        live = linker.update(found(right, left)).live
    assert {tube.id: tube.label for tube in live} == {0: 0, 1: 1}
    assert [tube.box[0] > 128 for tube in live] == [True, False]


def test_only_the_stretch_of_the_action_becomes_a_tube() -> None:
    scores = [[0.1, 0.0]] * 20 + [[0.8, 0.0]] * 30 + [[0.1, 0.0]] * 20
    frames = [found((100, 100, row)) for row in scores]
    (tube,) = tubes_of(OnlineLinker(2), frames)
    assert (tube.start, tube.end, tube.label) == (20, 49, 0)


@pytest.mark.parametrize(("around", "span"), [(0.33, (20, 49)), (0.35, (0, 69))])
def test_a_stretch_has_scores_above_half_of_the_mean_of_the_best_forty(around, span):
    """With ten of these, the best forty have a mean of 0.68 to 0.69."""
    scores = [[around, 0.0]] * 20 + [[0.8, 0.0]] * 30 + [[around, 0.0]] * 20
    (tube,) = tubes_of(OnlineLinker(2), [found((100, 100, row)) for row in scores])
    assert (tube.start, tube.end) == span


def test_the_best_scores_of_a_slow_source_are_those_of_as_long_a_time():
    linker = OnlineLinker(2)
    for index in range(40):  # at five per second, eight stand for the time of forty
        score = 0.8 if 16 <= index < 24 else 0.3
        linker.update(found((100, 100, [score, 0.0])), index / 5)
    (tube,) = linker.finish()
    assert (tube.start, tube.end) == (16, 23)


@given(seeds, st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_what_was_live_long_enough_ends_as_a_tube_of_its_id(seed: int, frames: int) -> None:
    linker = OnlineLinker(3, min_length=2)
    live, closed = set(), set()
    for frame in random_video(seed, frames):
        update = linker.update(frame)
        live |= {tube.id for tube in update.live if tube.hits > 2}
        closed |= {tube.id for tube in update.closed}
    closed |= {tube.id for tube in linker.finish()}
    assert live <= closed


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("still", [0, 25, 150, 1500])
def test_the_live_score_and_class_are_those_of_the_last_second(still, every):
    """An actor that stood still scores, after a second of action, nearly as one that did not."""
    linker = OnlineLinker(2)
    for index in range(0, still + 25, every):
        scores = [0.04, 0.05] if index < still else [0.5, 0.1]
        (tube,) = linker.update(found((100, 100, scores)), index / 25).live
        if every > 1:
            linker.skip(every - 1)
    assert (tube.start, tube.label) == (0, 0)
    assert tube.score == pytest.approx(0.5) if not still else 0.3 < tube.score < 0.5


@pytest.mark.parametrize(("every", "score", "after"), [(3, 0.9, 0), (3, 0.5, None), (1, 0.9, None)])
def test_a_far_stronger_detection_beside_a_paired_one_starts_a_track(every, score, after):
    """Noise in the place of an actor is found again and again, as another class."""
    linker, begun = OnlineLinker(2), None
    for index in range(0, 36, every):
        noise, actor = (100, 100, [0.05, 0.0]), (104, 102, [0.0, score])
        live = linker.update(found(noise, actor) if index >= 18 else found(noise), index / 25).live
        if begun is None and any(tube.label == 1 for tube in live):
            begun = index
        if every > 1:
            linker.skip(every - 1)
    assert begun == (None if after is None else 18 + after)


@pytest.mark.parametrize(("score", "begun"), [(0.9, True), (0.5, False)])
def test_after_a_pause_too_a_far_stronger_detection_starts_a_track(score, begun):
    linker = OnlineLinker(2)
    noise, actor = (100, 100, [0.05, 0.0]), (104, 102, [0.0, score])
    linker.update(found(noise))
    linker.hold(50, ())
    for _ in range(8):
        linker.update(found(noise))
    live = linker.update(found(noise, actor)).live
    assert any(tube.label == 1 for tube in live) == begun


def test_a_live_score_is_a_mean_of_eight_detections_however_far_apart_they_are():
    linker = OnlineLinker(1)
    for index in range(0, 4000, 40):
        (tube,) = linker.update(found((100, 100, [0.1])), index / 25).live
        linker.skip(39)
    (tube,) = linker.update(found((100, 100, [0.9])), 160).live
    assert tube.score == pytest.approx(0.1 + 0.8 / 8)


def test_past_scores_fade_as_they_should():
    """A mean of all detections at first, then each one counts a 25th of the score."""
    linker, expected = OnlineLinker(1), 0.0
    for index, score in enumerate(np.random.default_rng(4).uniform(0.1, 0.9, 60).tolist()):
        expected += (score - expected) / min(index + 1, 25)
        (tube,) = linker.update(found((100, 100, [score]))).live
        assert tube.score == pytest.approx(expected)


def test_duplicates_start_no_tracks() -> None:
    linker = OnlineLinker(2)
    for _ in range(10):
        update = linker.update(found((100, 100, [0.8, 0.0]), (104, 102, [0.4, 0.0])))
    assert [tube.id for tube in update.live] == [0]


def test_an_endless_stream_needs_no_more_memory() -> None:
    linker = OnlineLinker(3, history=50)
    sizes = []
    for frame in itertools.islice(itertools.cycle(random_video(5, 200)), 2000):
        linker.update(frame)
        sizes.append(len(linker._history.table.id))
    assert max(sizes[1000:]) <= max(sizes[:1000])
    still = OnlineLinker(2, history=50)
    for _ in range(500):
        still.update(found((100, 100, [0.8, 0.0])))
    (tube,) = still.finish()
    assert (tube.start, tube.end) == (450, 499)


def test_the_history_of_a_slow_source_is_limited_in_time() -> None:
    """Five frames per second fill it after a fifth of the frames, not five times later."""
    linker, sizes = OnlineLinker(3, history=50), []
    for index, frame in enumerate(itertools.islice(itertools.cycle(random_video(5, 200)), 400)):
        linker.update(frame, index / 5)
        sizes.append(len(linker._history.table.id))
    assert max(sizes[20:]) <= max(sizes[:20])
    still = OnlineLinker(2, history=50)
    for index in range(500):
        still.update(found((100, 100, [0.8, 0.0])), index / 8)  # 16 of its steps are exactly 50
    (tube,) = still.finish()
    assert (tube.start, tube.end) == (484, 499)


def test_while_nothing_moves_no_time_passes_for_tracks() -> None:
    frame, nothing = found((100, 100, [0.8, 0.0])), Detections.empty(2)
    linker = OnlineLinker(2)
    for index in range(10):
        linker.update(frame, index / 25)
    linker.hold(60_000)
    live = linker.update(frame, 60_010 / 25).live
    assert [(tube.id, tube.start, tube.observed) for tube in live] == [(0, 0, True)]
    for index in range(5):
        linker.hold(49)
        (tube,) = linker.update(nothing, (60_061 + 50 * index) / 25).live
        assert not tube.observed
    assert linker.skip(99) == []
    assert len(linker.update(frame, 60_360 / 25).live) == 1
    (tube,) = linker.finish()
    assert (tube.start, tube.end, len(tube.boxes)) == (0, 60_360, 60_361)
    assert tube.observed.sum() == 12


def test_only_the_chosen_tracks_continue_while_nothing_moves() -> None:
    both = found((100, 100, [0.8, 0.0]), (300, 100, [0.0, 0.7]))
    linker = OnlineLinker(2)
    for _ in range(10):
        first, second = linker.update(both).live
    (ended,) = linker.hold(200, {second.id})
    assert (ended.track, ended.start, ended.end) == (first.id, 0, 9)
    assert [tube.id for tube in linker.live_tubes()] == [second.id]
    live = linker.update(both).live
    assert [(tube.id, tube.start) for tube in live] == [(second.id, 0), (2, 210)]
    assert len(linker.hold(5, ())) == 1
    assert linker.live_tubes() == []


def test_lost_frames_are_passed_over_and_a_new_size_ends_all() -> None:
    frame = found((100, 100, [0.8, 0.0]))
    linker = OnlineLinker(2)
    for _ in range(10):
        linker.update(frame)
    assert linker.skip(29) == []
    assert linker.update(frame).live[0].id == 0
    assert [tube.end for tube in linker.skip(1000)] == [39]
    assert linker.update(frame).live[0].start == 1040
    assert linker.resize((64, 48)) == []
    assert linker.update(frame).live[0].id == 2


@pytest.mark.parametrize(
    ("link", "options"),
    [
        ("edgekit", {"max_misses": 0}),
        ("edgekit", {"max_misses": -1}),
        ("edgekit", {"delay": -1}),
        ("edgekit", {"cost": "similarity"}),
        ("edgekit", {"delay_seconds": -0.1}),
        ("edgekit", {"delay_seconds": float("nan")}),
        ("edgekit", {"delay_seconds": 0.5, "delay": 12}),
        ("edgekit", {"max_gap": -1.0}),
        ("edgekit", {"max_gap": float("nan")}),
        ("edgekit", {"max_gap": float("inf")}),
        ("edgekit", {"max_gap": 1.0, "max_misses": 25}),
        ("road", {"delay": 3}),
        ("road", {"delay_seconds": 0.1}),
        ("road", {"max_gap": 1.0}),
        ("korsal-hold", {"max_misses": 0}),
        ("sort", {}),
    ],
)
def test_what_cannot_be_is_refused(link: str, options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        make_linker(link, 2, **options)  # type: ignore[arg-type]


def test_options_in_seconds_say_what_those_in_frames_of_25_a_second_say() -> None:
    video = random_video(7, 200)

    def tubes(**options: float) -> list[Tube]:
        linker = make_linker("edgekit", 3, score=0.1, **options)  # type: ignore[arg-type]
        closed = [tube for frame in video for tube in linker.update(frame).closed]
        return closed + linker.finish()

    frames, seconds = tubes(max_misses=10, delay=15), tubes(max_gap=0.4, delay_seconds=0.6)
    assert len(frames) == len(seconds) > 0
    for one, other in zip(frames, seconds, strict=True):
        assert (one.id, one.start, one.end) == (other.id, other.start, other.end)
        np.testing.assert_array_equal(one.boxes, other.boxes)
    assert [tube.end for tube in tubes(max_gap=0)] == [tube.end for tube in tubes(max_misses=1)]


@pytest.mark.parametrize("link", LINKS)
def test_every_linker_takes_frames_without_detections(link: str) -> None:
    linker = make_linker(link, 2)
    for _ in range(5):
        assert linker.update(Detections.empty(2)).live == []
    assert linker.skip(3) == []
    assert linker.finish() == []


def test_a_step_over_frames_is_that_many_steps_of_one():
    random = np.random.default_rng(0)
    states = kalman.started(random.normal(3, 1, (5, 4)))
    states = states._replace(speed=random.normal(0, 1, (5, 4)))
    size = np.ones((5, 2))
    one_by_one = states
    for _ in range(4):
        one_by_one = kalman.predicted(one_by_one, size)
    at_once = kalman.predicted(states, size, kalman.step_of(4.0))
    for found, expected in zip(at_once, one_by_one, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    half = kalman.predicted(states, size, kalman.step_of(0.5))
    whole = kalman.predicted(half, size, kalman.step_of(0.5))
    np.testing.assert_allclose(whole.place, kalman.predicted(states, size).place, rtol=1e-12)


def walking(frame: int) -> Detections:
    """One actor who goes a twentieth of its width to the right in each frame of 25 a second."""
    left = 10.0 + frame
    return Detections(np.array([[left, 20.0, left + 20, 70.0]]), np.array([[0.0, 0.8]]))


@given(st.integers(1, 8), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
@settings(max_examples=60, deadline=None)
def test_an_actor_is_the_same_tube_whatever_share_of_the_frames_is_looked_at(every, right, down):
    """One of 20 x 40 pixels that moves evenly."""
    truth = np.array([100.0, 100, 120, 140]) + np.arange(81)[:, None] * [right, down, right, down]
    linker = OnlineLinker(2, min_length=2)
    for frame in range(81):
        if frame % every:
            assert linker.skip(1) == []
        else:
            linker.update(Detections(truth[frame][None], np.array([[0.0, 0.8]])))
    (tube,) = linker.finish()
    assert (tube.start, tube.end) == (0, 80)
    assert np.flatnonzero(tube.observed).tolist() == list(range(0, 81, every))
    # Frames behind the last look keep its box, and the filter is at most a frame and a half late.
    speed = max(abs(right), abs(down))
    assert np.abs(tube.boxes - truth).max() <= (every + 0.5) * speed + 1e-9


@pytest.mark.parametrize("fps", [5, 12.5, 25, 30, 50, 60, 120])
def test_time_counts_and_not_the_number_of_frames(fps):
    linker = OnlineLinker(2, min_length=2)
    frames = int(2 * fps)
    for frame in range(frames):
        linker.update(walking(frame * 25 / fps), frame / fps)
    lost = 0
    while not (closed := linker.update(Detections.empty(2), (frames + lost) / fps).closed):
        lost += 1
    assert [(tube.start, tube.end) for tube in closed] == [(0, frames - 1)]
    # At the rate of the training 30 frames; of slow cameras at least eight pictures.
    assert lost + 1 == pytest.approx(max(1.2 * fps, 8), abs=1 if fps != 30 else 7)


@pytest.mark.parametrize(
    ("rate", "misses"), [(15, 19), (20, 30), (100 / 3, 30), (30, 30), (60, 73)]
)
@pytest.mark.parametrize("start", [0.0, 1.3, 1000.7, 7200.0])
def test_when_a_tube_ends_does_not_depend_on_where_the_times_begin(rate, misses, start):
    """Rates from 20 to 33 per second count as 25, also those at the limits."""
    linker, lost = OnlineLinker(2, min_length=2), 0
    for frame in range(40):
        linker.update(walking(frame * 25 / rate), start + frame / rate)
    while not linker.update(Detections.empty(2), start + (40 + lost) / rate).closed:
        lost += 1
    assert lost + 1 == pytest.approx(misses, abs=1)  # at 60 the sum of steps is at the limit


@pytest.mark.parametrize("jump", [0.0, -7200.0, float("nan")])
def test_times_that_cannot_be_are_passed_over(jump):
    linker, counted = OnlineLinker(2, min_length=2), OnlineLinker(2, min_length=2)
    for frame in range(40):
        time = frame / 25 + (jump if frame > 20 else 0)
        assert linker.update(walking(frame), time) == counted.update(walking(frame))
    (tube,), (other,) = linker.finish(), counted.finish()
    np.testing.assert_array_equal(tube.boxes, other.boxes)


def test_who_was_not_looked_at_for_long_is_somebody_else():
    linker = OnlineLinker(2, min_length=2)
    for frame in range(10):
        linker.update(walking(frame))
    assert [tube.end for tube in linker.skip(101)] == [9]


@pytest.mark.parametrize(("hole", "ended"), [(3.9, []), (4.1, [19]), (300.0, [19]), (7200.0, [19])])
def test_a_hole_in_the_times_is_a_pause_as_long_as_it_says(hole, ended):
    """As in a recording of motion only, whose frames are numbered without the missing ones."""
    linker, closed = OnlineLinker(2, min_length=2), []
    for frame in range(40):
        time = frame / 25 + (hole if frame >= 20 else 0)
        update = linker.update(found((100, 100, [0.8, 0.0])), time)
        closed += update.closed
    assert [tube.end for tube in closed] == ended
    assert [tube.end for tube in linker.finish()] == [39]


@pytest.mark.parametrize("seconds", [1, 3.9, 4.1, 60, 3600])
def test_a_source_of_any_slowness_gives_tubes(seconds):
    linker, closed = OnlineLinker(2, min_length=2), []
    for frame in range(30):
        closed += linker.update(found((100, 100, [0.8, 0.0])), frame * seconds).closed
    assert closed == []
    assert [(tube.start, tube.end) for tube in linker.finish()] == [(0, 29)]
    assert len(linker.update(found((100, 100, [0.8, 0.0])), 30 * seconds).live) == 1


@pytest.mark.parametrize(("rate", "every"), [(60, 120), (120, 120), (240, 240), (2, 1)])
def test_a_pause_is_as_long_as_the_source_says_whatever_its_rate(rate, every):
    linker, closed = OnlineLinker(2, min_length=2), []
    for frame in range(0, 20 * every, every):
        update = linker.update(found((100, 100, [0.8, 0.0])), frame / rate)
        closed += update.closed + linker.skip(every - 1)
    assert [tube.id for tube in update.live] == [0]
    assert closed == []
    frames = 20 * every + 4 * rate
    closed += linker.skip(4 * rate)
    update = linker.update(found((100, 100, [0.8, 0.0])), frames / rate)
    assert [tube.start for tube in update.live] == [frames]
    (tube,) = closed + update.closed
    assert (tube.id, tube.observed.sum()) == (0, 20)


@pytest.mark.parametrize(("gap", "misses"), [(0, 30), (20, 10), (29, 1), (99, 1)])
def test_a_single_gap_counts_in_time_and_not_as_one_of_eight_misses(gap, misses):
    linker, ends = OnlineLinker(2), []
    for frame in range(40):
        linker.update(walking(frame))
    assert linker.skip(gap) == []
    for _ in range(misses):
        assert ends == []
        ends = [tube.end for tube in linker.update(Detections.empty(2)).closed]
    assert ends == [39]


def test_the_time_before_a_track_is_no_time_in_which_it_was_seen():
    linker = OnlineLinker(2, min_length=4)
    linker.update(found())
    assert linker.skip(90) == []
    for _ in range(2):
        linker.update(found((100, 100, [0.8, 0.0])))
    assert linker.finish() == []


def test_a_pause_after_the_first_frame_of_a_source_without_times_ends_tubes():
    linker = OnlineLinker(2, min_length=0)
    linker.update(walking(0))
    assert [tube.end for tube in linker.skip(101)] == [0]


def test_frames_that_a_slow_source_may_have_given_faster_end_no_tube():
    linker = OnlineLinker(2, min_length=2)
    for frame in range(10):
        linker.update(walking(0), frame / 2)
    assert linker.skip(90) == []
    update = linker.update(walking(0), 4.5 + 1.0)
    assert ([tube.start for tube in update.live], update.closed) == ([0], [])


def test_a_source_that_becomes_slower_than_a_pause_ends_its_tubes_once():
    linker, closed = OnlineLinker(2, min_length=2), []
    for time in [*(frame / 25 for frame in range(10)), *range(10, 70, 10)]:
        update = linker.update(walking(0), time)
        closed += update.closed
    assert [(tube.start, tube.end) for tube in closed] == [(0, 9)]
    assert [tube.start for tube in update.live] == [10]


@pytest.mark.parametrize("rate", [25, 60, 240])
@pytest.mark.parametrize(("seconds", "tubes"), [(3.9, 0), (4.1, 1)])
def test_a_pause_of_four_seconds_ends_tubes_before_the_next_frame(rate, seconds, tubes):
    linker = OnlineLinker(2, min_length=2)
    for frame in range(10):
        linker.update(walking(frame * 25 / rate), frame / rate)
    assert len(linker.skip(round(seconds * rate))) == tubes


@pytest.mark.parametrize("every", [2, 3, 5, 8])
def test_a_look_stands_for_the_frames_that_are_nearest_to_it(every):
    linker, closed = OnlineLinker(2), []
    for look in range(30):
        found = walking(look * every) if 10 <= look < 20 else Detections.empty(2)
        closed += linker.update(found).closed
        closed += linker.skip(every - 1)
    (tube,) = closed + linker.finish()
    half = (every - 1) // 2
    assert (tube.start, tube.end) == (10 * every - half, 19 * every + half)
    assert len(tube.boxes) == len(tube.scores) == len(tube.observed) == tube.end - tube.start + 1
    assert tube.observed.sum() == 10


def test_the_first_look_at_a_source_stands_for_its_own_frame_alone():
    linker = OnlineLinker(2, min_length=0)
    linker.update(walking(0))
    assert linker.skip(5) == []
    (tube,) = linker.finish()
    assert (tube.start, tube.end) == (0, 0)


@pytest.mark.parametrize("every", [2, 3, 5, 8])
def test_boxes_of_looks_without_a_detection_lie_between_those_that_were_found(every):
    linker = OnlineLinker(2)
    for frame in range(20 * every + 1):
        if frame % every:
            linker.skip(1)
        else:
            # The actor turns back where it is not found.
            turned = min(frame, 20 * every - frame)
            hidden = 9 * every <= frame <= 11 * every
            linker.update(Detections.empty(2) if hidden else walking(turned))
    (tube,) = linker.finish()
    before, after = tube.boxes[8 * every], tube.boxes[12 * every]
    between = tube.boxes[8 * every : 12 * every + 1]
    np.testing.assert_allclose(between, np.linspace(before, after, 4 * every + 1), rtol=1e-9)


@pytest.mark.parametrize("every", [1, 2, 3, 5, 8])
def test_a_track_of_one_detection_outlives_four_misses_however_far_apart_the_looks_are(every):
    linker = OnlineLinker(2, min_length=0)
    linker.update(Detections.empty(2))
    alive = []
    for look in range(8):
        linker.skip(every - 1)
        found = walking(0) if look in (0, 1) else Detections.empty(2)
        alive.append(len(linker.update(found).live))
    assert alive == [1, 1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(("detections", "misses"), [(1, 5), (3, 5), (4, 30)])
def test_a_track_of_fewer_than_four_detections_ends_after_five_misses(detections, misses):
    linker = OnlineLinker(2)
    for frame in range(detections):
        assert len(linker.update(walking(frame)).live) == 1
    alive = [len(linker.update(Detections.empty(2)).live) for _ in range(misses)]
    assert alive == [1] * (misses - 1) + [0]


def test_what_was_live_long_enough_ends_as_a_tube_at_60_frames_a_second():
    linker = OnlineLinker(2, min_length=2)
    for frame in range(3):
        linker.update(walking(frame), frame / 60)
    assert [tube.end for tube in linker.finish()] == [2]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 12), min_size=2, max_size=60))
def test_no_tube_reaches_as_far_as_a_look_without_its_detection(seed, gaps):
    """However irregular the looks are."""
    linker, looks, tubes = OnlineLinker(3, min_length=1), [], []
    for found, gap in zip(random_video(seed, len(gaps)), gaps, strict=True):
        looks.append(sum(gaps[: len(looks)]))
        tubes += linker.update(found).closed
        tubes += linker.skip(gap - 1)
    tubes += linker.finish()
    for tube in tubes:
        within = [frame for frame in looks if tube.start <= frame <= tube.end]
        seen = (np.flatnonzero(tube.observed) + tube.start).tolist()
        assert (within[0], within[-1]) == (seen[0], seen[-1])
        assert tube.start >= 0
        assert tube.end < sum(gaps)
        assert len(tube.boxes) == len(tube.scores) == len(tube.observed)
        assert np.isfinite(tube.boxes).all()
        assert len(tube.boxes) == tube.end - tube.start + 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(allow_nan=True), min_size=1, max_size=40))
def test_whatever_the_times_say_tubes_are_whole(seed, times):
    linker, tubes = OnlineLinker(3, min_length=1), []
    for found, time in zip(random_video(seed, len(times)), times, strict=True):
        tubes += linker.update(found, time).closed
    for tube in [*tubes, *linker.finish()]:
        assert 0 <= tube.start <= tube.end < len(times)
        assert len(tube.boxes) == tube.end - tube.start + 1
        assert np.isfinite(tube.boxes).all()
        assert np.isfinite(tube.score)


@pytest.mark.parametrize(("frames", "share"), [(10, 0.5), (40, 1.0), (160, 1.0)])
def test_a_tube_needs_forty_detections_for_its_whole_score(frames: int, share: float) -> None:
    (tube,) = tubes_of(OnlineLinker(2), [found((100, 100, [0.8, 0.0]))] * frames)
    assert len(tube.boxes) == frames
    assert tube.score == pytest.approx(0.8 * share)


def test_a_tube_has_the_share_of_its_class_in_the_scores() -> None:
    tubes = tubes_of(OnlineLinker(2), [found((100, 100, [0.6, 0.2]))] * 40)
    assert [(tube.label, tube.score) for tube in tubes] == [
        (0, pytest.approx(0.6 * 0.75)),
        (1, pytest.approx(0.2 * 0.25)),
    ]


def test_a_track_ends_as_tubes_of_its_three_likeliest_classes() -> None:
    tubes = tubes_of(OnlineLinker(5), [found((100, 100, [0.3, 0.1, 0.5, 0.4, 0.2]))] * 40)
    assert [tube.label for tube in tubes] == [2, 3, 0]

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from edgekit.errors import MediaError, UsageError
from edgekit.linking import tracker
from edgekit.linking.published import LiveTube
from edgekit.linking.registry import make_linker
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.reading.frame_reader import Pace
from edgekit.pipeline.results import one_per_actor
from edgekit.pipeline.stage_timer import STAGES, StageClocks, measure
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Detections, Frame
from edgekit.tracker import Tracker
from tests.waiting import LIMIT


class Source:
    """Gives the frames that it was made with."""

    name, width, height, fps, frames, live = "list", 64, 48, 25.0, None, False
    reopens, sample_aspect = False, 1.0

    def __init__(self, frames, *, position=None, error=None):
        self._frames = iter(frames)
        self.position = 0
        self._position = position
        self._error = error

    def read(self):
        frame = next(self._frames, None)
        if frame is not None:
            self.position = frame.index + 1
        elif self._error:
            raise self._error
        elif self._position is not None:
            self.position = self._position
        return frame


class Detector:
    """Finds one box of class 1 in every picture that is not black."""

    classes = ("walk", "run")

    def __init__(self):
        self.resets = []
        self.seen = []

    def reset(self):
        self.resets.append(len(self.seen))

    def recent_frames(self):
        return None

    def prepare(self, image, sample_aspect=1.0, earlier=None):
        self.seen.append(image)
        return {"input": image}, None

    def infer(self, inputs):
        return inputs

    def release(self, inputs):
        pass

    def decode(self, outputs, letterbox):
        if not outputs["input"].any():
            return Detections.empty(2)
        return Detections(np.array([[10.0, 10, 30, 40]]), np.array([[0.0, 0.9]]))


class Recorder:
    def __init__(self, *, fail_at=None, error=None):
        self.calls = []
        self.results = []
        self.tubes = []
        self._fail_at = fail_at
        self._error = error or OSError(28, "No space left on device")

    def _note(self, name, value):
        self.calls.append((name, value))
        if name == self._fail_at:
            raise self._error

    def start(self, info):
        self.info = info
        self._note("start", info.source)

    def gap(self, gap):
        self._note("gap", (gap.index, gap.reason, gap.frames))

    def frame(self, result):
        self.results.append(result)
        self._note("frame", result.frame.index)

    def tube(self, tube):
        self.tubes.append(tube)
        self._note("tube", tube.id)

    def bundle(self, change):
        self._note("bundle", (change.index, change.name, change.outcome, change.classes))

    def end(self, summary):
        self._note("end", summary.frames)

    def close(self):
        self.calls.append(("close", None))


def picture(level=100, size=(48, 64)):
    return np.full((*size, 3), level, np.uint8)


def frames(indices, **options):
    return [Frame(index, index / 25, picture(**options)) for index in indices]


def run(given, detector=None, *, sink=None, max_misses=5, **options):
    sink = sink or Recorder()
    source = given if isinstance(given, Source) else Source(given)
    linker = make_linker("road", 2, max_misses=max_misses, min_length=2)
    summary = Pipeline(source, detector or Detector(), linker, [sink], **options).run()
    return sink, summary


def test_frames_go_through_in_order_and_the_tube_closes_at_the_end():
    sink, summary = run(frames(range(10)))
    assert sink.calls == [
        ("start", "list"),
        *(("frame", index) for index in range(10)),
        ("tube", 0),
        ("end", 10),
        ("close", None),
    ]
    (tube,) = sink.tubes
    assert (tube.label, tube.start, tube.end) == (1, 0, 9)
    assert (summary.frames, summary.dropped, summary.interrupted) == (10, 0, False)
    assert summary.fps == pytest.approx(10 / summary.seconds)


def test_sinks_learn_the_bundle_the_source_and_the_smallest_score_at_the_start():
    sink, _ = run(frames(range(2)), bundle=("model", "0ab1"), score=0.25)
    info = sink.info
    assert (info.bundle, info.bundle_sha256, info.classes) == ("model", "0ab1", ("walk", "run"))
    assert (info.source, info.width, info.height, info.fps) == ("list", 64, 48, 25.0)
    assert info.score == 0.25


def test_tubes_are_shown_from_enough_detections_and_score_on():
    sink, _ = run(frames(range(6)), min_hits=4)
    assert [len(result.tubes) for result in sink.results] == [0, 0, 0, 1, 1, 1]
    sink, _ = run(frames(range(6)), score=0.95)
    assert not any(result.tubes for result in sink.results)
    assert sink.tubes == []


def test_every_shown_tube_is_closed():
    sink, _ = run(frames(range(3), level=9) + frames(range(3, 12), level=0), max_misses=2)
    shown = {tube.id for result in sink.results for tube in result.tubes}
    assert shown == {tube.id for tube in sink.tubes} == {0}
    assert sink.tubes[0].end == 2


def test_lost_frames_are_counted_reset_the_cascade_and_keep_the_tube():
    detector = Detector()
    sink, summary = run(frames([0, 1, 2, 5, 6, 7]), detector)
    assert ("gap", (5, "dropped", 2)) in sink.calls
    assert sink.calls.index(("gap", (5, "dropped", 2))) == sink.calls.index(("frame", 5)) - 1
    assert detector.resets == [3]
    assert summary.dropped == 2
    (tube,) = sink.tubes
    assert (tube.start, tube.end) == (0, 7)
    assert tube.observed.tolist() == [True] * 3 + [False] * 2 + [True] * 3


def test_a_long_gap_ends_the_tube():
    sink, _ = run(frames([*range(4), *range(40, 44)]))
    assert [(tube.start, tube.end) for tube in sink.tubes] == [(0, 3), (40, 43)]


@pytest.mark.parametrize("reason", ["reconnect", "seek"])
def test_a_break_without_lost_frames_is_an_event_too(reason):
    given = frames(range(6))
    given[3] = Frame(3, 0.12, picture(), gap=reason)
    detector = Detector()
    sink, summary = run(given, detector)
    assert ("gap", (3, reason, 0)) in sink.calls
    assert detector.resets == [3]
    assert summary.dropped == 0


def test_a_change_of_size_is_a_gap_and_ends_the_tubes():
    given = frames(range(4)) + frames(range(4, 8), size=(96, 128))
    detector = Detector()
    sink, _ = run(given, detector)
    assert ("gap", (4, "resize", 0)) in sink.calls
    assert detector.resets == [4]
    assert [(tube.start, tube.end) for tube in sink.tubes] == [(0, 3), (4, 7)]


def test_a_change_of_the_pixels_shape_is_a_gap_and_ends_the_tubes_too():
    given = frames(range(4)) + [replace(frame, sample_aspect=2.0) for frame in frames(range(4, 8))]
    detector = Detector()
    sink, _ = run(given, detector)
    assert ("gap", (4, "resize", 0)) in sink.calls
    assert detector.resets == [4]
    assert [(tube.start, tube.end) for tube in sink.tubes] == [(0, 3), (4, 7)]


def test_a_change_of_size_after_a_loss_is_a_gap_of_its_own():
    given = frames(range(4)) + frames(range(6, 8), size=(96, 128))
    sink, summary = run(given)
    gaps = [value for name, value in sink.calls if name == "gap"]
    assert gaps == [(6, "dropped", 2), (6, "resize", 0)]
    assert summary.dropped == 2


def test_frames_lost_at_the_very_end_and_start_are_counted():
    sink, summary = run(Source(frames([2, 3, 4]), position=7))
    assert ("gap", (2, "dropped", 2)) in sink.calls
    assert ("gap", (7, "dropped", 2)) in sink.calls
    assert summary.dropped == 4


def test_an_empty_source_starts_and_ends():
    sink, summary = run([])
    assert sink.calls == [("start", "list"), ("end", 0), ("close", None)]
    assert summary.stages["network"].total == 0


def test_limits():
    assert run(frames(range(50)), max_frames=7)[1].frames == 7
    assert run(frames(range(50)), duration=0.4)[1].frames == 10


def test_stopping_closes_everything_and_says_so():
    class Stopper(Recorder):
        def frame(self, result):
            super().frame(result)
            if result.frame.index == 4:
                pipeline.stop()

    sink = Stopper()
    linker = make_linker("road", 2, min_length=2)
    pipeline = Pipeline(Source(frames(range(50))), Detector(), linker, [sink])
    summary = pipeline.run()
    assert summary.interrupted
    assert summary.frames == 5
    assert [name for name, _ in sink.calls[-3:]] == ["tube", "end", "close"]


@pytest.mark.parametrize("call", ["start", "frame", "tube", "end"])
def test_a_sink_that_fails_ends_the_run_and_the_others_are_ended(call):
    broken, sound = Recorder(fail_at=call), Recorder()
    linker = make_linker("road", 2, min_length=2)
    pipeline = Pipeline(Source(frames(range(9))), Detector(), linker, [broken, sound])
    with pytest.raises(OSError, match="No space left"):
        pipeline.run()
    assert broken.calls[-1] == ("close", None)
    assert broken.calls[-2][0] == call
    assert [name for name, _ in sound.calls[-2:]] == ["end", "close"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, None),
        (MediaError("It is damaged.", hint="Repair it."), "It is damaged."),
        (ValueError("cable"), "ValueError('cable')"),
        (KeyboardInterrupt(), None),
    ],
)
def test_the_summary_that_sinks_get_says_what_error_ended_the_run(error, words):
    class Ends(Sink):
        def end(self, summary):
            ended.append(summary.error)

    ended = []
    source = Source(frames(range(9)), error=error)
    with contextlib.nullcontext() if error is None else pytest.raises(type(error)):
        run(source, sink=Ends())
    assert ended == [words]


def test_a_source_that_fails_ends_the_run_in_order():
    sink = Recorder()
    with pytest.raises(ValueError, match="cable"):
        run(Source(frames(range(9)), error=ValueError("cable")), sink=sink)
    assert sink.calls[-3:] == [("tube", 0), ("end", 9), ("close", None)]


@pytest.mark.parametrize("overlap", [False, True])
def test_a_live_source_keeps_the_newest_frame_and_counts_the_rest(overlap):
    done = threading.Event()

    class Slow(Detector):
        def infer(self, inputs):
            if inputs["input"] is self.seen[0]:
                assert done.wait(120)
            return inputs

    class Live(Source):
        live = True

        def read(self):
            frame = super().read()
            if frame is None:
                done.set()
            return frame

    detector = Slow()
    sink, summary = run(Live(frames(range(30))), detector, overlap=overlap)
    indices = [result.frame.index for result in sink.results]
    assert indices[-1] == 29
    assert len(indices) <= 3 + overlap  # capture works one frame ahead
    assert summary.frames + summary.dropped == 30
    lost = sum(value[2] for name, value in sink.calls if name == "gap")
    assert lost == summary.dropped
    assert detector.resets


def test_frames_of_a_live_source_have_an_age_at_inference():
    class Live(Source):
        live = True

    class Late(Detector):
        def prepare(self, image, sample_aspect=1.0, earlier=None):
            time.sleep(0.002)
            return super().prepare(image)

    sink, summary = run(Live(frames(range(9))), Late(), drop_policy="none")
    assert min(result.age for result in sink.results) > 2
    assert 2 < summary.age.p50 <= summary.age.p99
    assert summary.age.mean == pytest.approx(np.mean([result.age for result in sink.results]))
    sink, summary = run(frames(range(9)))
    assert {result.age for result in sink.results} == {summary.age} == {None}


@pytest.mark.parametrize("link", ["edgekit", "road"])
@pytest.mark.parametrize("overlap", [False, True])
def test_the_tubes_of_a_lost_source_end_while_it_is_away(monkeypatch, overlap, link):
    class Camera(Source):
        live = reopens = True

        def __init__(self, indices, later=None):
            super().__init__(frames(indices), error=MediaError("The cable is out."))
            self._later = later

        def reopened(self):
            assert ended.wait(LIMIT)
            return self._later

    class Stops(Recorder):
        def tube(self, tube):
            super().tube(tube)
            ended.set()

        def gap(self, gap):
            super().gap(gap)
            pipeline.stop()

    ended, sink = threading.Event(), Stops()
    monkeypatch.setattr(tracker, "_LONGEST_PAUSE", 1)
    linker = make_linker(link, 2, min_length=2)
    camera = Camera(range(9), Camera(range(5)))
    options = {"overlap": overlap, "drop_policy": "none"}
    pipeline = Pipeline(camera, Detector(), linker, [sink], **options)
    assert pipeline.run().away is None
    kinds = [name for name, _ in sink.calls]
    assert kinds[: kinds.index("gap")] == ["start", *9 * ["frame"], "tube"]
    assert (sink.tubes[0].start, sink.tubes[0].end) == (0, 8)


def test_an_error_of_a_live_source_is_raised():
    class Live(Source):
        live = True

    with pytest.raises(ValueError, match="cable"):
        run(Live(frames(range(3)), error=ValueError("cable")))


def test_no_drop_policy_loses_nothing_of_a_live_source():
    class Live(Source):
        live = True

    assert run(Live(frames(range(30))), drop_policy="none")[1].frames == 30


def test_a_file_has_no_newest_frame():
    with pytest.raises(UsageError, match="drop_policy='latest'"):
        run(frames(range(3)), drop_policy="latest")


class Pairing(Detector):
    """Notes what each picture was compared with."""

    def __init__(self):
        super().__init__()
        self.pairs = []

    def recent_frames(self):
        return RecentFrames(0.04)

    def prepare(self, image, sample_aspect=1.0, earlier=None):
        levels = [None if one is None else int(one[0, 0, 0]) for one in (earlier, image)]
        self.pairs.append(tuple(levels))
        return super().prepare(image, sample_aspect, earlier)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("overlap", [False, True])
def test_a_cap_takes_frames_evenly_and_pairs_each_with_the_picture_before(live, overlap):
    source = Source([Frame(index, index / 25, picture(100 + index)) for index in range(22)])
    source.live = live
    detector = Pairing()
    options = {"drop_policy": "none", "overlap": overlap}
    sink, summary = run(source, detector, fps=5, **options)
    assert detector.pairs == [(None, 100), *((99 + k, 100 + k) for k in (5, 10, 15, 20))]
    gaps = [value for name, value in sink.calls if name == "gap"]
    assert gaps == [*((k, "fps", 4) for k in (5, 10, 15, 20)), (22, "fps", 1)]
    assert (summary.frames, summary.dropped, dict(summary.skipped)) == (5, 0, {"fps": 17})
    assert detector.resets == [0, 5]  # the source has begun, and ended


def test_what_the_cap_leaves_out_and_what_is_lost_are_counted_apart():
    given = [index for index in range(20) if index not in (3, 11, 12, 19)]
    source = Source(frames(given), position=20)
    sink, summary = run(source, fps=5)
    assert [result.frame.index for result in sink.results] == [0, 5, 10, 15]
    gaps = [value for name, value in sink.calls if name == "gap"]
    assert gaps[:2] == [(5, "fps", 3), (5, "dropped", 1)]
    assert (summary.dropped, dict(summary.skipped)) == (4, {"fps": 12})
    # No reader of events counts wrong: each frame of the source is in one place.
    assert len(sink.results) + sum(gap[2] for gap in gaps) == 20


@pytest.mark.parametrize("overlap", [False, True])
def test_while_nothing_moves_the_network_rests_and_tubes_are_held(overlap):
    still = np.random.default_rng(0).integers(60, 200, (48, 64, 3), dtype=np.uint8)
    given = [Frame(index, index / 25, still.copy()) for index in range(320)]
    for frame in given[300:310]:
        frame.image[10:30, frame.index - 290 : frame.index - 270] = 255

    class Quiet(Pairing):  # finds nothing at first, so that the gate learns
        def decode(self, outputs, letterbox):
            return super().decode({"input": outputs["input"] * (len(self.seen) > 100)}, letterbox)

    detector = Quiet()
    linker = make_linker("edgekit", 2)
    sink = Recorder()
    pipeline = Pipeline(Source(given), detector, linker, [sink], motion_gate=True, overlap=overlap)
    summary = pipeline.run()
    gaps = [value for name, value in sink.calls if name == "gap"]
    assert {reason for _, reason, _ in gaps} == {"still"}
    left_out = sum(frames for *_, frames in gaps)
    assert summary.skipped == {"still": left_out}
    assert (summary.dropped, summary.frames + left_out) == (0, 320)
    assert left_out > 150
    indices = [result.frame.index for result in sink.results]
    assert {301, 302, 309, 310} <= {*indices}
    rests = np.diff([index for index in indices if index < 300])
    assert rests.max() == 75  # the heartbeat
    assert summary.motion_gate.wakes == 1
    assert summary.motion_gate.threshold > 0
    (tube,) = sink.tubes
    assert len(tube.boxes) == tube.end - tube.start + 1 > 60
    assert not tube.observed.all()


def test_without_a_cap_nothing_is_left_out_on_purpose():
    sink, summary = run(frames(range(20)))
    assert summary.skipped == {}
    assert sink.info.longest_step == 0
    assert run(frames(range(20)), fps=1000)[1].frames == 20


def test_a_duration_holds_however_low_the_cap_is():
    source = Source(frames(range(1000)))
    assert run(source, fps=0.01, duration=2.0)[1].frames == 1
    assert source.position == 51


@pytest.mark.parametrize("overlap", [False, True])
def test_frames_left_out_or_lost_before_the_end_of_a_duration_are_counted(overlap):
    source = Source(frames(index for index in range(60) if index != 48))
    sink, summary = run(source, fps=5, duration=2.0, overlap=overlap)
    assert [result.frame.index for result in sink.results] == [*range(0, 50, 5)]
    gaps = [value for name, value in sink.calls if name == "gap"]
    assert gaps[-2:] == [(50, "fps", 3), (50, "dropped", 1)]
    assert summary.frames + summary.dropped + summary.skipped["fps"] == 50


@pytest.mark.parametrize("fps", [0, -2, float("nan"), float("inf")])
def test_a_cap_that_cannot_be_is_refused(fps):
    with pytest.raises(UsageError, match="Expected fps to be"):
        run(frames(range(3)), fps=fps)


@pytest.mark.parametrize("policy", ["none", "latest"])
def test_real_time_holds_every_frame_until_its_time(monkeypatch, policy):
    held = []
    monkeypatch.setattr(Pace, "wait_for", lambda pace, frame: held.append(frame.index))
    run(frames(range(6)), realtime=True, drop_policy=policy)
    assert held == [*range(6)]


def test_every_stage_has_times_that_agree():
    sink, summary = run(frames(range(20)))
    assert tuple(summary.stages) == STAGES
    assert tuple(sink.results[3].ms) == STAGES[:-1]
    for stage, times in summary.stages.items():
        assert 0 < times.p50 <= times.p90 <= times.p99
        assert times.total == pytest.approx(20 * times.mean)
        if stage != "emit":
            assert times.total == pytest.approx(sum(result.ms[stage] for result in sink.results))


def test_a_run_may_last_longer_than_the_machine_has_run_before_it(monkeypatch):
    now = [50.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    class Slow(Source):
        def read(self):
            now[0] += 10
            return super().read()

    summary = run(Slow(frames(range(9))))[1]
    assert (summary.seconds, summary.fps) == (100, 0.09)


def test_percentiles_are_right_to_one_percent(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    clocks = StageClocks()
    durations = np.random.default_rng(3).lognormal(-5, 1, 2000)
    for seconds in durations:
        ms = {}
        with measure(ms, "network"):
            now[0] += seconds
        clocks.add(ms)
    times = clocks.times()["network"]
    for value, share in ((times.p50, 50), (times.p90, 90), (times.p99, 99)):
        assert value == pytest.approx(1e3 * np.percentile(durations, share), rel=0.02)
    assert times.mean == pytest.approx(1e3 * durations.mean())


def test_a_frame_that_was_waited_for_all_day_is_counted_too():
    clocks = StageClocks()
    for milliseconds in (0.0, 86_400_000.0, 86_400_000.0):
        clocks.add({"capture": milliseconds})
    times = clocks.times()["capture"]
    assert (times.total, times.mean) == (172_800_000, 57_600_000)
    assert 1_800_000 < times.p50 == times.p99 < times.total  # the longest that is told apart


def tube(id, score, box, age=0, label=0):
    return LiveTube(id, label, score, list(map(float, box)), age, 0, 9)


def test_one_actor_is_drawn_once():
    walk = tube(0, 0.6, (10, 10, 30, 50))
    ride = tube(1, 0.8, (11, 11, 31, 51), label=3)
    other = tube(2, 0.4, (60, 10, 80, 50))
    assert one_per_actor([walk, ride, other]) == [ride, other]
    assert one_per_actor([walk, ride._replace(age=2), other]) == [walk, other]
    assert one_per_actor([]) == []


def test_boxes_that_share_six_tenths_may_still_be_two_actors():
    one, other = tube(0, 0.6, (0, 0, 10, 10)), tube(1, 0.8, (0, 0, 6, 10))
    assert one_per_actor([one, other]) == [other, one]
    nearer = other._replace(box=[0.0, 0.0, 6.1, 10.0])
    assert one_per_actor([one, nearer]) == [nearer]


def numbered(indices, **gaps):
    return [
        Frame(
            index, index / 25, np.full((48, 64, 3), index + 1, np.uint8), gaps.get(f"at{index}", "")
        )
        for index in indices
    ]


def test_a_dropped_frame_takes_nothing_from_the_next_one():
    read = threading.Event()

    class Live(Source):
        live = True

        def read(self):
            frame = super().read()
            if frame is None:
                read.set()
            return frame

    class Slow(Pairing):
        def infer(self, inputs):
            assert read.wait(120)
            return inputs

    detector = Slow()
    _, summary = run(Live(numbered(range(30))), detector)
    assert summary.dropped > 20
    assert detector.pairs[-1] == (29, 30)
    assert all((earlier or 0) == level - 1 for earlier, level in detector.pairs)
    # Even the first frame may be dropped.
    assert detector.resets == [0] * (detector.pairs[0][0] is None)


def test_only_a_real_break_resets_the_cascade():
    detector = Pairing()
    run(Source(numbered([0, 1, 4, 5, 6, 7], at4="dropped", at6="reconnect")), detector)
    assert detector.pairs == [(None, 1), (1, 2), (2, 5), (5, 6), (None, 7), (7, 8)]
    assert detector.resets == [0, 4]


@pytest.mark.parametrize(("fps", "first"), [(25, 1), (60, 2), (240, 8)])
def test_first_frames_are_compared_with_no_picture_not_even_of_the_source_before(fps, first):
    class Comparing(Pairing):
        def __init__(self):
            super().__init__()
            self.cascade = Cascade((48, 64), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
            self.black = []

        def reset(self):
            self.cascade.reset()

        def prepare(self, image, sample_aspect=1.0, earlier=None):
            self.black.append(not self.cascade.pair(image, sample_aspect, earlier)[0].any())
            return super().prepare(image, sample_aspect, earlier)

    detector = Comparing()
    for _ in range(2):
        run(Source([Frame(n, n / fps, picture(level=n + 1)) for n in range(12)]), detector)
    assert detector.black == 2 * [index < first for index in range(12)]


class Replacing(Source):
    """Replaces the detector of a pipeline before it gives a frame."""

    def __init__(self, frames, index, replace):
        super().__init__(frames)
        self._index, self._replace = index, replace

    def read(self):
        if self.position == self._index:
            self._replace()
        return super().read()


class Renamed(Detector):
    classes = ("jump",)

    def decode(self, outputs, letterbox):
        return Detections(np.array([[10.0, 10, 30, 40]]), np.array([[0.8]]))


class Paired(Detector):
    def __init__(self, interval):
        super().__init__()
        self.pairs = []
        self._interval = interval

    def recent_frames(self):
        return RecentFrames(self._interval)

    def prepare(self, image, sample_aspect=1.0, earlier=None):
        self.pairs.append((int(image[0, 0, 0]), None if earlier is None else int(earlier[0, 0, 0])))
        return super().prepare(image, sample_aspect, earlier)


def replaced(first, second, *, count=12, index=6, bundle=("new", "0"), **options):
    """Runs frames, of which those from ``index`` on go through the second detector."""
    sink = Recorder()
    given = [Frame(n, n / 25, picture(level=n + 1)) for n in range(count)]
    source = Replacing(given, index, lambda: pipeline.slot.replace(second, bundle))
    linker = make_linker("edgekit", 2, min_hits=2)
    pipeline = Pipeline(source, first, linker, [sink], bundle=("old", "1"), **options)
    summary = pipeline.run()
    assert (summary.frames, summary.dropped) == (count, 0)
    return sink


@pytest.mark.parametrize("options", [{}, {"overlap": True}, {"overlap": True, "lanes": 3}])
def test_another_detector_takes_over_between_two_frames_and_tubes_go_on(options):
    first, second = Detector(), Detector()
    sink = replaced(first, second, **options)
    (at,) = [value for name, value in sink.calls if name == "bundle"]
    place = at[0]
    assert at[1:] == ("new", "running", ("walk", "run"))
    # What works ahead may have read frames before: none is processed twice or by neither.
    assert len(first.seen) == place
    assert len(second.seen) == 12 - place
    assert sink.calls.index(("bundle", at)) + 1 == sink.calls.index(("frame", place))
    assert [(tube.start, tube.end) for tube in sink.tubes] == [(0, 11)]


@pytest.mark.parametrize("link", ["edgekit", "road", "korsal-hold", "korsal-motion"])
def test_with_other_classes_tubes_end_and_frames_and_numbers_are_counted_on(link):
    sink = Recorder()
    given = frames(range(12))
    source = Replacing(given, 6, lambda: pipeline.slot.replace(Renamed(), ("new", "0")))
    pipeline = Pipeline(source, Detector(), make_linker(link, 2), [sink])
    pipeline.run()
    place = sink.calls.index(("bundle", (6, "new", "running", ("jump",))))
    assert sink.calls[place - 1] == ("tube", 0)
    found = [(tube.id, tube.label, tube.start, tube.end) for tube in sink.tubes]
    assert found == [(0, 1, 0, 5), (1, 0, 6, 11)]


def test_a_refused_bundle_is_reported_once_before_the_next_frame():
    sink = Recorder()
    refused = ("bad", "", "It is broken.")
    source = Replacing(frames(range(4)), 2, lambda: pipeline.slot.refused.append(refused))
    pipeline = Pipeline(source, Detector(), make_linker("edgekit", 2), [sink])
    pipeline.run()
    assert [call for call in sink.calls if call[0] == "bundle"] == [
        ("bundle", (2, "bad", "refused", ("walk", "run")))
    ]
    assert sink.calls.index(("frame", 1)) + 1 == sink.calls.index(
        ("bundle", (2, "bad", "refused", ("walk", "run")))
    )


def test_the_same_interval_keeps_the_pairs():
    first, second = Paired(0.04), Paired(0.04)
    replaced(first, second)
    assert first.pairs + second.pairs == [(1, None), *[(n, n - 1) for n in range(2, 13)]]


def test_a_processed_frame_lets_go_of_the_earlier_picture():
    detector, given = Paired(0.04), []

    class Keeper(Recorder):
        def frame(self, result):
            given.append(result.frame)

    source = Source([Frame(n, n / 25, picture(level=n + 1)) for n in range(3)])
    Pipeline(source, detector, make_linker("edgekit", 2), [Keeper()]).run()
    assert detector.pairs == [(1, None), (2, 1), (3, 2)]
    assert [frame.earlier for frame in given] == [None] * 3


def test_another_interval_begins_with_first_frames_and_then_has_its_own_pairs():
    first, second = Paired(0.04), Paired(0.12)
    replaced(first, second)
    assert second.pairs[:3] == [(7, None), (8, None), (9, None)]
    assert second.pairs[3:] == [(10, 7), (11, 8), (12, 9)]


def test_a_detector_that_pairs_by_itself_gets_no_earlier_picture():
    first, second = Paired(0.04), Detector()
    replaced(first, second)
    assert len(second.seen) == 6


@pytest.mark.parametrize("indices", [[0, 0], [0, 1, 5, 4], [3, 2]])
@pytest.mark.parametrize("overlap", [False, True])
def test_frames_out_of_order_are_refused(indices, overlap):
    source, linker = Source(frames(indices)), make_linker("edgekit", 2)
    pipeline = Pipeline(source, Detector(), linker, [Recorder()], overlap=overlap)
    found = f"index {indices[-2] + 1} or higher; found {indices[-1]}"
    with pytest.raises(UsageError, match=f"Expected the frames of the source in order, .*{found}"):
        pipeline.run()


def test_a_pipeline_runs_once():
    pipeline = Pipeline(Source(frames(range(9))), Detector(), make_linker("edgekit", 2))
    assert pipeline.run().frames == 9
    with pytest.raises(UsageError, match="A pipeline is used for one run"):
        pipeline.run()


def test_a_pipeline_that_runs_in_one_thread_is_refused_to_another():
    entered, leave = threading.Event(), threading.Event()

    class Waiting(Source):
        def read(self):
            entered.set()
            leave.wait()
            return super().read()

    pipeline, counts = (
        Pipeline(Waiting(frames(range(9))), Detector(), make_linker("edgekit", 2)),
        [],
    )
    thread = threading.Thread(target=lambda: counts.append(pipeline.run().frames))
    thread.start()
    entered.wait()
    with pytest.raises(UsageError, match="A pipeline is used for one run"):
        pipeline.run()
    leave.set()
    thread.join()
    assert counts == [9]


def test_a_tracker_is_used_by_one_pipeline():
    tracker = Tracker("edgekit", 2)
    Pipeline(Source(frames(range(9))), Detector(), tracker).run()
    with pytest.raises(UsageError, match="This tracker has finished"):
        Pipeline(Source(frames(range(9))), Detector(), tracker)
    with pytest.raises(UsageError, match="This tracker has finished"):
        tracker.update(Detections.empty(2))

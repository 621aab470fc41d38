from __future__ import annotations

import os
import sys

import msgspec
import pytest

from edgekit.assets import default_bundle
from edgekit.benchmarks import under_load, worker
from edgekit.benchmarks.footage import write_demo_clip
from edgekit.benchmarks.protocol import (
    AccuracyReply,
    AccuracyRequest,
    Failed,
    Job,
    Lap,
    Load,
    Loaded,
    Play,
    Ready,
    Reply,
    failure_of,
)
from edgekit.benchmarks.report.report import RowFailure
from edgekit.benchmarks.workers import raise_failure
from edgekit.errors import (
    AnnotationError,
    BoundError,
    BundleError,
    EdgeKitError,
    MediaError,
    MissingDependencyError,
)
from edgekit.synthetic import write_dataset


class Script:
    """Asks in turn, and keeps the answers."""

    def __init__(self, *requests):
        self._requests = list(requests)
        self.replies = []

    def receive(self):
        return self._requests.pop(0) if self._requests else None

    def send(self, reply):
        self.replies.append(reply)


@pytest.fixture(scope="session")
def demo_clip(once):
    (path,) = once("demo-clip", write_demo_clip).iterdir()
    return path


@pytest.fixture
def job(demo_clip, spotter, monkeypatch):
    # On a busy machine the times do not settle before the twelfth pass.
    monkeypatch.setattr(worker, "_MOST_PASSES", 2)

    def make(**more) -> Job:
        said = {"source": str(demo_clip), "frames": 12, "runtime": "onnxruntime"}
        said |= {"threads": 1, "arithmetic": None, "bundle": str(spotter.path)}
        return Job(**{**said, **more})

    return make


def test_it_warms_up_plays_and_measures_accuracy(job, tmp_path):
    write_dataset(tmp_path / "judged", [162], frames=20)
    shipped = job(bundle=str(default_bundle()))
    script = Script(shipped, Play(), AccuracyRequest(root=str(tmp_path / "judged")))
    worker._serve(script)
    ready, lap, judged = script.replies
    assert isinstance(ready, Ready)
    assert ready.first_frame > 0
    assert ready.arithmetic == "int8"
    assert ready.warm_up >= 16
    assert isinstance(lap, Lap)
    assert [len(frame) for frame in lap.stages] == [6] * 12
    assert all(time > 0 for frame in lap.stages for time in frame)
    assert lap.passed == 18
    assert 0 < lap.cpu_seconds < lap.whole_cpu_seconds
    assert sum(map(sum, lap.stages)) <= 1e3 * lap.seconds
    assert isinstance(judged, AccuracyReply)
    assert judged.accuracy.frames == 20


def test_it_measures_under_load(job, tmp_path, monkeypatch):
    monkeypatch.setattr(under_load, "EVERY", (1, 4))
    monkeypatch.setattr(under_load, "_SECONDS", 0.2)
    write_dataset(tmp_path / "judged", [162], frames=16)
    shipped = job(bundle=str(default_bundle()))
    script = Script(shipped, Load(root=str(tmp_path / "judged")))
    worker._serve(script)
    loaded = script.replies[1]
    assert isinstance(loaded, Loaded)
    assert [(point.every, point.taken) for point in loaded.points] == [(1, 16), (4, 5)]


def test_stages_may_overlap_as_in_a_run(job):
    script = Script(job(overlap=True), Play())
    worker._serve(script)
    assert [len(frame) for frame in script.replies[1].stages] == [6] * 12


def test_times_that_never_settle_end_the_warm_up_all_the_same(job, monkeypatch):
    monkeypatch.setattr(worker, "_STEADY", -1.0)
    monkeypatch.setattr(worker, "_MOST_SECONDS", 1e6)
    script = Script(job())
    worker._serve(script)
    assert (script.replies[0].steady, script.replies[0].warm_up) == (False, 32)
    monkeypatch.setattr(worker, "_MOST_SECONDS", 0.0)
    worker._serve(second := Script(job()))
    assert (second.replies[0].steady, second.replies[0].warm_up) == (False, 16)


def test_footage_that_proves_too_short_is_an_error(job, tmp_path):
    import cv2
    import numpy as np

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(9):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(MediaError, match="9 frames"):
        worker._serve(Script(job(source=str(folder)), Play()))


def test_annotations_without_an_action_are_an_error(job, tmp_path):
    (tmp_path / "annotations.json").write_text('{"classes": ["a"], "videos": {}}')
    with pytest.raises(AnnotationError, match="annotated action"):
        worker._serve(Script(job(), AccuracyRequest(root=str(tmp_path))))


def test_nobody_who_asks_is_no_error():
    worker._serve(Script())


@pytest.mark.parametrize(
    ("change", "code"),
    [({"bundle": "nowhere"}, "bundle"), ({"threads": -1}, "usage")],
)
def test_errors_are_answers(change, code, job, monkeypatch):
    script = Script(job(**change))
    monkeypatch.setattr(worker, "_Channel", lambda: script)
    worker.main()
    (failed,) = script.replies
    assert isinstance(failed, Failed)
    assert failed.failure.code == code
    assert failed.failure.message


@pytest.mark.parametrize("kind", [BoundError, BundleError, EdgeKitError, MissingDependencyError])
def test_an_answer_is_raised_as_the_error_that_it_was(kind):
    with pytest.raises(EdgeKitError) as caught:
        raise_failure(failure_of(kind("What was found.", hint="What to do.")))
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == ("What was found.", "What to do.")


def test_what_nobody_foresaw_is_an_answer_too(job, monkeypatch):
    script = Script(job())
    monkeypatch.setattr(worker, "_Channel", lambda: script)
    monkeypatch.setattr(worker, "Detector", lambda *_, **__: 1 / 0)
    worker.main()
    assert script.replies[0].failure.message == "ZeroDivisionError: division by zero"


def test_what_others_print_does_not_come_between(capfd, monkeypatch):
    saved = os.dup(1)
    read, write = os.pipe()
    try:
        os.dup2(write, 1)
        channel = worker._Channel()
        os.write(1, b"a runtime says hello")
        channel.send(
            Failed(
                failure=msgspec.convert({"code": "error", "message": "m", "hint": ""}, RowFailure)
            )
        )
        line = os.read(read, 1000)
    finally:
        os.dup2(saved, 1)
        for number in (saved, read, write):
            os.close(number)
    assert msgspec.json.decode(line, type=Reply).failure.message == "m"
    assert "a runtime says hello" in capfd.readouterr().err
    channel._out.close()


def test_the_peak_of_the_memory_is_known_on_every_system(monkeypatch):
    known = worker._peak_memory()
    assert known > 10 << 20

    class Nowhere:
        def __init__(self, *_):
            pass

        def read_text(self):
            raise FileNotFoundError

    monkeypatch.setattr(worker, "Path", Nowhere)
    assert worker._peak_memory() > 0
    monkeypatch.setitem(sys.modules, "resource", None)
    assert worker._peak_memory() is None

from __future__ import annotations

import json
import shutil
import tracemalloc
from dataclasses import replace

import msgspec
import pytest

from edgekit.assets import default_bundle
from edgekit.benchmarks.report.report import Accuracy
from edgekit.benchmarks.rows import plan_rows
from edgekit.benchmarks.tune import threads_to_try, write_profiles
from edgekit.bundle import load_bundle
from edgekit.files.checksums import keep_file
from edgekit.measuring.machine import describe_machine
from edgekit.running.options import FrameOptions, RunOptions
from edgekit.running.run import run
from edgekit.system.cores import most_threads
from edgekit.targets.base import SessionOptions
from edgekit.targets.profile import PROFILE, Profile, tuned_options
from tests.special_files import put_special_file

SLOW, FAST, UNSURE = [10.0, 10.1, 10.2, 10.3], [5.0, 5.1, 5.2, 5.3], [5.0, 10.05, 10.15, 10.25]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "bundle"
    shutil.copytree(default_bundle(), place)
    return place


@pytest.fixture
def tune(folder, make_report):
    """Tunes a bundle whose default setting takes ``SLOW``; the other settings by threads."""

    def run(times, frame_maps=None, runtimes=None) -> SessionOptions:
        plans = plan_rows([folder], threads=list(times))
        report = make_report({str(threads): rounds for threads, rounds in times.items()})
        for plan, made in zip(plans, report.rows, strict=True):
            plan.row.result = made.result
            plan.row.runtime = (runtimes or {}).get(plan.row.threads, plan.row.runtime)
            if frame_maps:
                found = frame_maps[plan.row.threads]
                accuracy = Accuracy(frame_map=found, video_map={}, videos=1, frames=1)
                plan.row.result = replace_accuracy(made.result, accuracy)
        report.rows = [plan.row for plan in plans]
        write_profiles(report, plans)
        return tuned_options(load_bundle(folder), SessionOptions())

    return run


def replace_accuracy(result, accuracy):
    import msgspec

    return msgspec.structs.replace(result, accuracy=accuracy)


def test_the_fastest_setting_is_what_run_takes(tune):
    assert tune({0: SLOW, 1: FAST}) == SessionOptions(runtime="onnxruntime", threads=1)


@pytest.mark.parametrize("other", [UNSURE, SLOW])
def test_what_is_not_surely_faster_leaves_the_default(other, tune):
    assert tune({0: SLOW, 1: other}).threads == 0


def test_another_runtime_is_taken_only_if_it_costs_no_accuracy(tune, folder):
    times, other = {0: SLOW, 1: FAST}, {1: "openvino"}
    assert tune(times, {0: 0.8, 1: 0.79}, other).threads == 0
    assert tune(times, None, other).threads == 0
    tune(times, {0: 0.8, 1: 0.798}, other)
    assert json.loads((folder / PROFILE).read_text())["runtime"] == "openvino"


def test_without_the_default_the_fastest_is_taken(tune):
    assert tune({1: SLOW, 2: FAST}).threads == 2


def test_what_is_asked_for_comes_first(tune, folder):
    tune({0: SLOW, 2: FAST})
    asked = SessionOptions(threads=1)
    assert tuned_options(load_bundle(folder), asked) == asked
    cache = SessionOptions(cache=folder)
    assert tuned_options(load_bundle(folder), cache) == replace(
        cache, runtime="onnxruntime", threads=2
    )


@pytest.mark.parametrize("kind", ["sparse", "pipe"])
def test_a_profile_that_no_tuning_wrote_is_not_read(kind, tune, folder):
    tune({0: SLOW, 2: FAST})
    path = folder / PROFILE
    put_special_file(path, kind, size=1 << 31)
    bundle = load_bundle(folder)
    tracemalloc.start()
    try:
        assert tuned_options(bundle, SessionOptions()) == SessionOptions()
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("key", ["processor", "cores", "bundle_sha256", "schema"])
def test_a_profile_of_another_machine_or_bundle_is_not_taken(key, tune, folder):
    tune({0: SLOW, 2: FAST})
    path = folder / PROFILE
    profile = json.loads(path.read_text())
    profile[key] = 99 if isinstance(profile[key], int) else "other"
    keep_file(path, json.dumps(profile).encode(), load_bundle(folder).sha256)
    assert tuned_options(load_bundle(folder), SessionOptions()) == SessionOptions()


def test_a_broken_profile_is_not_taken(folder):
    for text in (b"{", b"\xff", b"{}"):
        keep_file(folder / PROFILE, text, load_bundle(folder).sha256)
        assert tuned_options(load_bundle(folder), SessionOptions()) == SessionOptions()


def forge(folder, **values):
    """Writes a profile for this machine and bundle, with a checksum, as anybody can."""
    machine, sha256 = describe_machine(), load_bundle(folder).sha256
    usual = Profile(
        bundle_sha256=sha256,
        processor=machine.processor,
        architecture=machine.architecture,
        cores=machine.cores,
        runtime="onnxruntime",
        threads=1,
        arithmetic=None,
    )
    content = msgspec.to_builtins(usual) | values
    keep_file(folder / PROFILE, json.dumps(content).encode(), sha256)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"threads": -1}, "expected threads from 0 to "),
        ({"threads": 10**9}, "found 1000000000"),
        ({"threads": 4 * describe_machine().cores + 1}, "expected threads from 0 to "),
        ({"runtime": "openvino"}, "a bundle for onnx to be onnxruntime; found 'openvino'"),
        ({"runtime": "\x1b" * 1000}, "a bundle for onnx to be onnxruntime; found '\\x1b"),
        ({"arithmetic": "bf16"}, "onnxruntime has no choice of arithmetic; found 'bf16'"),
    ],
)
def test_an_impossible_profile_is_ignored_with_one_warning(values, words, spots, folder, caplog):
    forge(folder, **values)
    assert tuned_options(load_bundle(folder), SessionOptions()) == SessionOptions()
    (line,) = caplog.messages
    assert words in line
    assert len(line) < 1000
    caplog.clear()
    clip = str(spots / "spot0.avi")
    report = run(RunOptions(sources=(clip,), bundle=folder, frames=FrameOptions(max_frames=2)))
    assert report.error is None
    assert len([line for line in caplog.messages if "is ignored" in line]) == 1


def test_as_many_threads_as_four_per_core_are_taken(folder):
    most = min(4 * describe_machine().cores, most_threads())
    forge(folder, threads=most)
    assert tuned_options(load_bundle(folder), SessionOptions()).threads == most


def test_a_damaged_profile_is_not_taken(tune, folder):
    tune({0: SLOW, 2: FAST})
    path = folder / PROFILE
    assert tuned_options(load_bundle(folder), SessionOptions()).threads == 2
    path.write_text(path.read_text().replace('"threads":2', '"threads":1'))
    assert tuned_options(load_bundle(folder), SessionOptions()) == SessionOptions()


def test_the_threads_to_try_end_with_all_cores(monkeypatch):
    from edgekit.benchmarks import tune

    for cores, expected in ((1, (0, 1)), (2, (0, 1, 2)), (6, (0, 1, 2, 4, 6))):
        machine = type("M", (), {"cores": cores})
        monkeypatch.setattr(tune, "describe_machine", lambda machine=machine: machine)
        assert threads_to_try() == expected

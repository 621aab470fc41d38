from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys

import cv2
import msgspec
import numpy as np
import pytest

from edgekit.benchmarks.workers import Worker
from edgekit.bundle import load_bundle, save_bundle
from edgekit.cli import main
from edgekit.pipeline.stage_timer import STAGES

FRAMES = 30


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "spot.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (128, 96))
    for number in range(FRAMES):
        image = np.zeros((96, 128, 3), np.uint8)
        cv2.circle(image, (30 + number, 48), 10, (255, 255, 255), cv2.FILLED)
        writer.write(cv2.GaussianBlur(image, (0, 0), 5))
    writer.release()
    return path


@pytest.fixture
def bench(clip, capsys):
    def run(*arguments, rounds=1) -> tuple[int, str, str]:
        options = ["--source", str(clip), "--frames", "15", "--rounds", str(rounds)]
        status = main(["bench", *map(str, arguments), *options])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return status, shown.out, shown.err

    return run


@pytest.fixture(scope="module")
def made(spot_bundle, clip, tmp_path_factory):
    """A report with everything: what was printed as JSON, and the folder of the files."""
    folder = tmp_path_factory.mktemp("made")
    annotated = folder / "annotated"
    annotated.mkdir()
    shutil.copy(clip, annotated / clip.name)
    boxes = [[14 + n, 32, 46 + n, 64] for n in range(FRAMES)]
    tube = {"label": 0, "start": 0, "end": FRAMES, "boxes": boxes}
    video = {"width": 128, "height": 96, "frames": FRAMES, "tubes": [tube]}
    truth = {"classes": ["spot", "nothing"], "videos": {clip.name: video}}
    (annotated / "annotations.json").write_text(json.dumps(truth))
    code = "import time; print(time.monotonic(), chr(74))"
    arguments = [
        *("bench", str(spot_bundle), "--source", str(clip), "--frames", "15", "--rounds", "4"),
        *("--threads", "1", "--threads", "2", "--json", "--annotations", str(annotated)),
        *("--energy", f"{sys.executable} -c '{code}'"),
        *("--csv", str(folder / "b.csv"), "--markdown", str(folder / "b.md")),
        *("--html", str(folder / "b.html")),
    ]
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("click.echo", lambda text="", **_: lines.append(text))
        assert main(arguments) == 0, lines
    (folder / "b.json").write_text("".join(lines))
    return json.loads("".join(lines)), folder


def test_a_report_has_every_figure(made):
    report, _ = made
    assert report["footage"]["name"].endswith("spot.mp4")
    assert [row["threads"] for row in report["rows"]] == [1, 2]
    for row in report["rows"]:
        result = row["result"]
        assert list(result["stages"]) == list(STAGES)
        for figures in (*result["stages"].values(), result["overall"]):
            assert 0 < figures["p50"] <= figures["p90"] <= figures["p99"]
        assert [len(one["frame_ms"]) for one in result["rounds"]] == [15] * 4
        assert result["fps"] > 0
        assert result["cpu_seconds"] > 0
        assert result["peak_memory"] > 10 << 20
        assert result["first_frame"] > 0
        assert result["joules"] > 0
        assert result["accuracy"]["frame_map"] > 0.5


def test_sizes_and_sums_are_the_bundles_own(made, spot_bundle):
    bundle = load_bundle(spot_bundle)
    assert {row["size"] for row in made[0]["rows"]} == {bundle.model_path.stat().st_size}
    assert {row["sha256"] for row in made[0]["rows"]} == {bundle.sha256}


def test_every_file_has_every_row(made):
    _, folder = made
    lines = list(csv.DictReader((folder / "b.csv").read_text().splitlines()))
    assert [line["threads"] for line in lines] == ["1", "2"]
    assert "decode + link" in (folder / "b.md").read_text()
    assert (folder / "b.html").read_text().count("<svg") == 4


def test_paths_need_not_be_utf_8(bench, spot_bundle, tmp_path):
    folder = tmp_path / os.fsdecode(b"\xff")
    shutil.copytree(spot_bundle, folder / os.fsdecode(b"b\xff"))
    outputs = {name: folder / f"b.{name}" for name in ("csv", "markdown", "html")}
    options = [word for name, path in outputs.items() for word in (f"--{name}", path)]
    (given,) = folder.iterdir()
    status, out, _ = bench(given, "--json", "--history", folder / "history", *options)
    assert status == 0
    assert [row["bundle"] for row in json.loads(out)["rows"]] == ["b\ufffd"]
    (kept,) = (folder / "history").iterdir()
    for path in (*outputs.values(), kept):
        assert "b\ufffd" in path.read_text(encoding="utf-8")


def test_people_get_the_tables(bench, spot_bundle, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    status, out, _ = bench(spot_bundle)
    assert status == 0
    for words in ("overall", "decode + link", "KORSAL", "not measured", "first frame"):
        assert words in out


def test_a_runtime_that_is_missing_has_a_row_that_says_so(bench, spot_bundle, tmp_path):
    bundle = load_bundle(spot_bundle)
    manifest = msgspec.structs.replace(bundle.manifest, target="jetson")
    jetson = save_bundle(tmp_path / "jetson", manifest, {"model.onnx": bundle.model_path}).path
    status, out, _ = bench(jetson, "--json")
    assert status == 0
    tensorrt, onnxruntime = json.loads(out)["rows"]
    assert tensorrt["result"] is None
    assert tensorrt["error"]["code"] == "missing_dependency"
    assert tensorrt["error"]["hint"]
    assert onnxruntime["result"]["fps"] > 0
    status, _, err = bench(jetson, "--runtime", "tensorrt")
    assert status == 4
    assert tensorrt["error"]["hint"] in err


def test_a_setting_that_no_runtime_has_is_wrong_usage(bench, spot_bundle):
    status, _, err = bench(spot_bundle, "--arithmetic", "bf16")
    assert status == 2
    assert "arithmetic" in err


@pytest.mark.parametrize("source", ["-", "http://user:secret@127.0.0.1:9/clip.mp4"])
def test_what_cannot_be_played_again_is_wrong_usage(spot_bundle, capsys, source):
    assert main(["bench", str(spot_bundle), "--source", source]) == 2
    err = capsys.readouterr().err
    assert "Every round" in err
    assert "secret" not in err


def test_a_worker_that_dies_is_reported(bench, spot_bundle, monkeypatch):
    play = Worker.play

    def killed(worker):
        worker._process.kill()
        return play(worker)

    monkeypatch.setattr(Worker, "play", killed)
    status, _, err = bench(spot_bundle)
    assert status == 1
    assert "signal 9" in err


@pytest.fixture
def interrupted_bench(clip):
    """Runs bench, and interrupts it when a method of the worker is called for the nth time.

    In a process of its own: a signal that came too late would end the tests.
    """
    code = """
import os, signal, sys
from edgekit.benchmarks.workers import Worker
from edgekit.cli import main

name, turn = sys.argv[1], int(sys.argv[2])
method, calls = getattr(Worker, name), []

def interrupted(*arguments):
    calls.append(arguments)
    if len(calls) == turn:
        os.kill(os.getpid(), signal.SIGINT)
    return method(*arguments)

setattr(Worker, name, interrupted)
sys.exit(main(["bench", *sys.argv[3:]]))
"""

    def run(name, turn, *arguments):
        options = ["--source", clip, "--frames", 15, "--rounds", 5, *arguments]
        command = [sys.executable, "-c", code, name, *map(str, (turn, *options))]
        done = subprocess.run(command, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("turn", [1, 3])
def test_ctrl_c_keeps_what_is_measured(turn, interrupted_bench, spot_bundle):
    status, out, _ = interrupted_bench("play", turn, spot_bundle, "--json")
    assert status == 130
    report = json.loads(out)
    assert report["interrupted"]
    assert len(report["rows"][0]["result"]["rounds"]) == turn


def test_ctrl_c_before_the_first_round(interrupted_bench, spot_bundle, tmp_path):
    status, out, err = interrupted_bench("__init__", 1, spot_bundle, "--csv", tmp_path / "b.csv")
    assert (status, out) == (130, "")
    assert "Interrupted" in err
    assert not list(tmp_path.iterdir())


def scaled(report, factor):
    """The report as it would be if everything took ``factor`` times as long."""
    for row in report["rows"]:
        for one in row["result"]["rounds"]:
            one["p50"] *= factor
    return report


@pytest.mark.parametrize(
    ("factor", "expected", "verdict"), [(0.001, 5, "slower"), (1e3, 0, "faster")]
)
def test_what_became_slower_fails(
    factor, expected, verdict, made, bench, spot_bundle, tmp_path, monkeypatch
):
    # How quiet this machine is decides nothing here; test_comparison.py has that.
    monkeypatch.setattr("edgekit.benchmarks.report.comparison.is_noisy", lambda report: False)
    old = tmp_path / "old.json"
    old.write_text(json.dumps(scaled(json.loads(json.dumps(made[0])), factor)))
    arguments = (spot_bundle, "--threads", "1", "--compare", old, "--fail-over", "10%", "--json")
    status, out, err = bench(*arguments, rounds=4)
    assert status == expected
    report = json.loads(out)
    assert [change["verdict"] for change in report["changes"]] == [verdict]
    assert report["compared_with"] == "old.json"
    assert ("slower than" in err) == (expected == 5)


def test_a_noisy_machine_has_no_verdict(made, bench, spot_bundle, tmp_path, caplog):
    report = scaled(json.loads(json.dumps(made[0])), 0.001)
    for row in report["rows"]:
        for one in row["result"]["rounds"]:
            one["others"] = 0.5
    old = tmp_path / "old.json"
    old.write_text(json.dumps(report))
    arguments = (spot_bundle, "--threads", "1", "--compare", old, "--fail-over", "10%")
    status, out, _ = bench(*arguments, "--json", rounds=4)
    assert status == 0
    (change,) = json.loads(out)["changes"]
    assert (change["verdict"], change["regression"]) == ("not judged", False)
    assert change["ratio"] > 100, "the figures are told all the same"
    assert "Not judged: the machine was too noisy" in caplog.text


def test_another_machine_is_refused_unless_it_is_asked_for(made, bench, spot_bundle, tmp_path):
    report = json.loads(json.dumps(made[0]))
    report["machine"]["processor"] = "Abacus"
    old = tmp_path / "old.json"
    old.write_text(json.dumps(report))
    arguments = (spot_bundle, "--threads", "1", "--compare", old)
    status, _, err = bench(*arguments)
    assert status == 3
    assert "Abacus" in err
    assert "--force" in err
    assert bench(*arguments, "--force")[0] == 0


def test_a_sweep_is_a_row_for_each_setting_and_can_be_compared(bench, spot_bundle, made):
    options = ("--sweep", "threads=2,1", "--compare", made[1] / "b.json", "--json")
    status, out, _ = bench(spot_bundle, *options)
    assert status == 0
    report = json.loads(out)
    assert [row["threads"] for row in report["rows"]] == [2, 1]
    assert {change["verdict"] for change in report["changes"]} <= {
        *("slower", "faster", "same", "not judged"),
    }


def test_bad_input_is_named(bench, spot_bundle, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    for arguments, status, words in [
        ((tmp_path,), 3, "not a bundle"),
        ((spot_bundle, "--compare", tmp_path / "bad.json"), 3, "not JSON"),
        ((spot_bundle, "--compare", tmp_path / "none.json"), 3, "No such file"),
        ((spot_bundle, "--energy", "false"), 3, "status 1"),
        ((spot_bundle, "--annotations", tmp_path), 3, "annotations"),
        ((spot_bundle, "--runtime", "openvino"), 2, "openvino"),
        ((spot_bundle, "--fail-over", "10%"), 2, "--compare"),
        ((spot_bundle, "--fail-over", "ten"), 2, "percentage"),
        ((spot_bundle, "--threads", 9999), 2, "--threads to be at least 0 and at most"),
        ((spot_bundle, "--csv", tmp_path / "bad.json" / "x"), 3, "Cannot write"),
        ((spot_bundle, "--csv", tmp_path / "x", "--html", tmp_path / "x"), 2, "already"),
    ]:
        found, out, err = bench(*arguments)
        assert (found, out) == (status, ""), arguments
        assert words in err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.json"]


def test_a_history_grows_and_the_page_shows_it(bench, spot_bundle, tmp_path):
    for runs in (1, 2):
        page = tmp_path / "b.html"
        arguments = (spot_bundle, "--history", tmp_path / "history", "--html", page)
        assert bench(*arguments)[0] == 0
        assert len(list((tmp_path / "history").iterdir())) == runs
        assert ("run after run" in page.read_text()) == (runs == 2)


def test_times_are_kept_where_there_can_be_no_accuracy(made, bench, spot_bundle, tmp_path):
    truth = json.loads((made[1] / "annotated" / "annotations.json").read_text())
    truth["classes"][0] = "smudge"
    shutil.copytree(made[1] / "annotated", tmp_path / "other")
    (tmp_path / "other" / "annotations.json").write_text(json.dumps(truth))
    status, out, _ = bench(spot_bundle, "--annotations", tmp_path / "other", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["rows"][0]["result"]["accuracy"] is None
    assert any("no accuracy" in note and "smudge" in note for note in report["notes"])


def test_accuracy_and_age_under_load_are_measured(made, bench, spot_bundle):
    annotated = made[1] / "annotated"
    options = ("--under-load", "--annotations", annotated, "--json")
    status, out, _ = bench(spot_bundle, *options)
    assert status == 0
    result = json.loads(out)["rows"][0]["result"]
    assert result["accuracy"] is None
    points = result["under_load"]
    assert [point["every"] for point in points] == [1, 2, 3, 5, 8]
    assert points[0]["taken"] == points[0]["frames"]
    # The spot is found by its picture alone, whatever was dropped.
    assert all(point["frame_map"] > 0.5 for point in points)
    assert all(0 <= point["age_p50"] <= point["age_longest"] for point in points)


def test_tuning_writes_the_profile_of_the_bundle(bench, spot_bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(spot_bundle, copy)
    status, out, _ = bench(copy, "--tune", "--json", rounds=4)
    assert status == 0
    report = json.loads(out)
    assert [row["threads"] for row in report["rows"]][:2] == [0, 1]
    (tuned,) = report["tuned"]
    profile = json.loads((copy / "profile.json").read_text())
    assert profile["threads"] == report["rows"][tuned["row"]]["threads"]
    assert tuned["default"] == 0
    assert bench(copy, "--tune", rounds=3)[0] == 2


def test_too_few_rounds_for_a_verdict(made, bench, spot_bundle, tmp_path):
    arguments = (spot_bundle, "--compare", made[1] / "b.json", "--fail-over", "5")
    status, _, err = bench(*arguments, rounds=3)
    assert status == 2
    assert "4 rounds" in err
    short = json.loads((made[1] / "b.json").read_text())
    for row in short["rows"]:
        row["result"]["rounds"] = row["result"]["rounds"][:3]
    (tmp_path / "short.json").write_text(json.dumps(short))
    arguments = (spot_bundle, "--compare", tmp_path / "short.json", "--fail-over", "5")
    status, _, err = bench(*arguments, rounds=4)
    assert status == 3
    assert "3 rounds" in err


def test_a_clip_shorter_than_the_warm_up(spot_bundle, spot_video, capsys):
    assert main(["bench", str(spot_bundle), "--source", str(spot_video(9))]) == 3
    assert "9 frames" in capsys.readouterr().err


def test_a_clip_shorter_than_what_is_asked_for_counts_what_it_has(bench, spot_bundle, clip, capsys):
    arguments = [str(spot_bundle), "--source", str(clip), "--rounds", "1", "--json"]
    assert main(["bench", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["frames"] == FRAMES - 6
    assert len(report["rows"][0]["result"]["rounds"][0]["frame_ms"]) == FRAMES - 6


def test_a_live_source_is_refused(spot_bundle, capsys):
    assert main(["bench", str(spot_bundle), "--source", "-"]) == 2
    assert "Standard input" in capsys.readouterr().err


def test_it_loads_no_host_library(spot_bundle, clip):
    arguments = ["bench", str(spot_bundle), "--source", str(clip), "--rounds", "1"]
    code = (
        f"from edgekit.cli import main\nassert main({arguments}) == 0\n"
        "import sys; assert not {'torch', 'onnx', 'onnxscript', 'skimage'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_operators_are_measured_where_the_runtime_reports_them(
    bench, spot_bundle, tmp_path, monkeypatch
):
    status, out, _ = bench(spot_bundle, "--operators", "--json", "--threads", 1)
    assert status == 0
    report = json.loads(out)
    (row,) = report["rows"]
    times = row["result"]["operators"]
    assert times["operators"]
    assert 0 < sum(operator["ms"] for operator in times["operators"]) < times["profiled_ms"]
    assert {peak["threads"] for peak in report["peaks"]} >= {1}
    (tmp_path / "base.json").write_text(out)
    monkeypatch.setenv("COLUMNS", "80")
    page = tmp_path / "b.html"
    arguments = ("--operators", "--threads", 1, "--compare", tmp_path / "base.json", "--html", page)
    status, out, _ = bench(spot_bundle, *arguments)
    assert status == 0
    assert "outside operators" in out
    assert "moved" in out
    tables = out[out.index("time by type") : out.index("\n! ")]
    assert max(map(len, tables.splitlines())) <= 80
    assert page.read_text().count("<svg") == 5  # with operators in it, but without accuracy


def test_a_runtime_that_reports_no_operators_is_named(bench, lite):
    status, out, _ = bench(lite.path, "--operators", "--threads", 1)
    assert status == 0
    assert "no operators. The interpreter of ai_edge_litert has no profiler" in out
    assert "overall" in out
    assert "outside operators" not in out

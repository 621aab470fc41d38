"""Tests that the suite ``quantizers`` prints all rows, with numbers."""

from __future__ import annotations

import json
import math
import sys

import pytest

from edgekit.benchmarks.suites.accuracy import quantizers
from edgekit.benchmarks.suites.support.peers import PEERS
from edgekit.errors import MissingDependencyError
from edgekit.synthetic.dataset import write_dataset
from edgekit.system.installation import install_line


@pytest.fixture(scope="module")
def puppets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("puppets")
    write_dataset(folder / "calib", range(7000, 7002), frames=24)
    write_dataset(folder / "evaluation", range(7100, 7101), frames=24)
    for path in folder.rglob("annotations.json"):
        content = json.loads(path.read_text())
        content["classes"] = ["walk", "run", "jump"]  # those of the small network
        for video in content["videos"].values():
            for tube in video["tubes"]:
                tube["label"] %= 3
        path.write_text(json.dumps(content))
    return folder


@pytest.fixture
def run(monkeypatch, capsys, puppets, checkpoint, export):
    def call(*options: str) -> list[list[str]]:
        small = ("--target", "onnx", "--samples", "6", "--frames", "6", "--max-drop", "100")
        calib = ("--calib", str(puppets / "calib"), "--bundle", str(export(checkpoint).path))
        monkeypatch.setattr(quantizers, "_ROUNDS", 2)
        monkeypatch.setattr(quantizers, "_REPEATS", 2)
        monkeypatch.setattr(sys, "argv", ["quantizers", *calib, *small, *options])
        quantizers.main()
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]

    return call


@pytest.mark.long
def test_every_quantizer_has_a_row_of_numbers(run, puppets, monkeypatch):
    def missing(*_):
        raise MissingDependencyError.for_extra("onnx", "host", "Comparing")

    monkeypatch.setitem(PEERS["onnx"], "a missing one", missing)
    rows = run("--footage", str(puppets / "evaluation"))
    assert [row[0] for row in rows] == ["EdgeKit", *PEERS["onnx"]]
    assert install_line("host") in rows[-1][1]
    for row in rows[:-1]:
        assert len(row) == 10
        figures = [cell.rstrip("%") for cell in (*row[1:6], *row[6].split(" / "), *row[7:])]
        assert all(math.isfinite(float(figure)) for figure in figures)
        assert float(row[1]) > 0  # by its own detections
        assert 0 <= float(row[4].rstrip("%")) <= 100
        assert float(row[5]) >= 0
        assert 0 < float(row[7]) < 1
        assert float(row[8]) > 0
        assert float(row[3]) == pytest.approx(float(row[1]) - float(row[2]), abs=0.02)


def test_annotations_are_the_truth_if_there_are_some(run, puppets, monkeypatch):
    monkeypatch.setitem(PEERS, "onnx", {})
    footage = str(puppets / "evaluation")
    (row,) = run("--footage", footage, "--annotations", footage)
    assert row[:4] == ["EdgeKit", "0.0000", "0.0000", "0.0000"]  # of an untrained network


def test_calibration_clips_are_not_evaluated(run, puppets):
    with pytest.raises(SystemExit, match="None is left"):
        run("--footage", str(puppets / "calib"))


def test_an_evaluation_clip_without_annotations_is_refused(run, puppets):
    with pytest.raises(SystemExit, match="has no annotation of"):
        run("--footage", str(puppets / "evaluation"), "--annotations", str(puppets / "calib"))


def test_the_targets_are_those_with_peers():
    assert set(PEERS) == {"ncnn", "onnx", "openvino", "tflite"}

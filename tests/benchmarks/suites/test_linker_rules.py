"""Tests that the suite ``linker_rules`` leaves out one rule at a time, and puts each back."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgekit.benchmarks.suites.accuracy import linker_rules
from edgekit.benchmarks.suites.accuracy.linkers import thinned
from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.linking.tracker import OnlineLinker
from edgekit.linking.tracks.look import Look
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.detections_writer import write_detections
from edgekit.runtime.types import Detections

FRAMES = 60


@pytest.fixture
def saved():
    """One actor who walks 2 pixels a frame, with two frames without a detection."""
    x = 2.0 * np.arange(FRAMES)
    boxes = np.stack([x, x * 0, x + 30, x * 0 + 60], axis=1)
    found = [
        Detections(boxes[[frame]], np.array([[0.75, 0.01]])) if frame not in (30, 33) else None
        for frame in range(FRAMES)
    ]
    filled = [Detections.empty(2) if each is None else each for each in found]
    truth = VideoTruth("clip", FRAMES, 320, 240, [TruthTube(0, 0, boxes)], 0)
    return SavedDetections(["walk", "run"], [SavedVideo(truth, filled)])


def linked(saved):
    """Boxes of the longest tube and of live tubes, if one of three frames is processed."""
    linker = OnlineLinker(2)
    closed, live = [], []
    for detections in thinned(saved, 3).videos[0].detections:
        closed += linker.skip(1) if detections is None else linker.advance(detections)
        live += [tube.box for tube in linker.live_tubes()]
    tube = max(closed + linker.finish(), key=lambda tube: tube.end - tube.start)
    return tube.start, tube.end, tube.boxes.round(3).tolist(), live


def test_each_rule_is_left_out_and_put_back(saved):
    whole = linked(saved)
    boxes = ("detections' own boxes", "interpolation")
    for name in ("motion and misses in time", "nearest frames", *boxes):
        with linker_rules.WITHOUT[name]():
            assert linked(saved) != whole, name
        assert linked(saved) == whole
    look = Look(frame=9, passed=3, elapsed=3.0, usual=3.0)
    allowed, ratio = look.allowed(12), look.outshines()
    with linker_rules.WITHOUT["misses in processed frames"]():
        assert look.allowed(12) == (5.0, 12.0)
    with linker_rules.WITHOUT["far stronger detections"]():
        assert look.outshines() == np.inf
    assert (look.allowed(12), look.outshines()) == (allowed, ratio)
    assert allowed > (5.0, 12.0)
    assert ratio < np.inf


def test_the_table_has_a_row_for_each_rule(saved, tmp_path, monkeypatch, capsys):
    write_detections(tmp_path / "walk_1.json.gz", saved)
    monkeypatch.setattr(sys, "argv", ["linker_rules", str(tmp_path), "--every", "3", "5"])
    linker_rules.main()
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| rule left out | share at 1/3 | share at 1/5 |"
    assert [row.split("|")[1].strip() for row in rows] == list(linker_rules.WITHOUT)
    assert all(0 <= float(cell) <= 2 for row in rows for cell in row.split("|")[2:-1])

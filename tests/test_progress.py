"""Tests that long work reports its phases, their totals and every step."""

from __future__ import annotations

from edgekit._progress import SILENT, Progress


class Told(Progress):
    """Keeps note, total and steps of each phase."""

    def __init__(self):
        self.phases = []

    def phase(self, note, total=None):
        self.phases.append([note, total, 0])

    def advance(self):
        self.phases[-1][2] += 1


def test_items_that_are_counted_stay_what_they_are():
    told = Told()
    assert list(told.count("reading", iter("abc"), 3)) == ["a", "b", "c"]
    assert list(SILENT.count("reading", iter("abc"), None)) == ["a", "b", "c"]
    assert told.phases == [["reading", 3, 3]]


def test_each_pass_over_watched_items_is_a_phase():
    told = Told()
    items = told.watch("looking", "abcd")
    assert (len(items), items[1], items[1:3]) == (4, "b", "bc")
    assert told.phases == []
    assert "".join(items) == "".join(items) == "abcd"
    assert told.phases == [["looking", 4, 4]] * 2


def test_quantizing_reports_a_total_for_all_that_takes_long(spotter, spots, tmp_path):
    from edgekit.calibration.store import Store
    from edgekit.quantization.build import quantize_bundle
    from edgekit.quantization.frames import gather
    from edgekit.quantization.tubes_loss import TubesLoss

    told, store = Told(), Store(tmp_path / "store")
    found = gather(spotter, spots, spots, store, samples=6, progress=told)
    quantize_bundle(
        spotter,
        found.samples,
        found.evaluation,
        tmp_path / "out",
        store=store,
        truth=found.truth,
        max_drop=1.0,
        tubes=TubesLoss(spotter, found.dataset, found.sequences, found.evaluation, store),
        sensitivity=True,
        progress=told,
    )
    evaluated = len(found.evaluation)
    phases = {note: (total, steps) for note, total, steps in told.phases}
    assert phases["reading spot0.avi"][0] == phases["reading spot1.avi"][0] == 24
    assert phases["calibrating"] == (6, 6)
    assert (
        phases["asking the float model"] == phases["measuring the loss"] == (evaluated, evaluated)
    )
    layers = phases["measuring layers"]
    assert layers[0] == layers[1] > 1
    assert phases["linking tubes"] == (2, 2)
    kept = [phase[1:] for phase in told.phases if phase[0] == "keeping frames"]
    assert kept == [[6, 6], [evaluated, evaluated]]
    assert {note for note, (total, _) in phases.items() if total is None} == {"writing"}

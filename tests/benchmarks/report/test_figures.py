from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.benchmarks.report.figures import make_result, noise_of
from edgekit.measuring.machine import Conditions
from edgekit.pipeline.stage_timer import STAGES

QUIET = Conditions(0.0, 0.0, 3000.0, 50.0, 0)


def test_a_row_is_the_median_over_its_rounds(make_lap, make_ready):
    measured = [(make_lap(time), QUIET, None) for time in (10.0, 11.0, 30.0)]
    result = make_result(make_ready(), measured)
    assert list(result.stages) == list(STAGES)
    assert result.stages["network"].p50 == 11.0
    assert result.overall.p50 == pytest.approx(13.5)
    assert result.overall.spread == pytest.approx(20 / 13.5, rel=1e-3)
    assert result.fps == pytest.approx(1e3 / 13.5, rel=1e-3)
    assert result.cpu_seconds == pytest.approx(2 * 13.5e-3)
    assert result.peak_memory == 100 << 20
    assert result.joules is None


def test_the_papers_view_leaves_capture_and_emit_out(make_lap, make_ready):
    result = make_result(make_ready(), [(make_lap(10.0), QUIET, None)])
    assert result.paper == {
        "cascade": 0.5, "network": 10.0, "decode + link": 1.0, "overall": 11.5
    }  # fmt: skip


def test_energy_is_of_all_frames_that_were_played(make_lap, make_ready):
    measured = [(make_lap(), QUIET, joules) for joules in (26.0, 52.0, 260.0)]
    assert make_result(make_ready(), measured).joules == pytest.approx(2.0)
    measured[1] = (*measured[1][:2], None)
    assert make_result(make_ready(), measured).joules is None


@given(st.lists(st.lists(st.floats(0, 1e4), min_size=6, max_size=6), min_size=10, max_size=40))
def test_percentiles_are_in_order_and_within_what_was_measured(frames):
    from edgekit.benchmarks.protocol import Lap, Ready

    lap = Lap(
        stages=frames, seconds=1.0, cpu_seconds=1.0, whole_cpu_seconds=1.0, passed=1, peak_memory=1
    )
    ready = Ready(first_frame=1.0, version="", device="", arithmetic="", warm_up=1, steady=True)
    result = make_result(ready, [(lap, QUIET, None)])
    sums = np.sum(frames, axis=1)
    for figures, values in [
        *zip(result.stages.values(), np.array(frames).T, strict=True),
        (result.overall, sums),
    ]:
        assert values.min() - 1e-3 <= figures.p50 <= figures.p90 <= figures.p99
        assert figures.p99 <= values.max() + 1e-3
        assert figures.spread == 0


def test_a_quiet_machine_gets_no_notes(make_report):
    assert noise_of(make_report({"a": [10.0, 10.1, 10.2]})) == []


def test_rounds_that_differ_are_said_to(make_report):
    notes = noise_of(make_report({"a": [10.0, 10.0, 12.0], "b": [10.0, 10.0, 10.0]}))
    assert len(notes) == 1
    assert "too noisy" in notes[0]
    assert "16.0%" in notes[0]
    assert "less means nothing" in notes[0]


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        (Conditions(0.4, 0.0, None, None, None), "40% of the processor"),
        (Conditions(0.0, 0.07, None, None, None), "hypervisor gave 7%"),
        (Conditions(0.0, 0.0, None, 93.0, None), "93 degrees"),
        (Conditions(0.0, 0.0, None, None, 3), "slowed the processor down 6 times"),
    ],
)
def test_what_disturbs_is_named(conditions, words, make_report):
    notes = noise_of(make_report({"a": [10.0, 10.0]}, conditions=conditions))
    assert words in notes[0]
    assert "another run may differ by more" in notes[1]


def test_one_round_is_not_compared_with_others(make_report):
    busy = Conditions(0.4, 0.0, None, None, None)
    note = noise_of(make_report({"a": [10.0], "b": [20.0]}, conditions=busy))[-1]
    assert "one round does not show by how much" in note
    assert "%" not in note


def test_a_clock_that_falls_is_named(make_lap, make_ready, make_report):
    report = make_report({"a": [10.0]})
    clocks = (3000.0, 1800.0)
    measured = [(make_lap(), Conditions(0.0, 0.0, mhz, 50.0, 0), None) for mhz in clocks]
    report.rows[0].result = make_result(make_ready(), measured)
    assert "between 1800 and 3000 MHz" in noise_of(report)[0]


def test_outliers_and_a_warm_up_without_end_are_named(make_lap, make_ready, make_report):
    stages = np.full((50, 6), 1.0)
    stages[:2] = 9.0
    report = make_report({"a": [10.0]})
    measured = [(make_lap(stages=stages.tolist()), QUIET, None)]
    report.rows[0].result = make_result(make_ready(steady=False), measured)
    notes = noise_of(report)
    assert any("not steady after 32 frames" in note for note in notes)
    assert any("4.0% of the frames took over twice" in note for note in notes)

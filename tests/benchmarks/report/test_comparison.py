from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.benchmarks.report.comparison import (
    NOT_JUDGED,
    check_comparable,
    compare,
    shift_p_value,
)
from edgekit.benchmarks.report.figures import noise_of
from edgekit.benchmarks.report.reading import read_report
from edgekit.errors import BadInputError
from edgekit.measuring.machine import Conditions

OLD = Path("old.json")
ROUNDS = [10.0, 10.1, 10.2, 9.9, 10.05]

values = st.lists(st.floats(1, 100), min_size=1, max_size=6)


@given(values, values)
def test_the_p_value_is_a_chance_that_knows_no_order(before, after):
    p = shift_p_value(before, after)
    assert 0 < p <= 1
    assert p == pytest.approx(shift_p_value(after, before))
    assert p == pytest.approx(shift_p_value(before[::-1], after))


@pytest.mark.parametrize("rounds", [3, 4, 5])
def test_rounds_that_do_not_overlap_are_as_unlikely_as_two_of_all_splits(rounds):
    splits = len(list(itertools.combinations(range(2 * rounds), rounds)))
    found = shift_p_value(range(rounds), range(10, 10 + rounds))
    assert found == pytest.approx(2 / splits)


def test_many_rounds_agree_with_scipys_exact_value():
    # scipy.stats.mannwhitneyu(range(0, 24, 2), range(7, 31, 2), method="exact")
    found = shift_p_value(range(0, 24, 2), range(7, 31, 2))
    assert found == pytest.approx(0.0387, abs=0.004)


def test_equal_rounds_are_the_same(make_report):
    report = make_report({"a": ROUNDS})
    (change,) = compare(report, report, OLD, 0.0)
    assert (change.verdict, change.ratio, change.p) == ("same", 1.0, 1.0)
    assert not change.regression


@pytest.mark.parametrize(
    ("factor", "verdict", "regression"),
    [(1.3, "slower", True), (1.1, "slower", False), (0.7, "faster", False)],
)
def test_a_shift_of_all_rounds_is_reported(factor, verdict, regression, make_report):
    new = make_report({"a": [time * factor for time in ROUNDS]})
    (change,) = compare(new, make_report({"a": ROUNDS}), OLD, 0.15)
    assert (change.verdict, change.regression) == (verdict, regression)
    assert change.stage.startswith("network")


def test_rows_of_other_devices_do_not_make_this_machine_noisy(make_report):
    slow = Conditions(0.5, 0.0, 1500.0, 90.0, 3)
    (there,) = make_report({"a": [90.0, 120.0]}, conditions=slow).rows
    there.host = "pi@camera-1"
    old = make_report({"a": ROUNDS})
    old.rows.append(there)
    (change,) = compare(make_report({"a": [2 * time for time in ROUNDS]}), old, OLD, 0.1)
    assert (change.verdict, change.regression) == ("slower", True)


def test_what_only_devices_measure_is_not_compared(make_report):
    new = make_report({"a": ROUNDS})
    new.rows[0].result = None
    with pytest.raises(BadInputError, match="None of the bundles could be measured on this"):
        compare(new, make_report({"a": ROUNDS}), OLD, None)


def test_rounds_of_a_quiet_machine_that_overlap_are_the_same(make_report):
    new = make_report({"a": [time + 0.05 for time in ROUNDS]})
    (change,) = compare(new, make_report({"a": ROUNDS}), OLD, 0.001)
    assert (change.verdict, change.regression) == ("same", False)


@pytest.mark.parametrize(
    ("times", "conditions"),
    [
        ([*ROUNDS[:-1], 40.0], Conditions(0.0, 0.0, 3000.0, 50.0, 0)),
        ([2 * time for time in ROUNDS], Conditions(0.4, 0.0, 3000.0, 50.0, 0)),
        ([2 * time for time in ROUNDS], Conditions(0.0, 0.1, 3000.0, 50.0, 0)),
        ([2 * time for time in ROUNDS], Conditions(0.0, 0.0, 3000.0, 95.0, 0)),
        ([2 * time for time in ROUNDS], Conditions(None, None, None, None, 7)),
    ],
)
def test_there_is_no_verdict_where_a_report_says_that_the_machine_is_too_noisy(
    times, conditions, make_report
):
    quiet, noisy = make_report({"a": ROUNDS}), make_report({"a": times}, conditions=conditions)
    assert any("too noisy" in note for note in noise_of(noisy))
    assert not noise_of(quiet)
    for new, old in ((noisy, quiet), (quiet, noisy)):
        (change,) = compare(new, old, OLD, 0.1)
        assert (change.verdict, change.regression) == (NOT_JUDGED, False)
        assert change.ratio is not None


def test_without_a_limit_nothing_is_a_regression(make_report):
    new = make_report({"a": [99.0] * 5})
    (change,) = compare(new, make_report({"a": ROUNDS}), OLD, None)
    assert change.verdict == "slower"
    assert not change.regression


def test_rows_that_were_not_there_are_new(make_report):
    new = make_report({"a": ROUNDS, "b": ROUNDS})
    changes = compare(new, make_report({"a": ROUNDS, "c": ROUNDS}), OLD, 0.1)
    assert [change.verdict for change in changes] == ["same", "new"]


def test_nothing_in_common_is_an_error(make_report):
    with pytest.raises(BadInputError, match="none of the rows"):
        compare(make_report({"b": ROUNDS}), make_report({"a": ROUNDS}), OLD, 0.1)


def test_another_machine_or_other_footage_is_refused(make_report):
    old = make_report({"a": ROUNDS})
    machine, footage = old.machine, old.footage
    check_comparable(old, OLD, machine, footage, 20)
    board = msgspec.structs.replace(machine, processor="Abacus")
    with pytest.raises(BadInputError, match=r"another machine.*Abacus"):
        check_comparable(old, OLD, board, footage, 20)
    with pytest.raises(BadInputError, match="20 frames of clip"):
        check_comparable(old, OLD, machine, footage, 21)


def test_a_report_comes_back_as_it_was_written(make_report, tmp_path):
    report = make_report({"a": ROUNDS}, accuracy={"a": 0.8}, joules=3.0)
    path = tmp_path / "report.json"
    path.write_bytes(msgspec.json.encode(report))
    assert read_report(path) == report


def test_a_report_of_impossible_times_is_refused(make_report, tmp_path):
    report = msgspec.to_builtins(make_report({"a": ROUNDS}))
    report["rows"][0]["result"]["rounds"][0]["p50"] = 0.0
    path = tmp_path / "report.json"
    path.write_bytes(msgspec.json.encode(report))
    with pytest.raises(BadInputError, match=r"a round of 0\.0 ms"):
        read_report(path)


def test_stages_that_only_one_report_has_are_left_out(make_report):
    old, new = make_report({"a": ROUNDS}), make_report({"a": [2 * time for time in ROUNDS]})
    old.rows[0].result.stages.pop("network")
    assert compare(new, old, OLD, 0.1)[0].verdict == "slower"
    old.rows[0].result.stages.clear()
    assert compare(new, old, OLD, 0.1)[0].stage == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "found None"),
        (b'{"schema": 99}', "report schema 99; this EdgeKit knows up to 2"),
        (b'{"schema": 1, "rows": 3}', "not a report"),
    ],
)
def test_what_is_no_report_is_refused(content, words, tmp_path):
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInputError, match=words):
        read_report(path)


def test_an_error_names_a_few_of_many_rows(make_report):
    earlier = make_report({f"row {number}": ROUNDS for number in range(100)})
    with pytest.raises(BadInputError, match=r"row 7, onnxruntime[^;]*; \.\.\.\.\n"):
        compare(make_report({"b": ROUNDS}), earlier, OLD, 0.1)


def test_a_thousand_rounds_take_little_memory(make_report):
    before = make_report({"a": [10 + 1e-5 * place for place in range(1000)]})
    tracemalloc.start()
    (change,) = compare(make_report({"a": [11.0] * 5}), before, OLD, 0.05)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert change.verdict == "slower"
    assert most < 100 << 20

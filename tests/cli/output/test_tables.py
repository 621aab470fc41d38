from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgekit.cli.eval import _show
from edgekit.cli.output.tables import KEPT, print_facts, print_table
from edgekit.cli.running.report import print_report
from edgekit.metrics.eval_result import EvalResult
from edgekit.pipeline.results import RunInfo, RunSummary
from edgekit.pipeline.stage_timer import StageTimes
from edgekit.running.report import SourceReport
from edgekit.running.sinks import TubeTally
from edgekit.runtime.types import Tube

name = st.text("abcXYZ-_/.", min_size=1, max_size=30)
names = st.lists(name, min_size=1, max_size=3).map(" ".join)
numbers = st.floats(0, 1e5).map("{:.3f}".format)


def printed(call, width) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    call(console)
    return console.file.getvalue().splitlines()


def folded(lines: list[str]) -> str:
    return re.sub(r"[\s│┃┏┓┗┛┡┩╇┳└┘┴━─┴]+", " ", " ".join(lines))


@given(
    st.lists(st.tuples(names, names, numbers, numbers, numbers), min_size=1, max_size=5),
    st.sampled_from([30, 40, 60, 80, 120, 300]),
    st.booleans(),
)
def test_a_table_fits_and_breaks_no_name(rows, width, may_wrap):
    headings = ("", "class of the tube", "video-AP @0.5:0.95", "first frame", "p50")
    lines = printed(
        lambda console: print_table(
            console,
            headings,
            rows,
            title="a title of some words",
            words=2,
            wrapped=(1,) if may_wrap else (),
        ),
        width,
    )
    whole = "\n".join(lines)
    for number, text, *values in rows:
        for cell in (number, *values):
            assert cell in whole
        for word in text.split(" ") if may_wrap else [text]:
            assert word in whole
    longest = max(len(cell) for row in rows for cell in row)
    for line in lines:
        # Only what is one name, or one with its indent, may be longer.
        assert len(line.rstrip()) <= max(width, longest + 6, 24)


@given(st.lists(st.tuples(name, names), min_size=1, max_size=6), st.sampled_from([40, 60, 80]))
def test_facts_fit_and_break_no_name(facts, width):
    lines = printed(lambda console: print_facts(console, facts), width)
    whole = "\n".join(lines)
    for key, value in facts:
        assert key in whole
        assert all(word in whole for word in value.split(" "))
    assert max(len(line.rstrip()) for line in lines) <= max(width, 34)


def test_names_with_spaces_are_kept_together():
    value = f"golf{KEPT}swing, ice{KEPT}dancing, long{KEPT}jump, sky{KEPT}diving"
    lines = printed(lambda console: print_facts(console, [("classes", value)]), 30)
    assert lines == [
        "classes  golf swing,",
        "         ice dancing,",
        "         long jump, sky diving",
    ]


def test_a_wide_table_has_lines_a_narrow_one_none_and_the_narrowest_is_no_table():
    rows = [("korsal-lite0-ucf24-onnx-int8", "onnxruntime 1.32.0", "4", "12.50"), None]
    headings = ("bundle", "runtime", "threads", "ms")

    def at(width):
        return printed(
            lambda console: print_table(console, headings, rows[:1], words=2, wrapped=(1,)), width
        )

    assert "│ korsal-lite0-ucf24-onnx-int8 │ onnxruntime 1.32.0 │       4 │ 12.50 │" in at(80)
    assert "│ korsal-lite0-ucf24-onnx-int8 │ onnxruntime │       4 │ 12.50 │" in at(66)
    assert [line.rstrip() for line in at(60)] == [
        "bundle                        runtime      threads     ms",
        "korsal-lite0-ucf24-onnx-int8  onnxruntime        4  12.50",
        "                              1.32.0",
    ]
    assert at(40) == [
        "korsal-lite0-ucf24-onnx-int8",
        "  runtime  onnxruntime 1.32.0",
        "  threads  4",
        "  ms       12.50",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_reports_fit_with_the_longest_class_names(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    classes = [f"VolleyballSpiking{n:02d}" for n in range(23)] + ["an action with a very long name"]
    ap = np.full((10, 24), 0.5)
    _show(EvalResult(classes, ap[0], ap, ap, 1.0, {}, 9, "edgekit", "edgekit", 0.1))
    tally = TubeTally(keep=20)
    tally.start(RunInfo("clip", 0, 0, 25.0, None, tuple(classes)))
    for label in (*range(4, 24), *[0] * 10):
        score = 0.5 if label else 0.1
        empty = np.empty(0)
        tally.tube(Tube(label, label, score, 0, 12345678, empty, empty, empty))
    times = StageTimes(*[12345.678] * 5)
    stages = dict.fromkeys(("capture", "cascade", "network", "decode", "link", "emit"), times)
    summary = RunSummary(1, 0, 1.0, stages)
    report = SourceReport("clip", ("b", ""), None, summary, tally, None, (), {})
    print_report(report, to_stderr=False)
    shown = capsys.readouterr().out
    assert "Done: 1 frame in 1.0 s" in shown
    assert all(shown.count(label) == 1 + (label in classes[4:]) for label in classes[2:])
    assert "the 20 best of 30" in folded(shown.splitlines())
    sentences = ("Done:", "0 videos,")
    for line in shown.splitlines():
        assert len(line.rstrip()) <= width or line.startswith(sentences), line

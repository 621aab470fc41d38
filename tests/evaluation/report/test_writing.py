from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgekit.errors import OutputError
from edgekit.evaluation.report.writing import write_report
from edgekit.metrics.analysis.comparison import compare
from edgekit.metrics.analysis.tracking import TrackingMeasures
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.evaluate import evaluate
from tests.metrics.analysis.made import CLASSES, saved


@pytest.fixture(scope="module")
def result() -> EvalResult:
    return evaluate(saved(24, right=0.6), analyse=True)


def _page(tmp_path: Path, result: EvalResult) -> str:
    path = tmp_path / "report.html"
    write_report(path, result)
    return path.read_text(encoding="utf-8")


def test_json_has_the_figures_and_the_analysis(tmp_path: Path, result: EvalResult) -> None:
    path = tmp_path / "report.JSON"
    write_report(path, result)
    found = json.loads(path.read_text())
    assert found["frame_map"]["0.5"] == pytest.approx(result.frame_map)
    assert found["analysis"]["frame_map"] == pytest.approx(result.frame_map)
    assert len(found["analysis"]["videos"]) == 24
    assert [one["name"] for one in found["analysis"]["frame_classes"]] == CLASSES
    assert "NaN" not in path.read_text()


def test_json_of_a_clip_whose_path_is_not_utf_8(tmp_path: Path, result: EvalResult) -> None:
    path = tmp_path / "report.json"
    write_report(path, replace(result, clips={"v": Path("\udcff/worst-1.mp4")}))
    assert json.loads(path.read_bytes())["clips"] == {"v": "\ufffd/worst-1.mp4"}


def test_the_page_of_a_failed_video_whose_path_is_not_utf_8(
    tmp_path: Path, result: EvalResult
) -> None:
    page = _page(tmp_path, replace(result, failures={"v": "\udcff/v.mp4 has 20 frames"}))
    assert "v failed: \ufffd/v.mp4 has 20 frames" in page


def test_the_page_stands_alone_and_is_well_formed(tmp_path: Path, result: EvalResult) -> None:
    page = _page(tmp_path, result)
    assert not re.search(r"(?:src|href)=", page)
    assert "nan" not in page.lower()
    for drawing in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(drawing)
    for name in CLASSES:
        assert name in page
    assert page.count("<td") > 24
    assert "4 more" in page


def test_the_page_names_what_else_was_asked_for(tmp_path: Path, result: EvalResult) -> None:
    other = evaluate(saved(24, seed=3, right=0.2))
    whole = replace(
        result,
        tracking=TrackingMeasures(0.51, 0.62, 0.43, 0.74, -0.25, 7),
        comparison=compare(result, other),
        failures={"broken.mp4": "it is <empty>"},
    )
    page = _page(tmp_path, whole)
    assert "0.510" in page
    assert "-0.250" in page
    assert "higher than the other file" in page
    assert "broken.mp4 failed: it is &lt;empty&gt;" in page


@pytest.mark.parametrize(("there", "said"), [(21, True), (24, False)])
def test_the_page_says_of_how_many_videos_the_comparison_is(
    tmp_path: Path, result: EvalResult, there: int, *, said: bool
) -> None:
    compared = compare(result, evaluate(saved(there, seed=3)), common=True)
    page = _page(tmp_path, replace(result, comparison=compared))
    assert ("The comparison is of the 21 videos that have results in the other" in page) is said


def test_a_single_video_in_which_nothing_was_found(tmp_path: Path) -> None:
    bare = saved(1)
    nothing = [found[:0] for found in bare.videos[0].detections if found is not None]
    empty = replace(bare, videos=[replace(bare.videos[0], detections=nothing)])
    page = _page(tmp_path, evaluate(empty, analyse=True))
    assert "frame-mAP@0.5 0.000" in page


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path, result: EvalResult) -> None:
    with pytest.raises(OutputError):
        write_report(tmp_path / "missing" / "report.html", result)
    assert not list(tmp_path.iterdir())

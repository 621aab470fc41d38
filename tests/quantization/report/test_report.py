"""Tests the report of a quantized bundle, in a terminal and as a page."""

from __future__ import annotations

import dataclasses
import io
import re
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from rich.console import Console

from edgekit.bundle import TubeCheck
from edgekit.calibration.contact_sheet import contact_sheet
from edgekit.calibration.samples import collect
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.cli.output.tables import print_grid
from edgekit.quantization.base import LAST
from edgekit.quantization.build import quantize_bundle
from edgekit.quantization.report.latency import compare_latency
from edgekit.quantization.report.page import to_html
from edgekit.quantization.report.report import report
from edgekit.quantization.report.tables import (
    by_damage,
    left_float,
    one_line,
    sensitivity,
    steps,
    summary,
    terminal,
)
from edgekit.quantization.search import SearchStep

HOSTILE = 'a<b>|"&c ' + "long/" * 60
HEADS = ("hm/Conv", "wh/Conv", "reg/Conv")
OUTPUTS = 2 + 2 + 2


@pytest.fixture(scope="module")
def samples(spotter, spots, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return (*collect(spotter, find_sequences(spots), store, samples=8, evaluated=8), store)


@pytest.fixture(scope="module")
def made(spotter, samples, tmp_path_factory):
    """All layers but one are of integers, and each was measured alone."""
    calibrating, evaluation, store = samples
    return quantize_bundle(
        spotter,
        calibrating,
        evaluation,
        tmp_path_factory.mktemp("int8") / "bundle",
        store=store,
        keep_float=["body/Conv"],
        max_drop=1.0,
        sensitivity=True,
    )


@pytest.fixture(scope="module")
def found(made, spotter):
    latency = compare_latency(spotter, made.bundle, repeats=3)
    tubes = TubeCheck(videos=2, tubes=7, annotated=True, float_map=0.9, video_map=0.8)
    return report(dataclasses.replace(made, tubes=tubes), spotter, latency)


@pytest.fixture(scope="module")
def sheet(samples):
    return contact_sheet(samples[0])


def shown(found, **options):
    console = Console(width=160, file=io.StringIO())
    for part in terminal(found, **options):
        if isinstance(part, str):
            console.print(part, soft_wrap=True, markup=False)
        else:
            print_grid(console, part)
    return console.file.getvalue()


def test_latency_is_of_both_on_every_runtime_there_is(found):
    (row,) = found.latency
    assert (row.runtime, row.arithmetic, row.threads) == ("onnxruntime", "fp32", 1)
    assert row.ratio == pytest.approx(row.int8_ms / row.float_ms)


def test_what_stayed_float_is_named_with_the_reason(found):
    assert found.left_float == {"body/Conv": "named by keep_float"}
    names = ["stem/Conv", "body/Conv", *HEADS]
    assert [layer.name for layer in found.layers] == names
    assert [layer.float for layer in found.layers] == [name == "body/Conv" for name in names]
    left = found.left_float | {"the cascade": LAST}
    shares = {
        row[0]: row[2] for row in left_float(msgspec.structs.replace(found, left_float=left)).rows
    }
    assert shares["the cascade"] == ""
    # Weights for each place: 4 by 4 channels, against stem (6 channels of 4 by 4) and heads.
    assert shares["body/Conv"] == f"{4 * 4 / (4 * 4 + 4 * 6 * 16 + 4 * OUTPUTS):.1%}"


def test_layers_that_the_search_gave_back_are_distinguished_from_named_ones(made, spotter):
    check = made.check
    tried = (SearchStep(frozenset(), check), SearchStep(frozenset({"stem/Conv"}), check))
    given_back = report(dataclasses.replace(made, steps=tried), spotter, [])
    assert "search" in given_back.left_float["stem/Conv"]
    assert given_back.warnings[0] == "Nothing was timed: no runtime for onnx runs here."
    assert [row[0] for row in steps(given_back).rows] == ["0", "1"]


def test_what_layers_read_adds_up(found, spotter, samples):
    stem = found.layers[0].reads
    assert stem.tensor == "input"
    values = np.concatenate([given["input"].ravel() for given in samples[0]])
    assert (stem.low, stem.high) == (values.min(), values.max())
    assert sum(stem.counts) == len(values)
    counted, _ = np.histogram(values, 64, (stem.low, stem.high))
    assert np.abs(np.array(stem.counts) - counted).sum() < 0.05 * len(values)


def test_the_terminal_says_the_same(found):
    text = shown(found)
    assert "Float: body/Conv\n" in text
    rows = {row[0]: row[1:] for row in summary(found).rows}
    assert rows["video-mAP@0.5, 7 tubes"] == ["0.9000", "0.8000", "-0.1000"]
    assert rows["size"][0] == f"{found.float_bytes / 1e6:.2f} MB"
    assert "fp32" in next(name for name in rows if "onnxruntime" in name)
    measured = sensitivity(found)
    assert {row[0] for row in measured.rows} == {"stem/Conv", "body/Conv", *HEADS}
    assert measured.rows[0][-1] == "█" * 6
    assert sensitivity(found, 1).title.endswith("the 1 worst of 5")


@pytest.mark.parametrize(
    ("after", "words"), [(0.88, []), (0.875, ["0.0250 lower"]), (None, ["was not measured"])]
)
def test_lost_tubes_are_warned_of(made, spotter, found, after, words):
    tubes = after and TubeCheck(videos=2, tubes=7, annotated=False, float_map=0.9, video_map=after)
    bounded = dataclasses.replace(made, tubes=tubes, max_drop=0.021)
    row = msgspec.structs.replace(found.latency[0], ratio=0.5)
    said = report(bounded, spotter, [row]).warnings
    assert len(said) == len(words)
    assert all(word in line for word, line in zip(words, said, strict=True))


def test_int8_that_is_slower_is_warned_of(made, spotter, found):
    for ratio in (0.5, 1.5):
        row = msgspec.structs.replace(found.latency[0], ratio=ratio)
        said = report(dataclasses.replace(made, tubes=found.tubes), spotter, [row]).warnings
        assert [("slower" in line) for line in said] == [True] * (ratio > 1)


def test_names_stay_whole_on_one_line():
    assert one_line("hm.0") == "hm.0"
    assert one_line(HOSTILE) == HOSTILE.replace("\n", " ")


def plots(text):
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def test_the_page_needs_nothing_but_itself(found, sheet, read_page):
    layers = [msgspec.structs.replace(layer, label=HOSTILE + layer.name) for layer in found.layers]
    left = {HOSTILE: HOSTILE}
    hostile = msgspec.structs.replace(
        found, name=HOSTILE, layers=tuple(layers), left_float=left, warnings=(HOSTILE,)
    )
    text = to_html(hostile, sheet)
    page = read_page(text)
    assert [address.partition(",")[0] for address in page.addresses] == ["data:image/jpeg;base64"]
    assert not {"script", "link", "iframe", "b"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert len(plots(text)) == 3


def test_the_plots_are_whole_and_show_what_was_measured(found, sheet):
    layers, distributions, spans = plots(to_html(found, sheet))
    assert len(layers.findall(".//circle")) == 5 * 3
    lost = [r for r in layers.findall(".//rect") if r.get("class") == "s5"]
    assert len(lost) == 5
    names = [t.text for t in layers.findall(".//g/text")]
    assert names == [layer.label for layer, _ in by_damage(found)]
    (bold,) = [t.text for t in layers.findall(".//g/text") if t.get("class") == "strong"]
    assert bold == "body/Conv"
    filled = sum(count > 0 for layer in found.layers for count in layer.reads.counts)
    assert len(distributions.findall("rect")) == filled
    assert len(spans.findall("rect")) == 5 * 2


def test_without_heads_the_lost_detections_are_drawn_alone(found, sheet):
    blind = [
        msgspec.structs.replace(layer, alone=msgspec.structs.replace(layer.alone, sqnr={}))
        for layer in found.layers
    ]
    text = to_html(msgspec.structs.replace(found, layers=tuple(blind)), sheet)
    assert not plots(text)[0].findall(".//circle")


def test_what_was_not_measured_is_said(found, sheet):
    bare = [msgspec.structs.replace(layer, alone=None, reads=None) for layer in found.layers]
    text = to_html(msgspec.structs.replace(found, layers=tuple(bare)), sheet)
    assert "sensitivity=True measures it" in text
    assert not plots(text)

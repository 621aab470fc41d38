"""Tests decoding against the published code, and against its definition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import BundleError
from edgekit.runtime import native
from edgekit.runtime.decode import decode, group, peaks
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.native import decode as decoding
from edgekit.runtime.native.library import load
from edgekit.runtime.types import Array, Detections

needs_library = pytest.mark.skipif(
    native.setting().available == (native.NUMPY,), reason="no library was built"
)

Result = TypeVar("Result")


def heads(rng: np.random.Generator, classes: int, height: int, width: int) -> dict[str, Array]:
    return {
        "hm": rng.standard_normal((1, classes, height, width)).astype(np.float32),
        "wh": rng.uniform(1, 9, (1, 2, height, width)).astype(np.float32),
        "reg": rng.uniform(0, 1, (1, 2, height, width)).astype(np.float32),
    }


def by_definition(outputs: dict[str, Array], top_k: int, stride: int) -> Array:
    """One cell at a time, in float64."""
    hm, wh, reg = (outputs[name][0].astype(np.float64) for name in ("hm", "wh", "reg"))
    rows = []
    for c, y, x in np.ndindex(hm.shape):
        around = hm[c, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        if hm[c, y, x] == around.max():
            cx, cy = x + reg[0, y, x], y + reg[1, y, x]
            w, h = wh[:, y, x]
            box = [stride * v for v in (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)]
            rows.append([*box, 1 / (1 + np.exp(-hm[c, y, x])), c])
    rows.sort(key=lambda row: -row[4])  # stable: ties stay in the order of class, row, column
    return np.array(rows[:top_k])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["dla34_6ch_seed1", "resdcn18_6ch_seed1"])
def test_golden_detections(shared: Path, name: str) -> None:
    golden = np.load(shared / "golden" / "networks" / f"{name}.npz")
    found = peaks(golden, 50, 1)
    np.testing.assert_allclose(found, golden["detections"], rtol=0, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(1, 4),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    top_k=st.integers(1, 60),
    levels=st.sampled_from([0, 2, 5]),
)
def test_follows_the_definition(
    seed: int, classes: int, height: int, width: int, top_k: int, levels: int
) -> None:
    outputs = heads(np.random.default_rng(seed), classes, height, width)
    if levels:  # many equal logits
        outputs["hm"] = np.round(outputs["hm"] * levels / 4)
    found = peaks(outputs, top_k, 4)
    np.testing.assert_allclose(found, by_definition(outputs, top_k, 4), rtol=1e-5, atol=1e-4)


def test_flat_heatmap_gives_every_cell_in_order() -> None:
    outputs = heads(np.random.default_rng(0), 2, 3, 4)
    outputs["hm"][:] = -1.5
    outputs["wh"][:], outputs["reg"][:] = 2, 0
    found = peaks(outputs, 100, 4)
    assert len(found) == 24
    assert found[:, 5].tolist() == [0] * 12 + [1] * 12
    assert found[:5, 0].tolist() == [-4, 0, 4, 8, -4]


def test_saturated_scores_still_rank_by_logit() -> None:
    outputs = heads(np.random.default_rng(0), 1, 5, 5)
    outputs["hm"][:] = 0
    outputs["hm"][0, 0, 1, 1], outputs["hm"][0, 0, 3, 3] = 40, 60
    found = peaks(outputs, 2, 1)
    assert found[:, 4].tolist() == [1, 1]
    assert found[0, 0] > found[1, 0]


def test_very_low_logits_give_no_warning_and_no_score() -> None:
    outputs = heads(np.random.default_rng(0), 1, 4, 4)
    outputs["hm"][:] = -90  # the exponential of 90 is no float32
    assert peaks(outputs, 3, 1)[:, 4].tolist() == [0, 0, 0]


def test_classes_of_one_cell_share_a_box() -> None:
    outputs = heads(np.random.default_rng(0), 3, 8, 8)
    outputs["hm"][:] = -9
    outputs["hm"][0, :, 4, 4] = [2, -9.5, 1]
    outputs["hm"][0, 1, 1, 1] = 0
    letterbox = Letterbox.fit((32, 32), (32, 32))
    found = decode(outputs, 3, letterbox, top_k=3, stride=4)
    assert len(found) == 2
    np.testing.assert_allclose(found.scores[0], [1 / (1 + np.exp(-2)), 0, 1 / (1 + np.exp(-1))])
    np.testing.assert_allclose(found.scores[1], [0, 0.5, 0])


def test_boxes_outside_the_picture_or_without_area_are_left_out() -> None:
    rows = np.array(
        [
            [-50, -50, -10, -10, 0.9, 0],
            [10, 10, 10, 30, 0.8, 0],
            [30, 30, 10, 10, 0.7, 0],
            [-5, -5, 10, 10, 0.6, 0],
            [1, 1, 10, 10, 0.0, 0],
        ],
        np.float32,
    )
    found = group(rows, 1, Letterbox.fit((64, 64), (64, 64)))
    assert found.boxes.tolist() == [[0, 0, 10, 10]]
    assert found.scores.tolist() == [[np.float32(0.6)]]


@pytest.mark.parametrize("top_k", [20, 7])
def test_rows_of_a_model_that_decodes_are_taken_as_they_are(top_k: int) -> None:
    outputs = heads(np.random.default_rng(1), 3, 16, 16)
    letterbox = Letterbox.fit((50, 90), (64, 64))
    expected = decode(outputs, 3, letterbox, top_k=top_k, stride=4)
    found = decode({"detections": peaks(outputs, 20, 4)}, 3, letterbox, top_k=top_k, stride=4)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


def with_kernel(kernel: str, call: Callable[[], Result]) -> Result:
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setenv(native.VARIABLE, kernel)
        return call()


def assert_same_bits(found: Array, expected: Array) -> None:
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == expected.shape
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), ~numbers)
    np.testing.assert_array_equal(found[numbers].view(np.uint32), expected[numbers].view(np.uint32))


@st.composite
def hard_heads(draw: st.DrawFn) -> dict[str, Array]:
    """Maps of one cell up to several blocks across: noise, slopes, plateaus, and no numbers."""
    classes, height = draw(st.integers(1, 30)), draw(st.integers(1, 9))
    width = draw(st.one_of(st.integers(1, 20), st.integers(30, 70)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    outputs = heads(rng, classes, height, width)
    hm = outputs["hm"]
    match draw(st.sampled_from(["noise", "rising", "plateaus", "flat", "zeros"])):
        case "rising":  # each peak is better than all before
            hm[:] = rng.permuted(np.arange(hm.size).reshape(hm.shape), axis=draw(st.integers(2, 3)))
        case "plateaus":
            hm[:] = np.round(hm * draw(st.sampled_from([0.5, 1, 3])))
        case "flat":
            hm[:] = draw(st.sampled_from([-3.0, -np.inf, np.inf, np.nan]))
        case "zeros":  # of both signs, which are equal
            hm[:] = rng.choice([0.0, -0.0, 1e-45, -1e-45], hm.shape)
    for name in outputs:
        odd = rng.random(outputs[name].shape) < draw(st.sampled_from([0, 0, 0.01, 0.3]))
        kinds = draw(st.sampled_from([[np.nan], [np.inf, -np.inf], [np.nan, np.inf, -np.inf]]))
        outputs[name][odd] = rng.choice(kinds, odd.sum())
    return outputs


@needs_library
@settings(max_examples=300, deadline=None)
@given(hard_heads(), st.sampled_from([1, 2, 7, 50, 10**6]), st.sampled_from([1, 4]))
def test_the_library_finds_the_peaks_that_numpy_finds(
    outputs: dict[str, Array], top_k: int, stride: int
) -> None:
    found = with_kernel("", lambda: peaks(outputs, top_k, stride))
    assert_same_bits(found, with_kernel("numpy", lambda: peaks(outputs, top_k, stride)))


@needs_library
@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 60),
    classes=st.integers(1, 30),
    source=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    odd=st.sampled_from([0, 0, 0.1]),
)
def test_the_library_groups_as_numpy_does(
    seed: int, count: int, classes: int, source: tuple[int, int], odd: float
) -> None:
    rng = np.random.default_rng(seed)
    # Of few boxes, among them empty and inverted ones, and ones outside the picture.
    known = rng.uniform(-100, 400, (1 + seed % 8, 4))
    known[:, 2:] += known[:, :2] * rng.integers(0, 2, (len(known), 1))
    rows = np.empty((count, 6), np.float32)
    rows[:, :4] = known[rng.integers(0, len(known), count)]
    rows[:, 4] = rng.choice([0.0, 0.2, 0.9], count, p=[0.1, 0.4, 0.5])
    rows[:, 5] = rng.integers(0, classes, count)
    values = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], (count, 5))
    np.copyto(rows[:, :5], values, where=rng.random((count, 5)) < odd, casting="same_kind")
    letterbox = Letterbox.fit(source, (256, 320), (1.0, 2.0, 0.7)[seed % 3])
    found = with_kernel("", lambda: group(rows, classes, letterbox))
    expected = with_kernel("numpy", lambda: group(rows, classes, letterbox))
    assert_same_bits(found.boxes, expected.boxes)
    assert_same_bits(found.scores, expected.scores)


@needs_library
def test_maps_that_lie_otherwise_in_memory_are_the_same_maps() -> None:
    outputs = heads(np.random.default_rng(6), 5, 20, 24)
    other = {name: np.asfortranarray(maps.astype(np.float64)) for name, maps in outputs.items()}
    found = with_kernel("", lambda: peaks(other, 9, 4))
    assert_same_bits(found, with_kernel("numpy", lambda: peaks(outputs, 9, 4)))


@pytest.mark.parametrize("kernel", native.setting().available[-2:])
def test_maps_that_do_not_fit_each_other_are_refused(kernel: str) -> None:
    outputs = heads(np.random.default_rng(7), 1, 6, 6)
    outputs["hm"][0, 0, 5, 5] = 99
    outputs["wh"] = outputs["wh"][:, :, :3]
    with pytest.raises(IndexError):
        with_kernel(kernel, lambda: peaks(outputs, 4, 1))


@pytest.mark.parametrize("kernel", native.setting().available[-2:])
@pytest.mark.parametrize("label", [-1, 3, 1e9, np.nan])
def test_a_class_that_is_none_is_refused(kernel: str, label: float) -> None:
    rows = np.array([[1, 1, 5, 5, 0.5, label]], np.float32)
    letterbox = Letterbox.fit((8, 8), (8, 8))
    with pytest.raises(IndexError):
        with_kernel(kernel, lambda: group(rows, 3, letterbox))


@pytest.mark.parametrize("kernel", native.setting().available[-2:])
def test_no_class_and_no_row_give_no_detection(kernel: str) -> None:
    letterbox = Letterbox.fit((8, 8), (8, 8))

    def found() -> list[Detections]:
        outputs = heads(np.random.default_rng(8), 0, 4, 4)
        rows = np.empty((0, 6), np.float32)
        return [decode(outputs, 2, letterbox, top_k=3, stride=4), group(rows, 2, letterbox)]

    for detections in with_kernel(kernel, found):
        assert detections.boxes.shape == (0, 4)
        assert detections.scores.shape == (0, 2)


LETTERBOX = Letterbox.fit((96, 96), (96, 96))


@pytest.mark.parametrize("wrong", [np.nan, 1e38, -1e38, np.inf, -np.inf, 3, -1])
@pytest.mark.parametrize("kernel", ["", native.NUMPY])
def test_a_network_that_names_a_class_that_is_none_is_refused(
    kernel: str, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(native.VARIABLE, kernel)
    rows = np.array([[0, 0, 9, 9, 0.5, 2], [0, 0, 9, 9, 0.4, wrong]], np.float32)
    with pytest.raises(BundleError, match="classes from 0 to 2 and scores up to 1"):
        decode({"detections": rows}, 3, LETTERBOX, top_k=5, stride=4)
    rows[1, 4] = 0  # stands for no detection
    found = decode({"detections": rows}, 3, LETTERBOX, top_k=5, stride=4)
    assert found.scores.tolist() == [[0, 0, 0.5]]


def test_a_score_over_one_by_rounding_is_taken() -> None:
    rows = np.array([[0, 0, 9, 9, 1.005, 2]], np.float32)
    found = decode({"detections": rows}, 3, LETTERBOX, top_k=5, stride=4)
    assert found.scores.tolist() == [[0, 0, pytest.approx(1.005)]]


@pytest.mark.parametrize("wrong", [1.5, 1e38, np.inf])
def test_a_score_over_one_is_refused(wrong: float) -> None:
    rows = np.array([[0, 0, 9, 9, wrong, 2]], np.float32)
    with pytest.raises(BundleError, match="scores up to 1"):
        decode({"detections": rows}, 3, LETTERBOX, top_k=5, stride=4)


@pytest.mark.parametrize("wrong", [np.nan, 1e38, -1e38, np.inf, -np.inf])
@pytest.mark.parametrize("kernel", ["", native.NUMPY])
def test_boxes_of_no_or_absurd_numbers_stay_in_the_picture(
    kernel: str, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(native.VARIABLE, kernel)
    outputs = heads(np.random.default_rng(1), 3, 24, 24)
    for name in ("wh", "reg"):
        outputs[name][:, :, ::2] = wrong
    with np.errstate(all="ignore"):
        found = decode(outputs, 3, LETTERBOX, top_k=50, stride=4)
    assert np.isfinite(found.boxes).all()
    assert len(found) > 0
    assert found.boxes.min() >= 0
    assert found.boxes.max() <= 96


@needs_library
@pytest.mark.parametrize(
    ("heatmap", "sizes", "offsets", "top_k"),
    [
        ((1, 3, 4, 4), (2, 4, 4), (2, 4, 4), 5),
        ((3, 4, 4, 1), (2, 4, 4), (2, 4, 4), 5),
        ((3, 4), (2, 4, 4), (2, 4, 4), 5),
        ((3, 4, 4), (2, 4, 3), (2, 4, 4), 5),
        ((3, 4, 4), (2, 4, 4), (2, 4, 5), 5),
        ((3, 0, 4), (2, 4, 4), (2, 4, 4), 5),
        ((3, 4, 4), (2, 4, 4), (2, 4, 4), 0),
    ],
)
def test_the_library_is_not_called_with_maps_that_do_not_fit(
    heatmap: tuple[int, ...], sizes: tuple[int, ...], offsets: tuple[int, ...], top_k: int
) -> None:
    library, _ = load()
    assert library is not None
    maps = [np.zeros(shape, np.float32) for shape in (heatmap, sizes, offsets)]
    assert not decoding.suits(*maps, top_k)
    with pytest.raises(ValueError, match=r"expected a heatmap|shapes of heatmap"):
        decoding.peaks(library, *maps, top_k, 4)


@needs_library
def test_maps_of_other_types_and_orders_are_taken_as_they_are_meant() -> None:
    library, _ = load()
    assert library is not None
    outputs = heads(np.random.default_rng(2), 3, 8, 8)
    maps = [outputs[name][0] for name in ("hm", "wh", "reg")]
    expected = decoding.peaks(library, *maps, 9, 4)
    others = [np.asfortranarray(each.astype(np.float64)) for each in maps]
    found = decoding.peaks(library, *others, 9, 4)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1][:, :4], expected[1][:, :4])

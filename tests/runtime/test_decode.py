"""Decoding against the published decode, and against its definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.runtime.decode import decode, group, peaks
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array


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
    outputs["hm"][:] = -80
    assert peaks(outputs, 3, 1)[:, 4].max() < 1e-30


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


def test_rows_of_a_model_that_decodes_are_taken_as_they_are() -> None:
    outputs = heads(np.random.default_rng(1), 3, 16, 16)
    letterbox = Letterbox.fit((50, 90), (64, 64))
    expected = decode(outputs, 3, letterbox, top_k=20, stride=4)
    found = decode({"detections": peaks(outputs, 20, 4)}, 3, letterbox, top_k=20, stride=4)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


@settings(max_examples=100, deadline=None)
@given(
    source=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    target=st.tuples(st.sampled_from([64, 256, 288]), st.sampled_from([64, 256, 512])),
    seed=st.integers(0, 1000),
)
def test_letterbox_leads_boxes_back(
    source: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    letterbox = Letterbox.fit(source, target)
    corners = np.random.default_rng(seed).uniform(0, 1, (5, 2, 2))
    boxes = np.sort(corners, 1).reshape(5, 4) * (source[1], source[0], source[1], source[0])
    inside = letterbox.to_input(boxes)
    assert inside.min() >= -1e-9
    assert (inside <= np.array([target[1], target[0]] * 2) + 1e-9).all()
    np.testing.assert_allclose(letterbox.to_source(inside), boxes, atol=1e-6 * max(source))


def test_letterbox_puts_the_picture_where_it_says() -> None:
    image = np.zeros((120, 240, 3), np.uint8)
    image[40:80, 60:180] = 255
    letterbox = Letterbox.fit((120, 240), (128, 128))
    bright = np.argwhere(letterbox.apply(image)[:, :, 0] > 127)
    box = letterbox.to_input(np.array([[60.0, 40.0, 180.0, 80.0]]))[0]
    found = [bright[:, 1].min(), bright[:, 0].min(), bright[:, 1].max() + 1, bright[:, 0].max() + 1]
    np.testing.assert_allclose(found, box, atol=1)

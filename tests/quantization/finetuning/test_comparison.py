"""Which of two losses is less, and not by chance."""

from __future__ import annotations

import msgspec
import pytest

from edgekit.bundle import RoundingCheck
from edgekit.quantization.finetuning.comparison import clearly_better

CHECK = RoundingCheck(
    frames=9,
    objects=9,
    annotated=True,
    float_map=0.9,
    frame_map=0.89,
    agreement=1.0,
    sqnr={"hm": 40.0, "wh": 35.0, "reg": 35.0},
)


@pytest.mark.parametrize(
    ("changes", "annotated", "max_drop", "better"),
    [
        ({}, False, 0.015, False),
        ({"sqnr": {"hm": 40.2, "wh": 35.2, "reg": 35.2}}, False, 0.015, False),
        ({"sqnr": {"hm": 41.0, "wh": 36.0, "reg": 36.0}}, False, 0.015, True),
        ({"sqnr": {"hm": 41.0, "wh": 36.0, "reg": 36.0}}, True, 0.015, False),
        ({"frame_map": 0.893}, True, 0.015, False),
        ({"frame_map": 0.896}, True, 0.015, True),
        ({"frame_map": 0.896}, False, 0.015, False),
        ({"frame_map": 0.893}, False, 0.005, True),
        ({"frame_map": 0.88, "sqnr": {"hm": 60.0, "wh": 60.0, "reg": 60.0}}, False, 0.015, False),
    ],
)
def test_the_bound_counts_first_and_then_what_is_more_than_chance(
    changes, annotated, max_drop, better
):
    found = msgspec.structs.replace(CHECK, **changes)
    assert clearly_better(found, CHECK, annotated=annotated, max_drop=max_drop) is better

"""Tests that a damaged file gives an error and never crashes the process."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.bundle import Bundle
from edgekit.targets.tflite.structure import check_structure


def test_models_pass(lite: Bundle, inside: Bundle) -> None:
    check_structure(lite.model_path.read_bytes())
    check_structure(inside.model_path.read_bytes())


@pytest.mark.parametrize("share", [0, 0.00001, 0.001, 0.3, 0.9, 0.9999])
def test_part_of_a_model(lite: Bundle, share: float) -> None:
    content = lite.model_path.read_bytes()
    with pytest.raises(ValueError, match=r"begin like a TFLite model|outside"):
        check_structure(content[: int(share * len(content))])


@pytest.mark.parametrize("rest", [b"", b"\0" * 999, b"\xff" * 999, bytes(range(256)) * 9])
def test_rubbish_behind_the_right_name(rest: bytes) -> None:
    with pytest.raises(ValueError, match=r"outside|no table"):
        check_structure(b"\x1c\0\0\0TFL3" + rest)


def test_false_offsets_are_reported_or_harmless(lite: Bundle) -> None:
    content = np.frombuffer(lite.model_path.read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    told = 0
    for _ in range(40):
        changed = content.copy()
        changed[random.integers(0, 4000, 30)] = random.integers(0, 256, 30)
        changed[4:8] = content[4:8]
        try:
            check_structure(changed.tobytes())
        except ValueError:
            told += 1
    assert told > 0

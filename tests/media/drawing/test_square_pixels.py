from __future__ import annotations

import numpy as np
import pytest

from edgekit.media.drawing.square_pixels import in_size, shown_size
from edgekit.runtime.types import Frame


@pytest.mark.parametrize("aspect", [0.5, 1.0, 64 / 45])
def test_a_picture_is_as_wide_as_a_player_shows_it(aspect: float) -> None:
    image = np.full((576, 720, 3), 7, np.uint8)
    width, height = shown_size(Frame(0, 0.0, image, sample_aspect=aspect))
    shown = in_size(image, width, height)
    assert shown.shape == (576, round(720 * aspect), 3)
    assert (shown == 7).all()


def test_a_picture_of_the_same_size_is_a_copy() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    in_size(image, 6, 4)[:] = 9
    assert not image.any()

"""Tests that clips of a run last as long as the time that they cover."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.benchmarks.suites.faults.clip_lengths import TROUBLES, play

pytest.importorskip("av")


@pytest.mark.parametrize("rate", [5, 100])
@pytest.mark.parametrize("trouble", [TROUBLES[0], TROUBLES[-1]])
def test_a_clip_lasts_as_long_as_what_it_covers(spot_bundle, spot_images, tmp_path, rate, trouble):
    # The spot is there for two seconds, and gone for two.
    dark = np.zeros((96, 128, 3), np.uint8)
    images = [*spot_images(2 * rate), *[dark] * (2 * rate)]
    options = ("--bundle", str(spot_bundle), "--min-hits", "2")
    clips = play(rate, trouble, tmp_path, images, *options, seconds=6.0)
    assert clips
    for clip in clips:
        assert clip.worst < 0.002  # each frame stands where the events say
        # Its last frame is shown no longer than those before it.
        assert 0 < clip.length - clip.covered <= clip.recent + 0.002

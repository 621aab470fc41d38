"""Tests the pictures that verify an export."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.assets import pictures
from edgekit.assets.pictures import verification_frames
from edgekit.errors import MediaError


def test_clips_are_real_pictures_that_move() -> None:
    clips = verification_frames(4)
    assert len(clips) == 3
    for clip in clips:
        assert len(clip) == 4
        for earlier, later in itertools.pairwise(clip):
            assert later.dtype == np.uint8
            assert later.shape == (200, 280, 3)
            assert later.std() > 30
            assert 0.5 < cv2.absdiff(earlier, later).mean() < 30


def test_first_frame_is_the_photograph_itself() -> None:
    picture = cv2.imread(str(pictures._FRAMES / "astronaut.jpg"))
    np.testing.assert_array_equal(verification_frames(1)[0][0], picture[20:-20, 20:-20])


def test_pictures_are_small_and_their_origin_is_reported() -> None:
    notice = (pictures._FRAMES / "NOTICE").read_text()
    for path in pictures._FRAMES.glob("*.jpg"):
        assert path.stat().st_size < 30_000
        assert path.name in notice


def test_missing_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pictures, "_FRAMES", tmp_path)
    with pytest.raises(MediaError, match=r"built-in picture .* is missing"):
        verification_frames()

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.tools.contact_sheet import contact_sheet
from edgekit.errors import AnnotationError
from edgekit.media.drawing.text import colour_of


def video(path: Path, label: int) -> VideoTruth:
    return VideoTruth(
        path.stem, 30, 64, 48, [TruthTube(label, 10, np.array([[8.0, 8, 40, 40]] * 5))], path=path
    )


def test_frames_of_every_class_are_drawn_with_their_boxes(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    truth = Truth(
        ["walk", "jump"],
        [
            video(clip(tmp_path / "a.mp4"), 0),
            *(video(clip(tmp_path / f"b{n}"), 1) for n in range(5)),
        ],
    )
    sheet = contact_sheet(truth, 4)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (262, 3 * 320, 3)  # one of walk, two of jump
    for place, label in enumerate((0, 1, 1)):
        tile = sheet[:262, 320 * place :][:, :320]
        assert (tile[40, 60:180] == colour_of(label)).all(1).any()  # the upper side of the box


def test_frames_are_as_wide_as_a_player_shows_them(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    square, wide = clip(tmp_path / "square.mp4"), tmp_path / "wide.mp4"
    words = ["ffmpeg", "-v", "error", "-i", str(square), "-c", "copy", "-aspect", "8:3", str(wide)]
    subprocess.run(words, check=True)
    tile = contact_sheet(Truth(["walk"], [video(wide, 0)]))[:240]
    # The box of 32 by 32 pixels, each twice as wide as high, in a picture of 320 by 120.
    rows, columns = np.nonzero((tile == colour_of(0)).all(axis=2))
    assert abs(int(np.ptp(columns)) - 2 * int(np.ptp(rows))) <= 4
    assert 78 <= np.ptp(rows) <= 84


def test_a_video_that_cannot_be_read_is_left_out(
    tmp_path: Path, clip: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    videos = [video(tmp_path / "broken.mp4", 0), video(clip(tmp_path / "a"), 1)]
    with caplog.at_level(logging.WARNING):
        assert contact_sheet(Truth(["walk", "jump"], videos)).shape == (262, 320, 3)
    assert "Left out of the sheet" in caplog.text
    with pytest.raises(AnnotationError, match="none can be read"):
        contact_sheet(Truth(["walk"], videos[:1]))

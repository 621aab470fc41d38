"""Tests the suite ``power_cut`` with few kills."""

from __future__ import annotations

import concurrent.futures
import random

import cv2
import numpy as np
import pytest

from edgekit.benchmarks.suites.faults.power_cut import ENDINGS, camera_on_loopback, kill, write_clip
from edgekit.cli import main as run


@pytest.fixture(scope="module")
def spots():
    images = []
    for number in range(30):
        image = np.zeros((96, 128, 3), np.uint8)
        cv2.circle(image, (30 + number, 48), 10, (255, 255, 255), cv2.FILLED)
        images.append(image)
    return images


def test_a_killed_run_leaves_whole_lines_and_a_video_that_plays(spot_bundle, spots, tmp_path):
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    with camera_on_loopback(spots) as url, concurrent.futures.ThreadPoolExecutor() as pool:
        moments = (0.0, 0.5, 1.3)
        options = ("--bundle", str(spot_bundle))
        found = list(pool.map(lambda f, s: kill(url, f, s, *options, played=1), folders, moments))
    for left in found:
        assert left.part == 0
        assert left.frames >= left.played > 0
        assert left.lines > left.frames


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cut_video_is_played_as_far_as_it_goes_or_refused(
    spot_bundle, spots, tmp_path, ending, capfd
):
    content = write_clip(tmp_path / f"whole{ending}", spots).read_bytes()
    draw = random.Random(ending)
    for length in (0, 1, *(draw.randrange(len(content)) for _ in range(3))):
        path = tmp_path / f"cut{ending}"
        path.write_bytes(content[:length])
        status = run(["run", "--bundle", str(spot_bundle), "--source", str(path)])
        assert status in (0, 3)
        stderr = capfd.readouterr().err
        assert "Traceback" not in stderr
        assert bool(stderr) or status == 0

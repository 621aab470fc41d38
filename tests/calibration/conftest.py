"""Renders short clips."""

from __future__ import annotations

import pytest

from edgekit.synthetic.clip import render_clip
from edgekit.synthetic.dataset import write_video


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """A folder with three videos of 12 frames."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in (1, 2, 10):
        write_video(render_clip(seed, frames=12, size=(96, 128)), folder / f"clip{seed}.avi")
    return folder

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from edgekit.datasets.annotations import read_annotations
from edgekit.errors import OutputError
from edgekit.media import open_source
from edgekit.synthetic import render_clip, write_dataset, write_video
from edgekit.synthetic.__main__ import command


def test_a_dataset_reads_back_as_it_was_rendered(tmp_path):
    write_dataset(tmp_path / "set", [3, 8], frames=10, size=(96, 128))
    truth = read_annotations(tmp_path / "set" / "annotations.json")
    assert [video.name for video in truth.videos] == ["puppets-3.avi", "puppets-8.avi"]
    for video, seed in zip(truth.videos, (3, 8), strict=True):
        clip = render_clip(seed, frames=10, size=(96, 128))
        assert video.frames == len(clip)
        assert [(t.label, t.start, t.end) for t in video.tubes] == [
            (t.label, t.start, t.end - 1) for t in clip.tubes
        ]
        for read, rendered in zip(video.tubes, clip.tubes, strict=True):
            assert read.boxes == pytest.approx(rendered.boxes, abs=0.006)
        with open_source(str(video.path)) as source:
            decoded = [frame.image for frame in source]
        for image, rendered in zip(decoded, clip, strict=True):
            # The codec is without loss, but some builds of OpenCV go through YUV.
            assert np.abs(image.astype(int) - rendered).max() <= 4


def test_a_folder_that_is_there_is_kept(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(OutputError, match="already exists"):
        write_dataset(tmp_path, [1])
    assert (tmp_path / "mine").read_text() == "x"


def test_a_video_cannot_be_written_nowhere(tmp_path):
    with pytest.raises(OutputError):
        write_video(render_clip(1, frames=8, size=(64, 64)), tmp_path / "missing" / "a.avi")


def test_the_command_makes_a_set_and_says_why_not(tmp_path):
    arguments = [str(tmp_path / "set"), "--clips", "1", "--seed", "4", "--frames", "8"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "set" / "puppets-4.avi").is_file()
    again = CliRunner().invoke(command, arguments)
    assert again.exit_code == 3
    assert "--force" in again.output

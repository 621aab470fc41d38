"""Tests that frames of ``--video`` and ``--clips`` have the times of their source."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from edgekit.cli import main

av = pytest.importorskip("av")

TIMES = [n / 25 for n in range(30)] + [1.2 + n / 5 for n in range(20)]


@pytest.fixture
def uneven(tmp_path):
    """A spot that moves in a video of a changing rate, whose pixels are twice as wide as high."""
    path = tmp_path / "uneven.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.sample_aspect_ratio = Fraction(2)
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, seconds in enumerate(TIMES):
            image = np.zeros((96, 128, 3), np.uint8)
            image[38:58, 20 + index : 40 + index] = 255
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(1000 * seconds), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times_in(path):
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


@pytest.mark.parametrize("library", ["av", "cv2"])
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_video_and_clips_have_the_times_of_the_source(
    spot_bundle, uneven, tmp_path, capsys, caplog, request, library, ending
):
    if library == "cv2":
        request.getfixturevalue("without_av")
    video, clips = tmp_path / f"out{ending}", tmp_path / "clips"
    words = ["run", str(uneven), "--bundle", str(spot_bundle), "--threads", "1", "--json"]
    words += ["--video", str(video), "--clips", str(clips), "--clip-before", "1"]
    assert main(words) == 0
    codec = {"av": "H.264", "cv2": "MPEG-4 Part 2"}[library]
    assert json.loads(capsys.readouterr().out)["codecs"] == {"video": codec, "clips": codec}
    assert caplog.text.count("browsers do not play") == (2 if library == "cv2" else 0)
    assert times_in(video) == pytest.approx(TIMES, abs=0.001)
    (about,) = clips.glob("*.json")
    said = json.loads(about.read_bytes())
    shown = TIMES[said["first"] : said["last"] + 1]
    found = times_in(clips / said["video"])
    assert found == pytest.approx([seconds - shown[0] for seconds in shown], abs=0.001)


def test_the_end_of_a_run_says_which_codec_was_written(spot_bundle, spot_video, tmp_path, capsys):
    video = tmp_path / "out.mp4"
    words = ["run", str(spot_video(3)), "--bundle", str(spot_bundle), "--video", str(video)]
    assert main(words) == 0
    assert f"Wrote {video} (H.264)" in capsys.readouterr().out


def test_a_name_that_is_no_videos_is_refused(spot_bundle, spot_video, tmp_path, capsys):
    words = ["run", str(spot_video(3)), "--bundle", str(spot_bundle), "--json"]
    assert main([*words, "--video", str(tmp_path / "out")]) == 3
    assert ".mp4" in json.loads(capsys.readouterr().out)["error"]["hint"]
    assert not (tmp_path / "out").exists()

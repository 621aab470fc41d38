"""Tests videos whose declared colours FFmpeg's scaler refuses, or crashes on."""

from __future__ import annotations

import re

import numpy as np
import pytest

from edgekit.errors import MissingDependencyError
from edgekit.media import open_source
from edgekit.media.sources import opening

H264 = ("-c:v", "libx264")
MPEG2 = ("-c:v", "mpeg2video")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")
HEVC_LISTS = (*HEVC[:-1], f"{HEVC[-1]}:scaling-list=default:temporal-layers=1")
# Filters that only declare other colours. FFmpeg 7 and newer converts to those that an option such
# as -colorspace names.
UNUSUAL = {
    "ycgco.mp4": (*H264, "-vf", "setparams=colorspace=ycgco"),
    "ycgco.avi": (*H264, "-vf", "setparams=colorspace=ycgco"),
    "interlaced.ts": (*H264, "-x264opts", "fake-interlaced=1", "-vf", "setparams=colorspace=ycgco"),
    "constant.mkv": (*H264, "-aspect", "2", "-vf", "setparams=colorspace=bt2020c"),
    "log.mp4": (*H264, "-vf", "setparams=color_trc=log100"),
    "container.mkv": ("-c:v", "ffv1", "-vf", "setparams=colorspace=ictcp"),
    "container.mp4": (
        *("-c:v", "mpeg4", "-vf"),
        "setparams=color_primaries=bt709:color_trc=log100:colorspace=bt709",
    ),
    "mpeg2.ts": (*MPEG2, "-vf", "setparams=colorspace=ycgco"),
    "hevc.ts": (*HEVC, "-vf", "setparams=color_trc=log100"),
    "hevc.hevc": (*HEVC, "-vf", "setparams=colorspace=ictcp"),
    "hevc.mkv": (*HEVC_LISTS, "-vf", "setparams=colorspace=ictcp"),
    "prores.nut": ("-c:v", "prores_ks", "-vf", "setparams=color_trc=log100"),
}

USUAL = {"ycgco": "unknown", "bt2020c": "unknown", "ictcp": "unknown", "log100": "bt709"}


def frames_of(path):
    with open_source(path) as source:
        return list(source)


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_colours_are_read_as_unspecified_ones_with_a_word_or_refused(
    ffmpeg, reader, name, caplog
):
    path = ffmpeg(*UNUSUAL[name], name)
    if reader == "opencv":
        with pytest.raises(MissingDependencyError, match=r"unusual colours|interlaced"):
            open_source(path)
        return
    frames = frames_of(path)
    assert caplog.text.count("declares colours that FFmpeg cannot convert") == 1
    usual = (re.sub("|".join(USUAL), lambda m: USUAL[m[0]], word) for word in UNUSUAL[name])
    plain = frames_of(ffmpeg(*usual, f"plain-{name}"))
    assert len(frames) == 25
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, plain, strict=True))


@pytest.mark.parametrize("codes", [b"\x0d\x02\x02", b"\xff\x02\x02", b"\x02\xff\xff"])
def test_codes_that_stand_for_nothing_are_no_crash(ffmpeg, reader, codes, caplog):
    path = ffmpeg(*MPEG2, "-vf", "setparams=color_primaries=bt709", "x.mpg")
    content = path.read_bytes()
    display = b"\0\0\1\xb5\x2b"  # a sequence display extension with colours
    place = content.find(display) + len(display)
    assert place >= len(display)
    while place >= len(display):
        content = content[:place] + codes + content[place + 3 :]
        place = content.find(display, place) + len(display)
    path.write_bytes(content)
    if reader == "opencv":
        with pytest.raises(MissingDependencyError, match="unusual colours"):
            open_source(path)
        return
    assert len(frames_of(path)) == 25
    assert "declares colours that FFmpeg cannot convert" in caplog.text


def test_usual_colours_need_no_word(ffmpeg, monkeypatch, caplog):
    pytest.importorskip("av")
    colours = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
    for name in ("x.mp4", "x.ts", "x.mkv"):
        path = ffmpeg(*H264, *colours, name)
        first = frames_of(path)
        monkeypatch.setattr(opening, "_has_pyav", lambda: False)
        second = frames_of(path)
        monkeypatch.undo()
        assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    assert caplog.text == ""

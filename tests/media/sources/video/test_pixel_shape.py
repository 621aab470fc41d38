"""Tests the pixel aspect ratio of videos in which it changes midway."""

from __future__ import annotations

import pytest

from edgekit.media import open_source

FRAMES = 25


def joined(ffmpeg, name, *parts):
    """A video of several parts with different filters, one after the other."""
    content = b""
    for filters in parts:
        codec = (
            "-c:v",
            "mpeg2video" if name.endswith(".ts") else "libx264",
            "-bf",
            "2",
            "-g",
            "100",
        )
        part = ffmpeg("-vf", filters, *codec, f"part.{name}")
        content += part.read_bytes()
    path = part.with_name(name)
    path.write_bytes(content)
    return path


def aspects(path):
    with open_source(path) as source:
        found = [frame.sample_aspect for frame in source]
    assert len(found) == 2 * FRAMES
    assert found[0] == source.sample_aspect
    return found


@pytest.mark.parametrize("name", ["x.ts", "x.h264"])
def test_a_broadcast_that_changes_to_wide_pictures_is_followed(ffmpeg, pyav, name):
    found = aspects(joined(ffmpeg, name, "setdar=4/3", "setdar=16/9"))
    assert found == pytest.approx([1.0] * FRAMES + [4 / 3] * FRAMES)


def test_a_shape_that_the_container_declares_holds(ffmpeg, pyav):
    wide = joined(ffmpeg, "x.ts", "setsar=1/1", "setsar=2/1")
    path = ffmpeg("-i", wide, "-c", "copy", "-aspect", "3:2", "x.mkv", picture="")
    assert aspects(path) == pytest.approx([1.125] * 2 * FRAMES)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("scale=120:160,setsar=1/1", (120 / 160) / (160 / 120)),
        ("scale=320:240,setsar=1/1", 1.0),
        ("scale=322:240,setsar=1/1", 1.0),  # rounded, as when a browser sends less
        ("scale=80:120,setsar=2/1", 1.0),
    ],
)
def test_pictures_of_another_size_keep_their_shape(ffmpeg, pyav, second, expected):
    found = aspects(joined(ffmpeg, "x.h264", "scale=160:120,setsar=1/1", second))
    assert found == pytest.approx([1.0] * FRAMES + [expected] * FRAMES)

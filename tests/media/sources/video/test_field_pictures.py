"""Tests H.264 whose fields are pictures of their own (PAFF), which no free encoder writes."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from edgekit.errors import MissingDependencyError
from edgekit.media import open_source

WIDTH, HEIGHT, FRAMES = 64, 64, 10
IDR, OTHER, SEQUENCE, PICTURE = 0x65, 0x61, 0x67, 0x68


class Writer:
    """Writes the bits of one NAL unit."""

    def __init__(self):
        self.bits = []

    def fixed(self, *pairs):
        for value, count in pairs:
            self.bits += [value >> place & 1 for place in reversed(range(count))]
        return self

    def golomb(self, *values):
        for value in values:
            self.fixed((value + 1, 2 * (value + 1).bit_length() - 1))
        return self

    def aligned(self, data=b""):
        self.bits += [0] * (-len(self.bits) % 8)
        self.bits += np.unpackbits(np.frombuffer(data, np.uint8)).tolist()
        return self

    def unit(self, kind):
        content = np.packbits(self.fixed((1, 1)).aligned().bits).tobytes()
        escaped = bytearray()
        for byte in content:
            if byte <= 3 and escaped[-2:] == b"\0\0":
                escaped.append(3)
            escaped.append(byte)
        return b"\0\0\0\1" + bytes([kind]) + escaped


def field_slice(field, number, *, bottom):
    """An intra slice of uncompressed macroblocks."""
    slice_ = Writer().golomb(0, 7, 0).fixed((0, 4), (1, 1), (bottom, 1))
    slice_ = slice_.fixed((0, 1)) if bottom else slice_.golomb(number % 2).fixed((0, 2))
    slice_.golomb(0, 1)
    for row in range(0, field.shape[0], 16):
        for column in range(0, WIDTH, 16):
            light = field[row : row + 16, column : column + 16].tobytes()
            slice_.golomb(25).aligned(light + b"\x80" * 128)
    return slice_.unit(OTHER if bottom else IDR)


@pytest.fixture
def field_pictures(tmp_path):
    """A bar that moves from field to field."""
    head = Writer().fixed((77, 8), (0, 8), (30, 8)).golomb(0, 0, 2, 1).fixed((0, 1))
    head.golomb(WIDTH // 16 - 1, HEIGHT // 32 - 1).fixed((0, 1), (0, 1), (1, 1), (0, 2))
    picture = Writer().golomb(0, 0).fixed((0, 2)).golomb(0, 0, 0).fixed((0, 3)).golomb(0, 0, 0)
    content = head.unit(SEQUENCE) + picture.fixed((1, 1), (0, 2)).unit(PICTURE)
    for number in range(FRAMES):
        for bottom in (0, 1):
            field = np.full((HEIGHT // 2, WIDTH), 40, np.uint8)
            place = 4 * number + 2 * bottom
            field[:, place : place + 12] = 200
            content += field_slice(field, number, bottom=bottom)
    path = tmp_path / "x.h264"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["x.h264", "y.ts", "y.mkv", "y.mp4", "y.avi"])
def test_field_pictures_are_deinterlaced_as_ffmpeg_does_or_refused(
    ffmpeg, reader, field_pictures, name
):
    path = field_pictures
    if name != path.name:
        path = ffmpeg("-r", "50", "-i", path, "-c", "copy", name, picture="")
    if reader == "opencv":
        with pytest.raises(MissingDependencyError, match="interlaced"):
            open_source(path)
        return
    with open_source(path) as source:
        frames = list(source)
    assert [frame.time for frame in frames] == pytest.approx(np.arange(FRAMES) / 25, abs=2e-3)
    # Every frame once, whatever its time.
    filters = ["-vf", "yadif=mode=send_frame:deint=interlaced,setpts=N/(25*TB)", "-r", "25"]
    command = ["ffmpeg", "-v", "error", "-i", path, *filters, "-pix_fmt", "bgr24"]
    command += ["-f", "rawvideo", "-"]
    shown = subprocess.run(command, check=True, capture_output=True).stdout
    expected = np.frombuffer(shown, np.uint8).reshape(FRAMES, HEIGHT, WIDTH, 3)
    assert np.abs(np.stack([f.image for f in frames]).astype(int) - expected).mean() < 1

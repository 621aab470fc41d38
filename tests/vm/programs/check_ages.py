"""Compares the age of each frame in a Pipeline with the clock that the camera has drawn into it.

``check_ages.py DEVICE`` prints, for each frame, the error of the age in milliseconds: the age as
EdgeKit gives it, less the time from the camera's sending to the start of the inference.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edgekit.media.sources.opening import open_source
from edgekit.media.sources.source import SourceOptions

CLOCK_BITS = 24
FRAMES = 10


def shown(image):
    """Milliseconds that the camera has drawn as bars."""
    height, width = image.shape[:2]
    value = 0
    for bit in range(CLOCK_BITS):
        left, right = (width * place // CLOCK_BITS for place in (bit, bit + 1))
        inner = image[height // 16 : height // 6, left + 3 : right - 3]
        value = value << 1 | int(inner.mean() > 125)
    return value


def main():
    """Reads the frames and prints the errors."""
    ages = []
    options = SourceOptions(camera_format="MJPG", camera_size=(320, 240))
    with open_source(sys.argv[1], options) as source:
        for _ in range(FRAMES):
            frame = source.read()
            now = time.monotonic()
            ages.append((shown(frame.image), now - frame.taken, now))
    sent = dict(map(str.split, Path("/tmp/uvc.0.sent").read_text().splitlines()))
    errors = [1e3 * (age - (now - float(sent[str(value)]))) for value, age, now in ages]
    print(" ".join(f"{error:.1f}" for error in errors))


if __name__ == "__main__":
    main()

"""Compares the times of frames with the clock that the camera has drawn into them.

``check_times.py DEVICE`` prints a JSON object with values of all frames in milliseconds. ``taken``
is how far the time of capture, at which the age begins, lies outside of the time in which the
camera sent the picture. ``time`` is the error of the time since the first frame. ``sending`` is the
duration of that sending.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edgekit.media.sources.opening import open_source
from edgekit.media.sources.source import SourceOptions

CLOCK_BITS = 24
FRAMES = 20


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
    """Reads the frames and prints the errors of their times."""
    frames = []
    options = SourceOptions(camera_format="MJPG", camera_size=(320, 240))
    with open_source(sys.argv[1], options) as source:
        for _ in range(FRAMES):
            frame = source.read()
            frames.append((shown(frame.image), frame.time, frame.taken))
    lines = map(str.split, Path("/tmp/uvc.0.sent").read_text().splitlines())
    sent = {int(value): (float(begin), float(end)) for value, begin, end in lines}
    errors = {"taken": [], "time": [], "sending": []}
    for value, since, taken in frames:
        begin, end = sent[value]
        errors["taken"].append(1e3 * max(0.0, begin - taken, taken - end))
        errors["time"].append(1e3 * abs(since - (taken - frames[0][2])))
        errors["sending"].append(1e3 * (end - begin))
    print(json.dumps(errors))


if __name__ == "__main__":
    main()

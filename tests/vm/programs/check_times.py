"""Compares the times of frames with the clock that the camera has drawn into them.

``check_times.py DEVICE`` prints a JSON object with the errors of all frames in milliseconds:
``time``, the seconds since the first frame, and ``age``, the time since the capture. EdgeKit's
values are compared with those of the camera, which has noted when it sent each picture.
"""

from __future__ import annotations

import json
import sys
import time
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
            frames.append((shown(frame.image), frame.time, frame.taken, time.monotonic()))
    noted = dict(map(str.split, Path("/tmp/uvc.0.sent").read_text().splitlines()))
    sent = [float(noted[str(value)]) for value, *_ in frames]
    times = [
        1e3 * abs(given - (truth - sent[0]))
        for (_, given, *_), truth in zip(frames, sent, strict=True)
    ]
    ages = [
        1e3 * abs((now - taken) - (now - truth))
        for (*_, taken, now), truth in zip(frames, sent, strict=True)
    ]
    print(json.dumps({"time": times, "age": ages}))


if __name__ == "__main__":
    main()

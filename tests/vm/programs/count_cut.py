"""Lets the USB camera cut its JPEGs for three seconds, and counts those that a reader leaves out.

``count_cut.py DEVICE`` prints a JSON object: ``gap`` is the number of frames that are missing
between two frames, ``reason`` what the second one says about them, and ``sent`` the number of
pictures that the camera sent between them.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from check_times import shown

from edgekit.media.sources.opening import open_source
from edgekit.media.sources.source import SourceOptions

CONTROL, SENT = Path("/tmp/uvc.0.control"), Path("/tmp/uvc.0.sent")
LEAST = 5


def main():
    """Reads until a gap is larger than what a slow guest could lose."""
    options = SourceOptions(camera_format="MJPG", camera_size=(320, 240))
    with open_source(sys.argv[1], options) as source:
        frame, gap = source.read(), 0
        after = shown(frame.image)
        CONTROL.write_text("cut")
        threading.Timer(3, CONTROL.write_text, ["whole"]).start()
        while gap < LEAST:
            index, before = frame.index, after
            frame = source.read()
            after, gap = shown(frame.image), frame.index - index - 1
    sent = [int(line.split()[0]) for line in SENT.read_text().splitlines()]
    between = sum(before < value < after for value in sent)
    print(json.dumps({"gap": gap, "reason": frame.gap, "sent": between}))


if __name__ == "__main__":
    main()

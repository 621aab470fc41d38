"""Reads a picture of /dev/video0 in each format that EdgeKit reads; prints sizes and means."""

from __future__ import annotations

import json

from edgekit.media.sources.cameras._pixels import FORMATS
from edgekit.media.sources.cameras.v4l2 import cameras
from edgekit.media.sources.opening import open_source
from edgekit.media.sources.source import SourceOptions

SIZE = (640, 360)


def main():
    """Prints one JSON object: shape and mean of each channel, by format."""
    found = {}
    for form in cameras()[0].formats:
        if form.name in FORMATS:
            options = SourceOptions(camera_format=form.name, camera_size=SIZE)
            with open_source(0, options) as source:
                image = source.read().image
            mean = [round(float(level), 1) for level in image.mean((0, 1))]
            found[form.name] = [list(image.shape), mean]
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""The dataset layout ``csv``: videos beside one table of boxes."""

import csv
from pathlib import Path

import numpy as np

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.errors import AnnotationError


def read_csv(root: Path, *, split: int, part: str) -> Truth:
    """Reads ``boxes.csv``: video, frames, width, height, class, first frame, x1, y1, x2, y2.

    Each line is a tube that lasts to the end of its video with one box. The layout has one split,
    and trains and tests on the same videos.
    """
    videos: dict[str, VideoTruth] = {}
    classes: list[str] = []
    try:
        for line in csv.reader((root / "boxes.csv").read_text().splitlines()):
            name, label = line[0], line[4]
            frames, width, height, start = (int(line[column]) for column in (1, 2, 3, 5))
            if label not in classes:
                classes.append(label)
            video = VideoTruth(name, frames, width, height, path=root / name)
            boxes = np.tile([float(side) for side in line[6:10]], (frames - start, 1))
            tube = TruthTube(classes.index(label), start, boxes)
            videos.setdefault(name, video).tubes.append(tube)
    except (OSError, ValueError, IndexError) as error:
        raise AnnotationError(f"Cannot read {root / 'boxes.csv'}: {error}.") from error
    return Truth(classes, list(videos.values()))

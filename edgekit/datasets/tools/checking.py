"""Finds everything that is wrong with a dataset, and goes on after each fault."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit._progress import SILENT, Progress
from edgekit.classes import alike
from edgekit.datasets._faults import collected_faults
from edgekit.datasets._locations import visible_files
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.datasets.published import read_truth
from edgekit.datasets.tools.loading import DatasetChoice, joined, layout_of, part_names
from edgekit.datasets.tools.overlaps import overlapping_tubes
from edgekit.datasets.video_facts import decoded, facts_of, other_frames, other_size
from edgekit.errors import AnnotationError, MediaError

__all__ = ["Fault", "Findings", "check_dataset"]

_TOLERANCE = 1.0
"""Number of pixels by which a box may leave its picture, as rounded ones do."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        video: Name of the video; "" for a fault of the annotations as a whole.
        what: Description in a sentence.
        hint: Advice of the reader that found it; "" for none.
    """

    video: str
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """Result of a check.

    Attributes:
        layout: Name of the layout.
        videos: Number of videos that could be read from the annotations.
        faults: Everything that is wrong, in the order of the videos.
    """

    layout: str
    videos: int
    faults: list[Fault]

    def to_dict(self) -> dict[str, object]:
        """Returns all values for JSON."""
        faults = [asdict(fault) for fault in self.faults]
        return {"layout": self.layout, "videos": self.videos, "faults": faults}


def check_dataset(
    choice: DatasetChoice, *, decode: bool = False, progress: Progress = SILENT
) -> Findings:
    """Returns everything that is wrong with a dataset.

    Args:
        choice: Dataset to check.
        decode: Whether to decode every frame. Otherwise, the check counts the pictures of a folder
            and decodes one, and decodes a video only if it declares another number of frames than
            its annotation.
        progress: Where the progress is shown.

    Raises:
        AnnotationError: The layout of the folder is not recognized.
    """
    layout = layout_of(choice)
    faults: list[Fault] = []
    parts: dict[str, Truth] = {}
    with collected_faults() as found:
        for name in part_names(choice):
            try:
                parts[name] = read_truth(layout, choice.root, split=choice.split, part=name)
            except AnnotationError as error:
                found.append(error)
    parts = joined(parts)
    hints = {error.message: error.hint or "" for error in found}
    faults += [Fault("", message, hint) for message, hint in hints.items()]
    faults += _of_classes([truth.classes for truth in parts.values()])
    faults += _of_parts(parts)
    videos = {video.name: video for truth in parts.values() for video in truth.videos}
    files = len(videos) < 2 or any(map(_is_there, videos.values()))
    if not files:
        first = next(iter(videos.values())).path
        faults.append(Fault("", f"None of the {len(videos)} videos is there; expected {first}."))
    for video in progress.count("Checking videos", videos.values(), len(videos)):
        lines = [*(_of_file(video, decode=decode) if files else ()), *_of_tubes(video)]
        faults += [Fault(video.name, line) for line in lines]
    if not faults and not any(video.tubes for video in videos.values()):
        faults.append(Fault("", f"No action is annotated. Number of videos: {len(videos)}."))
    return Findings(layout, len(videos), faults)


def _of_classes(lists: Sequence[Sequence[str]]) -> Iterator[Fault]:
    for first, name in alike(list(dict.fromkeys(name for names in lists for name in names))):
        yield Fault("", f"The classes '{first}' and '{name}' differ in case or spaces only.")


def _of_parts(parts: dict[str, Truth]) -> Iterator[Fault]:
    names = [dict.fromkeys(video.name for video in truth.videos) for truth in parts.values()]
    if len(names) == 2:
        for name in names[0]:
            if name in names[1]:
                yield Fault(name, "The video is in the training part and in the test part.")


def _is_there(video: VideoTruth) -> bool:
    return video.path is not None and video.path.exists()


def _of_file(video: VideoTruth, *, decode: bool) -> Iterator[str]:
    if video.path is None or not video.path.exists():
        yield f"The video is missing: {video.path or 'the annotations name no file'}."
        return
    try:
        frames, size = decoded(video.path) if decode else _declared(video.path)
        if frames != video.frames and not decode and video.path.is_file():
            # Some containers declare another number than they hold.
            frames, size = decoded(video.path)
    except MediaError as error:
        yield error.message
        return
    if frames is not None and (what := other_frames(video, frames)):
        yield what
    if what := other_size(video, size):
        yield what
    if missing := _missing_pictures(video.path):
        shown = ", ".join(str(number) for number in missing[:_SHOWN])
        more = " and others" if len(missing) > _SHOWN else ""
        verb = "picture is" if len(missing) == 1 else "pictures are"
        yield f"{len(missing)} {verb} missing in {video.path}: {shown}{more}."


def _declared(path: Path) -> tuple[int | None, tuple[int, int]]:
    """Returns the number of frames, and height and width."""
    facts = facts_of(path)
    return facts.frames, (facts.height, facts.width)


def _missing_pictures(path: Path) -> list[int]:
    """Returns the numbers that are missing among the pictures of a folder."""
    if not path.is_dir():
        return []
    names = (re.search(r"(\d+)\.\w+$", file.name) for file in visible_files(path, "*"))
    numbers = {int(match[1]) for match in names if match and len(match[1]) < 10}
    if not numbers or max(numbers) - min(numbers) > 100 * len(numbers):
        return []
    return sorted(set(range(min(min(numbers), 1), max(numbers) + 1)) - numbers - {0})


def _of_tubes(video: VideoTruth) -> Iterator[str]:
    limit = np.array([video.width, video.height, video.width, video.height], np.float64)
    for number, tube in enumerate(video.tubes):
        boxes = tube.boxes
        empty = np.asarray((boxes[:, 2:] <= boxes[:, :2]).any(1))
        if empty.any():
            yield f"Tube {number}: {_boxes(empty, tube.start)} without an area."
        outside = np.maximum(-boxes, boxes - limit).max(1)
        far = np.asarray(outside > _TOLERANCE)
        if far.any():
            yield (
                f"Tube {number}: {_boxes(far, tube.start)} beyond the {video.width}x{video.height} "
                f"picture, by up to {outside.max():.0f} pixels."
            )
    for one, other, overlap in overlapping_tubes(video.tubes):
        yield (
            f"Tubes {one} and {other} have one class and one place (mean overlap {overlap:.2f}): "
            "an action is annotated twice."
        )


def _boxes(wrong: np.ndarray[Any, np.dtype[np.bool_]], start: int) -> str:
    count, first = int(wrong.sum()), start + int(wrong.argmax())
    return f"1 box, in frame {first}," if count == 1 else f"{count} boxes, from frame {first} on,"

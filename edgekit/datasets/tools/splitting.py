"""Divides a dataset into a part to train with and a part to test with."""

from __future__ import annotations

import random
import re
from collections import defaultdict

from edgekit._parameters import parameter
from edgekit._printable import plural
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.errors import AnnotationError, UsageError

__all__ = ["group_pattern", "recording_of", "split_truth"]

_CLIPS = (
    re.compile(r"^(.*_g\d+)_c\d+$"),  # UCF101: clips of recording g01
    # HMDB51: clips of one video, with visible part, camera, people, view and quality.
    re.compile(r"^(.*)_[a-z]_[cn]m_np\d_[a-z]{2}_(?:goo|med|bad)_\d+$"),
)


def recording_of(name: str, pattern: re.Pattern[str] | None = None) -> str:
    """Returns the recording that a video is a clip of; the video itself if its name does not tell.

    Args:
        name: Name of the video, with its folders.
        pattern: Regular expression whose first group is the recording; by default those of the
            names of UCF101 and HMDB51.
    """
    stem = name if pattern else re.sub(r"\.\w{2,4}$", "", name)
    for each in (pattern,) if pattern else _CLIPS:
        if match := each.search(stem):
            recording = match[1] if match.groups() else match[0]
            return name if recording is None else recording
    return name


def group_pattern(text: str | None) -> re.Pattern[str] | None:
    """Returns the regular expression that finds recordings in names; None stays None.

    Raises:
        UsageError: The text is no regular expression.
    """
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise UsageError(
            f"Expected {parameter('group')} to be a regular expression; found '{text}': {error}."
        ) from error


def _check_pattern(pattern: re.Pattern[str], names: list[str]) -> None:
    """Refuses a pattern that matches no name: each video would be a recording by itself."""
    if names and not any(map(pattern.search, names)):
        raise UsageError(
            f"Expected {parameter('group')} to match names of videos; '{pattern.pattern}' "
            f"matches none of {len(names)}, such as '{names[0]}'.",
            hint="A name has its folders and its ending.",
        )


def split_truth(
    truth: Truth, share: float, *, seed: int = 0, pattern: re.Pattern[str] | None = None
) -> tuple[Truth, Truth]:
    """Returns the training part and the test part of a dataset.

    All clips of one recording come into one part. Each class is divided by itself, so that both
    parts have all classes where there are recordings enough.

    Args:
        truth: Dataset.
        share: Share of the videos to train with, more than 0 and less than 1.
        seed: Seed of the random choice.
        pattern: Regular expression that finds the recording in a name, as in ``recording_of``.

    Raises:
        UsageError: The share is out of range, or the pattern matches no name.
        AnnotationError: There are fewer than two recordings.
    """
    if not 0 < share < 1:
        raise UsageError(
            f"Expected {parameter('train')} to be more than 0 and less than 1; found {share}."
        )
    if pattern is not None:
        _check_pattern(pattern, [video.name for video in truth.videos])
    groups: dict[str, list[VideoTruth]] = defaultdict(list)
    for video in truth.videos:
        groups[recording_of(video.name, pattern)].append(video)
    if len(groups) < 2:
        raise AnnotationError(
            f"Expected at least two recordings to divide; found {len(groups)} in "
            f"{len(truth.videos)} {plural('video', len(truth.videos))}.",
            hint=f"Add videos, or tell recordings by other names: {parameter('group', 'REGEX')}",
        )
    classes: dict[int, list[str]] = defaultdict(list)
    for name, videos in groups.items():
        classes[_class_of(videos)].append(name)
    chosen: set[str] = set()
    for label, names in sorted(classes.items()):
        names.sort()
        random.Random(f"{seed} {label}").shuffle(names)
        chosen |= _first_share(names, groups, share)
    if len(chosen) == len(groups):
        chosen.remove(max(chosen, key=lambda name: (-len(groups[name]), name)))
    kept = {video.name for name in chosen for video in groups[name]}
    parts = [
        [video for video in truth.videos if (video.name in kept) is own] for own in (True, False)
    ]
    return Truth(truth.classes, parts[0]), Truth(truth.classes, parts[1])


def _first_share(names: list[str], groups: dict[str, list[VideoTruth]], share: float) -> set[str]:
    """Returns the first recordings of a class whose videos are nearest to a share of all."""
    wanted = share * sum(len(groups[name]) for name in names)
    chosen: set[str] = set()
    count = 0
    for name in names:
        size = len(groups[name])
        is_last_of_several = len(chosen) == len(names) - 1 and len(names) > 1
        if chosen and (is_last_of_several or abs(count + size - wanted) >= abs(count - wanted)):
            continue
        chosen.add(name)
        count += size
    return chosen


def _class_of(videos: list[VideoTruth]) -> int:
    """Returns the commonest class of some videos; -1 if nothing in them is annotated."""
    labels = [tube.label for video in videos for tube in video.tubes]
    labels += [video.label for video in videos if video.label is not None]
    return max(sorted(set(labels)), key=labels.count, default=-1)

"""Reads lists of keyframes in the layout of AVA.

    ROOT/ava_train_v2.2.csv, ROOT/ava_val_v2.2.csv   or in ROOT/annotations
    ROOT/ava_action_list_v2.2.pbtxt                  names of the actions; optional
    ROOT/videos/video_id.mp4                         or a folder of pictures, at 30 per second

A line is ``video_id, second, x1, y1, x2, y2, action, person``, with sides from 0 to 1. A person's
action in two keyframes at most one second apart is one tube, with interpolated boxes. Seconds count
from the beginning of the video or, where they are past its end, from 900 as in AVA's cut videos.
A keyframe that is past the end all the same is a fault. Lines without a person are read if no
other actor does the same at that second.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import VideoFinder, visible_files
from edgekit.datasets._parts import part_in
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.readers._origin import Origin, only_file
from edgekit.datasets.readers._tracks import TrackError, TrackFiller
from edgekit.datasets.video_facts import decoded, facts_of
from edgekit.errors import MediaError

__all__ = ["read_ava"]

_MOST_BYTES, _MOST_LINES, _MOST_NAMES = 1 << 26, 1_000_000, 1 << 20
_MOST_BOXES = 24_000_000
"""Largest number of boxes; AVA itself has 22 million."""

_LARGEST_ACTION, _LONGEST_LINE = 10_000, 10_000
_GAP = 1.001
"""Longest time between two keyframes of one tube, in seconds."""

_START, _LONGEST_CUT, _PICTURES_FPS = 900.0, 960.0, 30.0
"""Second at which AVA's cut videos begin, their longest duration, and the rate of its pictures."""

_SHOWN = 5
_HINT = "Use the whole video, or remove these lines. edgekit dataset check lists all such videos."

_NAME = re.compile(r"\bname:\s*[\"']([^\"']+)[\"']")
_NUMBER = re.compile(r"\b(?:label_)?id:\s*(\d{1,9})\b")

_Key = tuple[float, list[float]]


def read_ava(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth in the layout of AVA; see ``DatasetReader``."""
    del split
    origin = only_file(root, ["*.csv", "annotations/*.csv"], "ava", part)
    videos: dict[str, dict[tuple[str, int], list[_Key]]] = {}
    content = origin.read(_MOST_BYTES)
    if content.count(b"\n") > _MOST_LINES:
        raise origin.wrong(f"it has more than {_MOST_LINES} lines")
    filler = TrackFiller(len(content), most=_MOST_BOXES, tubes=_MOST_LINES)
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8", "replace", newline="")
    try:
        for number, row in enumerate(csv.reader(_short_lines(text)), 1):
            with leaving_out_faults():
                _add(videos, origin, number, row)
    except csv.Error as error:
        raise origin.wrong(f"it is no list of values between commas ({error})") from error
    names = _action_names(root)
    actions = sorted(names.keys() | {action for found in videos.values() for _, action in found})
    classes = [names.get(action, f"action{action}") for action in actions]
    finder, truths = VideoFinder(root), []
    index = {action: place for place, action in enumerate(actions)}
    for name, tracks in videos.items():
        with leaving_out_faults():
            truths.append(_video(origin, name, tracks, index, finder, filler))
    return Truth(classes, truths, part_in(origin.path.stem))


def _short_lines(text: Iterable[str]) -> Iterator[str]:
    """Yields lines, each of which the list of its values makes many times larger."""
    for number, line in enumerate(text):
        if len(line) > _LONGEST_LINE or number > _MOST_LINES:
            raise csv.Error(
                f"more than {_MOST_LINES} lines, or one of over {_LONGEST_LINE} characters"
            )
        yield line


def _add(
    videos: dict[str, dict[tuple[str, int], list[_Key]]],
    origin: Origin,
    number: int,
    row: list[str],
) -> None:
    """Adds a line to the keyframes of its video."""
    if not row or (number == 1 and row[0] == "video_id"):
        return
    tracks = videos.setdefault(row[0], defaultdict(list))
    if len(row) > 1 and not any(row[2:]):  # a keyframe without actors
        return
    try:
        second, *box = (float(value) for value in row[1:6])
        action = int(row[6])
        inside = all(-0.01 <= side <= 1.01 for side in box)
        if not (0 <= second < 1e6 and inside and 0 <= action <= _LARGEST_ACTION):
            raise ValueError(row)
        # Without a person, an action can be followed by its class only.
        tracks[row[7] if len(row) > 7 else "", action].append((second, box))
    except (ValueError, IndexError) as error:
        raise origin.wrong(
            "expected video_id, second, four sides from 0 to 1, action and person; found "
            f"{','.join(row)!r:.120}",
            f"line {number}",
        ) from error


def _action_names(root: Path) -> dict[int, str]:
    """Returns the names of the actions by their numbers; none without a list."""
    for pattern in ("*action_list*.pbtxt", "annotations/*action_list*.pbtxt"):
        for path in visible_files(root, pattern):
            text = Origin(path, "ava").read(_MOST_NAMES).decode("utf-8", "replace")
            items = ((_NAME.search(item), _NUMBER.search(item)) for item in re.split("[{}]", text))
            return {int(number[1]): name[1] for name, number in items if name and number}
    return {}


def _video(
    origin: Origin,
    name: str,
    tracks: dict[tuple[str, int], list[_Key]],
    index: dict[int, int],
    finder: VideoFinder,
    filler: TrackFiller,
) -> VideoTruth:
    where = f"video '{name}'"
    try:
        path = finder.path_of(name)
        facts = facts_of(path)
        count = facts.frames or decoded(path)[0]
    except ValueError as error:
        raise origin.wrong(str(error), where) from error
    except MediaError as error:
        raise origin.unseen(name, path, "size and rate", error) from error
    fps = _PICTURES_FPS if path.is_dir() else facts.fps
    seconds = sorted(second for keys in tracks.values() for second, _ in keys)
    start, end = _span(seconds, count / fps)
    if late := [second for second in seconds if second > end]:
        with leaving_out_faults():
            raise origin.wrong(_past(end, late), where, hint=_HINT)
    width, height = facts.width, facts.height
    tubes: list[TruthTube] = []
    for (person, action), keys in sorted(tracks.items()):
        several = _several(keys)
        if person and several:
            origin.leave_out(
                f"boxes of {where}, action {action}, person {person}: there are several at second "
                f"{_some(several)}, and the last one is taken",
                "Give each person a number of its own.",
            )
        elif several:
            raise origin.wrong(
                f"action {action} has several boxes at second {_some(several)}, and no person "
                "tells them apart",
                where,
                hint="Add the number of the person to each line, as its eighth value.",
            )
        spans: list[list[_Key]] = []
        for second, box in sorted((key for key in keys if key[0] <= end), key=itemgetter(0)):
            if not spans or second - spans[-1][-1][0] > _GAP:
                spans.append([])
            spans[-1].append((second, box))
        for span in spans:
            frames = {
                min(round((second - start) * fps), count - 1): _pixels(box, width, height)
                for second, box in span
            }
            try:
                tubes += filler.tubes(index[action], frames.items())
            except TrackError as error:
                raise origin.wrong(str(error), where) from error
    return origin.video(name, count, (width, height), tubes, lambda _: path)


def _several(keys: list[_Key]) -> list[float]:
    """Returns the seconds with different boxes."""
    known: dict[float, list[float]] = {}
    return [second for second, box in keys if known.setdefault(second, box) != box]


def _span(seconds: list[float], duration: float) -> tuple[float, float]:
    """Returns the second at which a video begins, and that at which it ends."""
    is_cut = bool(seconds) and seconds[0] >= _START and seconds[-1] > duration <= _LONGEST_CUT
    start = _START if is_cut else 0.0
    return start, start + duration


def _past(end: float, late: list[float]) -> str:
    """Describes the boxes of keyframes that are later than the end of their video."""
    return (
        f"it ends at second {end:.2f}, and {len(late)} of its boxes are later, at second "
        f"{_some(late)}"
    )


def _some(seconds: list[float]) -> str:
    """Names the first of some seconds, and counts the others."""
    found = [f"{second:g}" for second in dict.fromkeys(seconds)]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{', '.join(found[:_SHOWN])}{more}"


def _pixels(box: list[float], width: int, height: int) -> list[float]:
    return [side * (height if place % 2 else width) for place, side in enumerate(box)]

"""Reads "CVAT for video 1.1", the export of CVAT for tasks on videos.

    ROOT/annotations.xml, or one .xml or folder with annotations.xml for each video
    ROOT/clip.mp4        the video that the file names, beside it, in ROOT or in ROOT/videos

A track has one label and boxes by frame, from 0. ``outside`` ends it until its next box; between
two boxes, missing ones are interpolated. A turned box becomes the upright box around it. A warning
counts tracks of other shapes, which are left out. The classes of all files are joined by name, in
the order in which they come; the points of a skeleton are none.

If a task has a step, boxes between its frames are interpolated. A warning says which frames at the
beginning of a video are not in its task.

The subset of a task names its part: Train, Test or Validation, which may serve as the test. If no
subset does, all tasks are for both parts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import VideoFinder, place_below, visible_files
from edgekit.datasets._parts import missing_part, of_part, part_in
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.readers._origin import Origin
from edgekit.datasets.readers._tracks import TrackError, TrackFiller, upright
from edgekit.datasets.readers._xml import UnreadableXml, parse
from edgekit.datasets.video_facts import facts_of
from edgekit.errors import AnnotationError, MediaError

__all__ = ["read_cvat"]

_MOST_BYTES = 1 << 26
_LAYOUT = "CVAT for video 1.1"
_TRACK = ("annotations", "track")
_BOX = (*_TRACK, "box")
_SUBSETS = "In CVAT, give each task the subset Train or Test, and export it again."


@dataclass(slots=True)
class _Track:
    label: str
    boxes: list[tuple[int, Sequence[float] | None]] = field(default_factory=list)
    shape: str = ""


class _CvatFile:
    """Content of an XML file: its root element, facts of the task, class names and tracks."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.labels: list[str] = []
        self.tracks: list[_Track] = []
        self.pictures = 0
        self.root = ""

    def started(self, path: tuple[str, ...], values: Mapping[str, str]) -> None:
        """Takes the beginning of an element."""
        self.root = path[0]
        if path == _BOX:
            box = None if values.get("outside", "0") in ("1", "true") else _box(values)
            self.tracks[-1].boxes.append((int(values["frame"]), box))
        elif path == _TRACK:
            self.tracks.append(_Track(values["label"]))
        elif path[:2] == _TRACK and len(path) == 3:
            self.tracks[-1].shape = path[-1]
        elif path == ("annotations", "image"):
            self.pictures += 1

    def ended(self, path: tuple[str, ...], text: str) -> None:
        """Takes the text of an element, as its end is read."""
        if path[:2] != ("annotations", "meta"):
            return
        if path[-3:] == ("labels", "label", "name"):
            self.labels.append(text)
        elif path[-3:] == ("labels", "label", "parent"):  # it comes after the name
            self.labels.pop()
        elif len(path) <= 5 and path[-1] in (
            "size",
            "mode",
            "source",
            "start_frame",
            "stop_frame",
            "frame_filter",
            "subset",
            "width",
            "height",
        ):
            self.facts.setdefault(path[-1], text)
        elif path[-1] == "tasks":
            self.facts["tasks"] = text


def read_cvat(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth of all exports of CVAT in a folder; see ``DatasetReader``."""
    del split
    paths = visible_files(root, "*.xml", "*/annotations.xml")
    if not paths:
        raise AnnotationError(
            f"Found no annotations with the layout {_LAYOUT} in {root}: no .xml.",
            hint="In CVAT, export the task as 'CVAT for video 1.1' and unpack it there.",
        )
    classes: dict[str, int] = {}
    finder, names = VideoFinder(root), set[tuple[str, str]]()
    videos: dict[Path, VideoTruth] = {}
    subsets: dict[Path, str] = {}
    for path in paths:
        with leaving_out_faults():
            video, subset = _video(Origin(path, _LAYOUT), classes, finder, root)
            if (key := (video.name, part_in(subset))) in names:
                raise Origin(path, _LAYOUT).wrong(
                    f"another file has the video '{video.name}' too",
                    hint="In CVAT, export the task instead of each of its jobs. Put other videos "
                    "of one name into folders of their own, each beside its export.",
                )
            names.add(key)
            videos[path], subsets[path] = video, subset
    if not any(map(part_in, subsets.values())):
        return Truth(list(classes), list(videos.values()))
    return Truth(list(classes), [videos[path] for path in _chosen(root, subsets, part)], part)


def _chosen(root: Path, subsets: dict[Path, str], part: str) -> list[Path]:
    """Returns the files of a part, by the subsets of their tasks."""
    for path, subset in subsets.items():
        with leaving_out_faults():
            if not part_in(subset):
                raise Origin(path, _LAYOUT).wrong(
                    f"its subset is '{subset}', and those of other tasks name a part, train or "
                    "test",
                    hint=_SUBSETS,
                )
    own = of_part(subsets, part)
    if not own:
        others = [path for path, subset in subsets.items() if part_in(subset)]
        raise missing_part(root, part, "in a task of that subset", others, _SUBSETS)
    return own


def _video(
    origin: Origin, classes: dict[str, int], finder: VideoFinder, root: Path
) -> tuple[VideoTruth, str]:
    """Returns the video of a file, and the subset of its task."""
    file, content = _CvatFile(), origin.read(_MOST_BYTES)
    try:
        parse(content, file.started, file.ended)
        frames = max(int(file.facts.get("size", 0)), int(file.facts.get("stop_frame", -1)) + 1)
        size = int(file.facts.get("width", 0)), int(file.facts.get("height", 0))
    except UnreadableXml as error:
        raise origin.wrong(str(error), hint=error.hint) from error
    except KeyError as error:
        raise origin.wrong(f"an element has no {error}") from error
    except ValueError as error:
        raise origin.wrong(f"a number is expected ({error})") from error
    if file.root != "annotations":
        raise origin.wrong(
            f"it begins with <{file.root:.40}>, and <annotations> was expected",
            hint="Keep other XML files in another folder.",
        )
    if file.pictures or file.facts.get("mode") == "annotation":
        raise origin.wrong(
            f"it has pictures ({file.pictures}), and tracks of a video were expected",
            hint="In CVAT, export the task as 'CVAT for video 1.1', not 'CVAT for images 1.1'.",
        )
    if "tasks" in file.facts:
        raise origin.wrong("it is the export of a project", hint="In CVAT, export each task.")
    _tell_what_is_not_read(origin, file)
    for name in file.labels:
        classes.setdefault(name, len(classes))
    tubes = _tubes(origin, file.tracks, classes, TrackFiller(len(content)))
    named = PurePosixPath(file.facts.get("source") or origin.path.stem).name
    name = named
    with contextlib.suppress(ValueError):  # ``path_of`` raises it again
        if (beside := place_below(origin.path.parent, named)).exists():
            name = str(beside.relative_to(root))
        frames += _rest_of_step(finder.path_of(name), frames, file.facts.get("frame_filter", ""))
    video = origin.video(name, frames, size, tubes, finder.path_of)
    return video, file.facts.get("subset", "")


def _tell_what_is_not_read(origin: Origin, file: _CvatFile) -> None:
    """Says which tracks are left out, and which frames nobody has annotated."""
    if others := [track.shape for track in file.tracks if track.shape]:
        origin.leave_out(
            f"tracks that are no boxes ({', '.join(sorted(set(others)))}): {len(others)}",
            "In CVAT, draw a box around each actor.",
        )
    start = file.facts.get("start_frame", "")
    if start.isdecimal() and int(start) > 0:
        origin.leave_out(
            f"frames before {start}, the first frame of its task. They count as frames without an "
            "action",
            "In CVAT, annotate the whole video, or cut it before you make the task.",
        )


def _tubes(
    origin: Origin, tracks: Sequence[_Track], classes: Mapping[str, int], filler: TrackFiller
) -> list[TruthTube]:
    tubes: list[TruthTube] = []
    for number, track in enumerate(tracks):
        which = f"track {number}"
        with leaving_out_faults():
            if track.label not in classes:
                raise origin.wrong(f"its label '{track.label}' is not in the list", which)
            try:
                tubes += filler.tubes(classes[track.label], track.boxes)
            except TrackError as error:
                raise origin.wrong(str(error), which) from error
    return tubes


def _rest_of_step(path: Path, frames: int, chosen: str) -> int:
    """Returns the number of frames between the last one of a task with a step and the video's end.

    Args:
        path: Path of the video.
        frames: Number of frames up to the last one of the task.
        chosen: Which frames the task has, such as ``step=5``.
    """
    step = chosen.removeprefix("step=")
    if not step.isdecimal() or not path.exists():
        return 0
    try:
        rest = (facts_of(path).frames or frames) - frames
    except MediaError:  # what uses the video reports it
        return 0
    return rest if 0 < rest < int(step) else 0


def _box(values: Mapping[str, str]) -> Sequence[float]:
    box = [float(values[name]) for name in ("xtl", "ytl", "xbr", "ybr")]
    return upright(box, float(values.get("rotation", 0)))

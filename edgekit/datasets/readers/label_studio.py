"""Reads Label Studio's JSON export of tasks with tracked boxes (``VideoRectangle``).

    ROOT/project-1.json or another .json     a list of tasks
    ROOT/clip.mp4                            the video of a task, in ROOT or in ROOT/videos

A region has labels, sides in percent of the picture, and keyframes that count frames from 1.
An enabled keyframe lasts until the next one, with boxes interpolated, or to the end of the video.
One that is not enabled is the last frame of its span. Label Studio counts frames at the rate of its
configuration, by default 24 per second, whatever that of the video is; the times of keyframes tell
it. A turned box becomes the upright box around it. Of a task with several annotations, the last
that was not cancelled counts. A task without one is left out, and a warning counts these. Label
Studio does not tell the size of a video, so EdgeKit needs the video itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import VideoFinder
from edgekit.datasets._parts import part_in
from edgekit.datasets.annotations import MOST_FRAMES, Truth, TruthTube, VideoTruth
from edgekit.datasets.readers._origin import Origin, only_file
from edgekit.datasets.readers._tracks import TrackError, TrackFiller, upright
from edgekit.datasets.video_facts import VideoFacts, facts_of
from edgekit.errors import MediaError

__all__ = ["read_label_studio"]

_MOST_DATA = 1 << 16
_SLOWEST = 0.01
"""Frames of a video for one that is counted, below which a time is no time."""

_UPLOADED = re.compile(r"[0-9a-f]{8}-")


class _Key(msgspec.Struct):
    frame: int
    x: float
    y: float
    width: float
    height: float
    enabled: bool = True
    rotation: float | None = None
    time: float | None = None


class _Value(msgspec.Struct):
    sequence: list[_Key] = []
    labels: list[str] = []
    framesCount: float | None = None  # as in the file


class _Region(msgspec.Struct):
    type: str = ""
    value: msgspec.Raw = msgspec.Raw(b"{}")


class _LabelStudioAnnotation(msgspec.Struct):
    result: list[_Region] = []
    was_cancelled: bool = False


class _Task(msgspec.Struct):
    data: msgspec.Raw
    annotations: list[_LabelStudioAnnotation] = []
    id: int = 0

    @property
    def counting(self) -> list[_LabelStudioAnnotation]:
        """The last annotation that was not cancelled, if there is one."""
        return [one for one in self.annotations if not one.was_cancelled][-1:]


def read_label_studio(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth in an export of Label Studio; see ``DatasetReader``."""
    del split
    origin = only_file(root, ["*.json"], "label-studio", part)
    tasks, size = origin.decode(list[_Task], "a list of tasks")
    classes: dict[str, int] = {}
    finder, filler, videos = VideoFinder(root), TrackFiller(size), []
    annotated = [task for task in tasks if task.counting]
    if len(annotated) < len(tasks):
        origin.leave_out(
            f"tasks that nobody has annotated, or that were skipped: {len(tasks) - len(annotated)}",
            "To say that a video shows no action, submit its task without a region.",
        )
    for task in annotated:
        with leaving_out_faults():
            videos.append(_video(origin, task, classes, finder, filler))
    return Truth(list(classes), videos, part_in(origin.path.stem))


def _video(
    origin: Origin, task: _Task, classes: dict[str, int], finder: VideoFinder, filler: TrackFiller
) -> VideoTruth:
    where = f"task {task.id}"
    try:
        name = _name_of(_address(task.data), finder)
        regions = [
            msgspec.json.decode(region.value, type=_Value)
            for annotation in task.counting
            for region in annotation.result
            if region.type == "videorectangle"
        ]
        path = finder.path_of(name)
        facts = facts_of(path)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise origin.wrong(str(error), where) from error
    except MediaError as error:
        raise origin.unseen(name, path, "size", error) from error
    stated = max((int(one.framesCount or 0) for one in regions), default=0)
    frames = facts.frames or stated
    tubes: list[TruthTube] = []
    for number, region in enumerate(regions):
        which = f"{where}, region {number}"
        keys = _keys(region.sequence, facts, _speed(region.sequence, path, facts))
        with leaving_out_faults():
            if not region.labels:
                raise origin.wrong("it has no label", which)
            try:
                for label in region.labels:
                    tubes += filler.tubes(classes.setdefault(label, len(classes)), keys, frames)
            except TrackError as error:
                raise origin.wrong(str(error), which) from error
    return origin.video(name, frames, (facts.width, facts.height), tubes, lambda _: path)


def _speed(sequence: list[_Key], path: Path, facts: VideoFacts) -> float:
    """Returns the frames of the video for each frame that Label Studio counts.

    It is 1 where nothing tells it: pictures have no rate, and older exports have no times.
    """
    last = max(sequence, key=lambda key: key.frame, default=None)
    if last is None or not last.time or facts.frames is None or path.is_dir():
        return 1.0
    if not all(1 <= key.frame <= MOST_FRAMES for key in sequence):
        return 1.0  # an error follows
    speed = facts.fps * last.time / last.frame
    return speed if _SLOWEST <= speed <= 1 / _SLOWEST else 1.0


def _keys(
    sequence: list[_Key], facts: VideoFacts, speed: float
) -> list[tuple[int, list[float] | None]]:
    """Returns keyframes in pixels, counted from 0, with None where a span has ended.

    Args:
        sequence: Keyframes as they are in the file, whose numbers count from 1.
        facts: Number of frames of the video, and its size.
        speed: Frames of the video for each one that is counted in the file.
    """
    across, down = facts.width / 100, facts.height / 100

    def place(frame: int) -> int:
        if speed == 1:
            return frame - 1
        exact = (frame - 1) * speed
        is_last = facts.frames is not None and exact < facts.frames <= round(exact)
        return round(exact) - is_last

    keys: dict[int, list[float] | None] = {}
    for key in sequence:
        if not key.enabled:
            keys.setdefault(max(place(key.frame + 1), place(key.frame) + 1), None)
    for key in sequence:
        x, y = key.x * across, key.y * down
        box = [x, y, x + key.width * across, y + key.height * down]
        keys[place(key.frame)] = upright(box, key.rotation or 0, (x, y))
    return list(keys.items())


def _address(content: msgspec.Raw) -> str:
    """Returns the address of the video among the data of a task; "" if there is none."""
    if len(memoryview(content)) > _MOST_DATA:
        raise ValueError(f"its 'data' has over {_MOST_DATA} bytes, the most that are read")
    data = msgspec.json.decode(content, type=dict[str, object])
    first = next((one for one in data.values() if isinstance(one, str)), "")
    named = (data.get(key) for key in ("video", "video_url"))
    return next((one for one in named if isinstance(one, str)), first)


def _name_of(address: str, finder: VideoFinder) -> str:
    """Returns the name of the video that an address of Label Studio stands for."""
    parts = urlsplit(address)
    query = parse_qs(parts.query).get("d", [""])[0]  # of local storage: ?d=folder/clip.mp4
    name = unquote(query or parts.path).rpartition("/")[2] or "video"
    # An uploaded file has eight digits in front of its own name.
    plain = _UPLOADED.sub("", name, count=1)
    try:
        return plain if finder.path_of(plain).exists() else name
    except ValueError:
        return name

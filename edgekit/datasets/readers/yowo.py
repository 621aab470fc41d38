"""Reads the layout of YOWO: a text file of boxes for each annotated frame.

    ROOT/labels/Class/video/00001.txt        lines of: class x1 y1 x2 y2
    ROOT/rgb-images/Class/video/00001.jpg    or .png, or a video in its place
    ROOT/trainlist.txt, ROOT/testlist.txt    lines such as labels/Class/video/00001.txt

Classes and frames count from 1, boxes are corners in pixels. The files name no tubes: boxes of one
class in successive frames belong to one tube where they overlap most. The classes are UCF101-24's
or J-HMDB-21's where the folders have their names and the first box its folder's number in that
list, and else the names of the folders, sorted.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from unicodedata import normalize

from edgekit.classes import CLASS_LISTS
from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import VideoFinder, place_below, visible_files
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.datasets.readers._origin import Origin
from edgekit.datasets.readers._tracks import TrackError, linked_tubes
from edgekit.files.reading import read_regular, without_mark

__all__ = ["read_yowo"]

_LINE = re.compile(r"(?:(?:labels|rgb-images)/)?([^/]+/[^/]+?)(?:/\d+\.\w+)?(?:\.avi)?")
_MOST_LIST = 1 << 26
_MOST_LABELS = 1 << 16
"""Largest sizes of a list and of the label file of one frame, in bytes."""


def read_yowo(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth in the layout of YOWO; see ``DatasetReader``."""
    origin = _list_of(root, part, split)
    names: dict[str, None] = {}
    for number, line in enumerate(
        origin.read(_MOST_LIST).decode("utf-8", "replace").split("\n"), 1
    ):
        words = line.split()
        if not words:
            continue
        match = _LINE.fullmatch(words[0])
        with leaving_out_faults():
            if match is None:
                raise origin.wrong(
                    f"expected labels/Class/video/00001.txt; found {line!r:.80}", f"line {number}"
                )
            names[match[1]] = None
    if not names:
        raise origin.wrong("no video in the list")
    classes = _classes(root, list(names))
    finder, videos = VideoFinder(root), []
    for name in names:
        with leaving_out_faults():
            videos.append(_video(root, name, len(classes), finder))
    return Truth(classes, videos, part)


def _list_of(root: Path, part: str, split: int) -> Origin:
    # A list without a number is that of split 1.
    plain = (f"{part}list.txt", f"{part}list_video.txt") if split == 1 else ()
    names = (*plain[:1], f"{part}list{split:02d}.txt", *plain[1:])
    folders = (root, root / "splitfiles", root / "splits")
    paths = [folder / name for folder in folders for name in names]
    return Origin(next((path for path in paths if path.exists()), paths[0]), "yowo")


def _classes(root: Path, names: list[str]) -> list[str]:
    """Returns the class names in the order of their numbers."""
    try:
        found = {path.name for path in (root / "labels").iterdir() if path.is_dir()}
    except OSError:
        found = set()
    # A folder and the list may write an accented letter in different ways.
    found = {normalize("NFC", name) for name in (*found, *(n.partition("/")[0] for n in names))}
    for published in (CLASS_LISTS["ucf24"], CLASS_LISTS["jhmdb21"]):
        if found <= set(published):
            first = _first_label(root, names)
            is_own = first is not None and 1 <= first[1] <= len(found)
            if first is None or not is_own or published[first[1] - 1] == first[0]:
                return list(published)
    return sorted(found)


def _first_label(root: Path, names: list[str]) -> tuple[str, int] | None:
    """Returns the folder and the class number of a box; None if there is no readable one."""
    for name in names[:10]:
        with contextlib.suppress(ValueError, OSError, IndexError):
            for file in visible_files(place_below(root / "labels", name), "*.txt"):
                if words := without_mark(read_regular(file, _MOST_LABELS)).split():
                    return name.partition("/")[0], int(words[0])
    return None


def _video(root: Path, name: str, classes: int, finder: VideoFinder) -> VideoTruth:
    try:
        folder = place_below(root / "labels", name)
        files = sorted(path for path in folder.iterdir() if path.suffix == ".txt")
        files = [path for path in files if not path.name.startswith(".")]
        path = finder.path_of(name)
    except (ValueError, OSError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise Origin(root / "labels", "yowo").wrong(
            f"its labels cannot be read: {what}", f"video '{name}'"
        ) from error
    frames: dict[int, list[tuple[int, list[float]]]] = {}
    for file in files:
        origin = Origin(file, "yowo")
        if not file.stem.isdecimal() or not int(file.stem[:9]) >= 1:
            raise origin.wrong("expected the number of its frame as the name, from 00001.txt")
        frames[int(file.stem[:9]) - 1] = _boxes(origin, classes)
    is_there = path.exists()
    count = 0 if is_there else max(frames, default=0) + 1
    size = (0, 0) if is_there else (320, 240)
    origin = Origin(folder, "yowo")
    try:
        tubes = linked_tubes(frames)
    except TrackError as error:
        raise origin.wrong(str(error), f"video '{name}'") from error
    return origin.video(name, count, size, tubes, lambda _: path)


def _boxes(origin: Origin, classes: int) -> list[tuple[int, list[float]]]:
    try:
        text = without_mark(read_regular(origin.path, _MOST_LABELS)).decode("ascii", "replace")
    except OSError as error:
        raise origin.wrong(f"it cannot be read: {error.strerror}") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        with leaving_out_faults():
            try:
                label, *box = (float(word) for word in words)
                if len(box) != 4 or label % 1 or not 1 <= label <= classes:
                    raise ValueError(line)
            except ValueError as error:
                raise origin.wrong(
                    f"expected a class from 1 to {classes}, and x1 y1 x2 y2; found {line!r:.80}",
                    f"line {number}",
                ) from error
            found.append((int(label) - 1, box))
    return found

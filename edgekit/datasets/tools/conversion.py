"""Writes annotations in EdgeKit's own layout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekit._parameters import parameter
from edgekit.datasets.annotations import MOST_BYTES, SCHEMA, Truth, TruthTube, VideoTruth
from edgekit.errors import AnnotationError, OutputError
from edgekit.files.output_paths import output_error, refuse_unwritable_folder, writing
from edgekit.files.reading import path_below
from edgekit.files.writing import atomic_file

__all__ = ["WrittenDataset", "clipped", "write_datasets"]

_DIGITS = 3
"""Digits behind the point of a written coordinate: a thousandth of a pixel."""


@dataclass(frozen=True, slots=True)
class WrittenDataset:
    """Result of a conversion: the files that were written.

    Attributes:
        files: Annotation files, by the name of the part.
        videos: Number of videos in each.
        missing: Number of videos whose files are not there.
        cut: Number of boxes that were cut at the edge of their picture.
        left_out: Number of boxes that were left out, as none of their area is in the picture.
    """

    files: dict[str, Path]
    videos: dict[str, int]
    missing: int
    cut: int
    left_out: int

    def to_dict(self) -> dict[str, object]:
        """Returns all values for JSON."""
        files = {name: str(path) for name, path in self.files.items()}
        return {
            "files": files, "videos": self.videos, "missing": self.missing, "cut": self.cut,
            "left_out": self.left_out,
        }  # fmt: skip


def write_datasets(
    folder: Path, truths: dict[str, Truth], *, force: bool = False
) -> WrittenDataset:
    """Writes annotations of some videos as files of EdgeKit's own layout.

    A video below the folder is named by its path. Another one is linked from there by its name,
    so nothing is copied.

    Args:
        folder: Folder to write to; it may exist.
        truths: Annotations by the name of their file.
        force: Whether files of these names are replaced.

    Raises:
        AnnotationError: Two videos would have the same name.
        OutputError: The folder cannot be written, or has such a file, or another file in the place
            of a link.
    """
    refuse_unwritable_folder(folder)
    files = {part: folder / part for part in truths}
    for path in files.values():
        _refuse_existing(path, force)
    # A part may have other annotations of a video than the other part, or another video.
    videos = {(video.name, video.path): video for t in truths.values() for video in t.videos}
    names = {key: _name_in(folder, video) for key, video in videos.items()}
    _check_names(folder, list(names.values()))
    plain = {part: [clipped(video) for video in truth.videos] for part, truth in truths.items()}
    contents = {}
    for part, truth in truths.items():
        if not truth.classes:
            raise AnnotationError(
                f"{folder / part} would have no class, and EdgeKit reads annotations with one at "
                "least.",
                hint="Annotate an action first.",
            )
        described = [video for video, _, _ in plain[part]]
        contents[part] = msgspec.json.encode(_content(truth.classes, names, described))
        if len(contents[part]) > MOST_BYTES:
            raise AnnotationError(
                f"{folder / part} would have {len(contents[part])} bytes, and EdgeKit reads at "
                f"most {MOST_BYTES}.",
                hint="Train and evaluate with the layout that the dataset has.",
            )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for key, video in videos.items():
        if video.path is not None and video.path.exists():
            _link(folder, names[key], video.path)
    for part, content in contents.items():
        with atomic_file(files[part]) as temporary:
            temporary.write_bytes(content)
            _refuse_existing(files[part], force)  # it may have appeared meanwhile
    missing = sum(video.path is None or not video.path.exists() for video in videos.values())
    cut = sum(count for each in plain.values() for _, count, _ in each)
    left_out = sum(count for each in plain.values() for _, _, count in each)
    counts = {part: len(truth.videos) for part, truth in truths.items()}
    return WrittenDataset(files, counts, missing, cut, left_out)


def _refuse_existing(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise OutputError(
            f"{path} already exists.",
            hint=f"Add {parameter('force', True)} to replace it, or choose another folder.",
        )


def _name_in(folder: Path, video: VideoTruth) -> str:
    """Returns the name of a video in annotations in ``folder``."""
    if video.path is None:
        return video.name
    place, home = (Path(os.path.abspath(path)) for path in (video.path, folder))  # noqa: PTH100
    if place.is_relative_to(home):
        return place.relative_to(home).as_posix()
    ending = video.path.suffix if video.path.is_file() else ""
    return video.name if video.name.endswith(ending) else f"{video.name}{ending}"


def _check_names(folder: Path, names: list[str]) -> None:
    """Raises if two videos would have one name, or one would be outside the folder."""
    kept: set[str] = set()
    for name in names:
        if name in kept:
            raise AnnotationError(f"Several videos would have the name '{name}' in {folder}.")
        kept.add(name)
        try:
            path_below(folder, name)
        except ValueError as error:
            raise AnnotationError(f"EdgeKit cannot write a video: {error}.") from error


def _link(folder: Path, name: str, target: Path) -> None:
    link = folder / name
    if any((folder / parent).is_symlink() for parent in Path(name).parents[:-1]):
        # A link in there would be written into the dataset.
        raise AnnotationError(f"The video '{name}' would be in the folder of another video.")
    if link.exists() and link.samefile(target):
        return
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target.resolve())
    except OSError as error:
        raise output_error(error, link) from error


def clipped(video: VideoTruth) -> tuple[VideoTruth, int, int]:
    """Returns a video whose boxes are inside its picture and have an area.

    Returns:
        The video; the number of boxes that were cut; and of those left out. A tube in which boxes
        are left out becomes several.
    """
    cut = left_out = 0
    tubes: list[TruthTube] = []
    for tube in video.tubes:
        boxes = tube.boxes.round(_DIGITS)
        inside = np.clip(boxes, 0, [video.width, video.height] * 2)
        good = np.asarray((inside[:, 2:] > inside[:, :2]).all(1))
        cut += int(((np.abs(inside - boxes) > 1).any(1) & good).sum())
        left_out += int((~good).sum())
        tubes += _spans(replace(tube, boxes=inside), good)
    return replace(video, tubes=tubes), cut, left_out


def _spans(tube: TruthTube, good: np.ndarray[Any, np.dtype[np.bool_]]) -> Iterator[TruthTube]:
    """Yields the parts of a tube in which all boxes are good."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        yield replace(tube, start=tube.start + int(start), boxes=tube.boxes[start:stop])


def _content(
    classes: list[str], names: dict[tuple[str, Path | None], str], videos: list[VideoTruth]
) -> dict[str, object]:
    """Returns the content of a file of annotations."""
    described: dict[str, object] = {}
    for video in videos:
        tubes = [
            {
                "label": tube.label,
                "start": tube.start,
                "end": tube.end + 1,
                "boxes": tube.boxes.tolist(),
            }
            for tube in video.tubes
        ]
        entry: dict[str, object] = {
            "width": video.width, "height": video.height, "frames": video.frames, "tubes": tubes,
        }  # fmt: skip
        if video.label is not None:
            entry["label"] = video.label
        described[names[video.name, video.path]] = entry
    return {"schema": SCHEMA, "classes": classes, "videos": described}

"""Reads Datumaro's own JSON: one item for each picture of a video.

    ROOT/annotations/NAME.json               one subset each
    ROOT/images/NAME/folder/frame_000000.jpg, or a video NAME.mp4 in ROOT or ROOT/videos

Items whose names have the same folder are one video; without a folder, the file is one. ``frame``
among an item's attributes is its index. Without it, that is the place of its picture in the folder,
or of its name among the names if the pictures are not there. A box's ``track_id`` joins it to its
tube, ``outside`` hides it, and boxes that are missing between two of a track are interpolated.
Boxes without tracks are joined where they overlap most. A box with a ``rotation``, in degrees about
its centre, becomes the upright box around it. A warning counts shapes that are no boxes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec

from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import VIDEO_ENDINGS, pictures_in, place_below, places_among
from edgekit.datasets._parts import files_of_part, part_in
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.readers._origin import Origin
from edgekit.datasets.readers._tracks import TrackFiller, linked_tubes, upright
from edgekit.errors import AnnotationError

__all__ = ["read_datumaro"]

_WITHOUT_PLACE = ("label", "caption")
"""Types of annotations that are of a whole picture."""

_Plain = str | int | float | bool | None


class _BoxAttributes(msgspec.Struct, frozen=True):
    track_id: _Plain = None
    outside: _Plain = False
    rotation: _Plain = None


class _ItemAttributes(msgspec.Struct, frozen=True):
    frame: _Plain = None


class _Box(msgspec.Struct):
    type: str
    label_id: int | None = None
    bbox: tuple[float, float, float, float] | None = None
    attributes: _BoxAttributes = _BoxAttributes()


class _Picture(msgspec.Struct):
    path: str = ""
    size: tuple[int, int] | None = None


class _Item(msgspec.Struct):
    id: str
    annotations: list[_Box] = []
    attr: _ItemAttributes = _ItemAttributes()
    image: _Picture | None = None
    media: _Picture | None = None


class _Label(msgspec.Struct):
    name: str


class _Labels(msgspec.Struct):
    labels: list[_Label]


class _Categories(msgspec.Struct):
    label: _Labels


class _DatumaroFile(msgspec.Struct):
    categories: _Categories
    items: list[_Item]


def read_datumaro(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth in Datumaro's own layout; see ``DatasetReader``."""
    del split
    paths = files_of_part(root, ["annotations/*.json", "*.json"], part)
    if not paths:
        raise AnnotationError(
            f"Found no annotations with the layout datumaro in {root}: no annotations/*.json.",
            hint="Export the dataset with Datumaro as 'datumaro'.",
        )
    classes: list[str] = []
    videos: list[VideoTruth] = []
    for path in paths:
        origin = Origin(path, "datumaro")
        file, size = origin.decode(_DatumaroFile, "categories and items")
        filler = TrackFiller(size)
        _tell_other_shapes(origin, file.items)
        names = [label.name for label in file.categories.label.labels]
        if classes and names != classes:
            raise origin.wrong("its labels are not those of the other files")
        classes = names
        groups: dict[str, list[_Item]] = defaultdict(list)
        for item in file.items:
            groups[str(PurePosixPath(item.id).parent)].append(item)
        for folder, items in groups.items():
            with leaving_out_faults():
                videos.append(_video(origin, root, folder, items, len(classes), filler))
    return Truth(classes, videos, part_in(paths[0].stem))


def _tell_other_shapes(origin: Origin, items: Sequence[_Item]) -> None:
    others = Counter(
        one.type
        for item in items
        for one in item.annotations
        if one.type not in _WITHOUT_PLACE and (one.type != "bbox" or one.bbox is None)
    )
    if others:
        origin.leave_out(
            f"annotations that are no boxes ({', '.join(sorted(others))}): {others.total()}",
            "Draw boxes around the actors.",
        )


def _video(
    origin: Origin, root: Path, folder: str, items: list[_Item], classes: int, filler: TrackFiller
) -> VideoTruth:
    from edgekit.media.sources.pictures.folder import natural_key

    name = origin.path.stem if folder == "." else folder
    where = f"video '{name}'"
    items.sort(key=lambda item: natural_key(item.id))
    tracks: dict[tuple[str, int], list[tuple[int, Sequence[float] | None]]] = defaultdict(list)
    loose: dict[int, list[tuple[int, Sequence[float]]]] = defaultdict(list)
    size = (0, 0)
    try:
        path = _path_of(root, origin.path.stem, "" if folder == "." else folder)
        places, last = _places(path, items)
        for place, item in zip(places, items, strict=True):
            picture = item.media or item.image
            if picture is not None and picture.size is not None:
                size = picture.size[1], picture.size[0]
            for one in item.annotations:
                if one.type == "bbox" and one.bbox is not None:
                    _add(one, one.bbox, place, classes, tracks, loose)
        tubes: list[TruthTube] = linked_tubes(loose)
        for (_, label), keys in tracks.items():
            tubes += filler.tubes(label, keys)
    except ValueError as error:
        raise origin.wrong(str(error), where) from error
    return origin.video(name, last + 1, size, tubes, lambda _: path)


def _places(path: Path, items: list[_Item]) -> tuple[list[int], int]:
    """Returns the frame of each item, and the last frame of the video."""
    places = list(range(len(items)))
    last = 0
    if any(item.attr.frame is None for item in items):
        stems = {PurePosixPath(name).stem: place for name, place in pictures_in(path).items()}
        names = [PurePosixPath(item.id).name for item in items]
        if (found := places_among(stems, names)) is not None:
            places, last = found, len(stems) - 1
    for number, item in enumerate(items):
        frame = item.attr.frame
        if frame is not None:
            if not isinstance(frame, int) or frame < 0:
                raise ValueError(f"frame {frame!r:.40} of item '{item.id}'")
            places[number] = frame
    return places, max(last, *places)


def _add(
    one: _Box,
    sides: Sequence[float],
    frame: int,
    classes: int,
    tracks: dict[tuple[str, int], list[tuple[int, Sequence[float] | None]]],
    loose: dict[int, list[tuple[int, Sequence[float]]]],
) -> None:
    """Adds a box to its track, or to the boxes of a frame that have none."""
    if one.label_id is None or not 0 <= one.label_id < classes:
        raise ValueError(f"label {one.label_id}, expected 0 to {classes - 1}")
    x, y, width, height = sides
    turn = one.attributes.rotation
    box = upright([x, y, x + width, y + height], turn if isinstance(turn, int | float) else 0)
    track = one.attributes.track_id
    if track is None:
        loose[frame].append((one.label_id, box))
    else:
        hidden = one.attributes.outside is True
        tracks[str(track), one.label_id].append((frame, None if hidden else box))


def _path_of(root: Path, subset: str, folder: str) -> Path:
    """Returns the folder of a video's pictures, or its file; the usual folder if none exists."""
    own = folder or subset
    tried = [("images", f"{subset}/{folder}".rstrip("/")), ("images", own)]
    tried += [(place, own + ending) for place in ("", "videos") for ending in VIDEO_ENDINGS]
    paths = [place_below(root / place if place else root, name) for place, name in tried]
    return next((path for path in paths if path.exists()), paths[0])

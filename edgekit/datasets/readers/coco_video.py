"""Reads COCO's layout for videos, as TAO, YouTube-VIS and CocoVID have it.

    ROOT/annotations.json or another .json with videos, annotations and categories
    ROOT/Class/video/0001.jpg, or in ROOT/images, ROOT/frames, ROOT/JPEGImages

Either each picture is an entry of ``images`` (``video_id``, ``frame_index`` or ``frame_id``) and
each box one of ``annotations`` (``image_id``, ``track_id`` or ``instance_id``), or each track is an
entry with ``bboxes``, one or null for each of the video's ``file_names``. Where only some
pictures of a folder are annotated, boxes between two neighbouring annotated ones are interpolated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec

from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._parts import part_in
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.readers._origin import Origin, only_file
from edgekit.datasets.readers._tracks import TrackFiller
from edgekit.files.reading import path_below

__all__ = ["read_coco_video"]

_MOST_PICTURES = 1_000_000
_FOLDERS = ("", "images", "frames", "JPEGImages", "videos", "train", "val")

_Box = tuple[float, float, float, float]


class _Video(msgspec.Struct, gc=False):
    id: int
    name: str = ""
    width: int = 0
    height: int = 0
    length: int = 0
    file_names: list[str] = []


class _Image(msgspec.Struct, gc=False):
    id: int
    file_name: str = ""
    video_id: int | None = None
    frame_index: int | None = None
    frame_id: int | None = None
    width: int = 0
    height: int = 0


class _CocoAnnotation(msgspec.Struct, gc=False):
    category_id: int
    image_id: int | None = None
    video_id: int | None = None
    id: int | None = None
    track_id: int | None = None
    instance_id: int | None = None
    bbox: _Box | None = None
    bboxes: list[_Box | None] | None = None


class _Category(msgspec.Struct, gc=False):
    id: int
    name: str


class _CocoFile(msgspec.Struct):
    videos: list[_Video]
    annotations: list[_CocoAnnotation]
    categories: list[_Category]
    images: list[_Image] = []


def read_coco_video(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth in COCO's layout for videos; see ``DatasetReader``."""
    del split
    origin = only_file(root, ["*.json", "annotations/*.json"], "coco-video", part)
    file, size = origin.decode(_CocoFile, "videos, annotations and categories")
    if len(file.images) + sum(len(video.file_names) for video in file.videos) > _MOST_PICTURES:
        raise origin.wrong(f"it names more than {_MOST_PICTURES} pictures")
    filler = TrackFiller(size)
    categories = sorted(file.categories, key=lambda category: category.id)
    index = {category.id: place for place, category in enumerate(categories)}
    images: dict[int | None, list[_Image]] = defaultdict(list)
    for image in file.images:
        images[image.video_id].append(image)
    home: dict[int | None, int | None] = {image.id: image.video_id for image in file.images}
    found: dict[int | None, list[_CocoAnnotation]] = defaultdict(list)
    for annotation in file.annotations:
        own = annotation.video_id
        found[home.get(annotation.image_id) if own is None else own].append(annotation)
    videos = []
    for video in file.videos:
        with leaving_out_faults():
            videos.append(
                _video(origin, root, video, images[video.id], found[video.id], index, filler)
            )
    return Truth([category.name for category in categories], videos, part_in(origin.path.stem))


def _video(
    origin: Origin,
    root: Path,
    video: _Video,
    images: list[_Image],
    annotations: list[_CocoAnnotation],
    index: dict[int, int],
    filler: TrackFiller,
) -> VideoTruth:
    images.sort(key=lambda image: (_given(image), image.file_name))
    names = video.file_names or [image.file_name for image in images]
    folder = str(PurePosixPath(names[0]).parent) if names and names[0] else ""
    name = folder if folder not in ("", ".") else video.name
    where = f"video '{name or video.id}'"
    try:
        path = _path_of(root, name)
    except ValueError as error:
        raise origin.wrong(str(error), where) from error
    pictures = _pictures(path)
    places = [pictures.get(PurePosixPath(each).name, -1) for each in names]
    if not pictures or -1 in places:
        places = list(range(len(names))) if video.file_names else [_given(one) for one in images]
    frames = len(pictures) or max(video.length, max(places, default=0) + 1)
    sizes = [(video.width, video.height), *((one.width, one.height) for one in images)]
    size = next((size for size in sizes if min(size) > 0), (0, 0))
    place_of = {image.id: place for image, place in zip(images, places, strict=False)}
    try:
        tubes = _tubes(annotations, places, place_of, index, filler)
    except ValueError as error:
        raise origin.wrong(str(error), where) from error
    return origin.video(name, frames, size, tubes, lambda _: path)


def _given(image: _Image) -> int:
    return next((one for one in (image.frame_index, image.frame_id) if one is not None), 0)


def _path_of(root: Path, name: str) -> Path:
    for folder in _FOLDERS:
        path = path_below(root / folder, name)
        if path.exists():
            return path
    return path_below(root, name)


def _pictures(path: Path) -> dict[str, int]:
    """Returns the index of each picture of a folder by its name; none if it is no folder."""
    from edgekit.media.sources.pictures.folder import PICTURES, natural_key

    if not path.is_dir():
        return {}
    names = [file.name for file in path.iterdir() if file.suffix.lower() in PICTURES]
    return {name: place for place, name in enumerate(sorted(names, key=natural_key))}


def _tubes(
    annotations: list[_CocoAnnotation],
    places: Sequence[int],
    place_of: dict[int, int],
    index: dict[int, int],
    filler: TrackFiller,
) -> list[TruthTube]:
    tracks: dict[tuple[int, int], dict[int, _Box]] = defaultdict(dict)
    for number, one in enumerate(annotations):
        if one.category_id not in index:
            raise ValueError(f"category {one.category_id} is not among the categories")
        track = one.instance_id if one.track_id is None else one.track_id
        if track is None:
            track = -1 - number if one.bboxes is None or one.id is None else one.id
        boxes = tracks[track, index[one.category_id]]
        if one.bboxes is not None:
            if len(one.bboxes) != len(places):
                raise ValueError(f"{len(one.bboxes)} boxes of a track for {len(places)} pictures")
            pairs = zip(places, one.bboxes, strict=True)
            boxes.update({place: box for place, box in pairs if box is not None})
        elif one.bbox is not None and one.image_id in place_of:
            boxes[place_of[one.image_id]] = one.bbox
    turns = {place: turn for turn, place in enumerate(dict.fromkeys(places))}
    tubes: list[TruthTube] = []
    for key in sorted(tracks):
        seen = tracks.pop(key)
        # A track is not seen between an annotated picture with it and the next one without.
        runs: list[list[tuple[int, Sequence[float]]]] = [[]]
        last = -1
        for turn, place in sorted((turns[place], place) for place in seen):
            if turn != last + 1:
                runs.append([])
            runs[-1].append((place, _corners(seen[place])))
            last = turn
        for run in filter(None, runs):
            tubes += filler.tubes(key[1], run)
    return tubes


def _corners(box: _Box) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height]

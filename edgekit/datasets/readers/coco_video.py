"""Reads COCO's layout for videos, as TAO, YouTube-VIS and CocoVID have it.

    ROOT/annotations.json or another .json with videos, annotations and categories
    ROOT/Class/video/0001.jpg, or in ROOT/images, ROOT/frames, ROOT/JPEGImages

Either each picture is an entry of ``images`` (``video_id``, ``frame_index`` or ``frame_id``) and
each box one of ``annotations`` (``image_id``, ``track_id`` or ``instance_id``), or each track is an
entry with ``bboxes``, one or null for each of the video's ``file_names``. Where only some
pictures of a folder are annotated, boxes between two neighbouring annotated ones are interpolated.
Boxes without tracks are joined where they overlap most. Crowds and masks without a box are left
out, and a warning counts them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import pictures_in, place_below, places_among
from edgekit.datasets._parts import part_in
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.readers._origin import Origin, only_file
from edgekit.datasets.readers._tracks import TrackFiller, linked_tubes

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
    iscrowd: bool | int = 0


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
    _refuse_same_ids(origin, "videos", [video.id for video in file.videos])
    _refuse_same_ids(origin, "images", [image.id for image in file.images])
    _refuse_same_ids(origin, "categories", [category.id for category in categories])
    found = _by_video(origin, file)
    videos = []
    for video in file.videos:
        with leaving_out_faults():
            videos.append(
                _video(origin, root, video, images[video.id], found[video.id], index, filler)
            )
    return Truth([category.name for category in categories], videos, part_in(origin.path.stem))


def _refuse_same_ids(origin: Origin, what: str, ids: Collection[int]) -> None:
    """Raises if several entries have one id: the annotations of all would be those of one."""
    if len(set(ids)) < len(ids):
        number, count = Counter(ids).most_common(1)[0]
        raise origin.wrong(
            f"{count} of its {what} have the id {number}",
            hint="Give each of them an id of its own.",
        )


def _by_video(origin: Origin, file: _CocoFile) -> dict[int, list[_CocoAnnotation]]:
    """Returns the annotations of each video by its id; those of none are a fault."""
    known = {video.id for video in file.videos}
    home: dict[int | None, int | None] = {image.id: image.video_id for image in file.images}
    found: dict[int, list[_CocoAnnotation]] = defaultdict(list)
    lost: list[_CocoAnnotation] = []
    crowds = empty = 0
    for one in file.annotations:
        own = home.get(one.image_id) if one.bboxes is None else one.video_id
        if one.bboxes is None and one.bbox is None:
            empty += 1
        elif own is None or own not in known or one.video_id not in (None, own):
            lost.append(one)
        elif one.iscrowd:
            crowds += 1
        else:
            found[own].append(one)
    if crowds or empty:
        origin.leave_out(
            f"boxes of crowds (iscrowd): {crowds}, and annotations without a box: {empty}",
            "Draw a box around each actor.",
        )
    with leaving_out_faults():
        if lost:
            raise origin.wrong(
                f"annotations of pictures or videos that it does not list: {len(lost)}, such as "
                f"that of image_id {lost[0].image_id} and video_id {lost[0].video_id}"
            )
    return found


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
    pictures = pictures_in(path)
    sizes = [(video.width, video.height), *((one.width, one.height) for one in images)]
    size = next((size for size in sizes if min(size) > 0), (0, 0))
    try:
        places = places_among(pictures, [PurePosixPath(each).name for each in names])
        if places is None:
            places = list(range(len(names))) if video.file_names else _given_places(path, images)
        place_of = {image.id: place for image, place in zip(images, places, strict=False)}
        tubes = _tubes(annotations, places, place_of, index, filler)
    except ValueError as error:
        raise origin.wrong(str(error), where) from error
    frames = len(pictures) or max(video.length, max(places, default=0) + 1)
    return origin.video(name, frames, size, tubes, lambda _: path)


def _given(image: _Image) -> int:
    return next((one for one in (image.frame_index, image.frame_id) if one is not None), 0)


def _given_places(path: Path, images: Sequence[_Image]) -> list[int]:
    """Returns the frame of each picture as the file says it."""
    if len(images) > 1 and len({_given(one) for one in images}) < len(images):
        raise ValueError(
            f"its pictures are not in {path}, and not each of them has a frame_index of its own"
        )
    return [_given(one) for one in images]


def _path_of(root: Path, name: str) -> Path:
    for folder in _FOLDERS:
        path = place_below(root / folder, name)
        if path.exists():
            return path
    return place_below(root, name)


def _tubes(
    annotations: list[_CocoAnnotation],
    places: Sequence[int],
    place_of: dict[int, int],
    index: dict[int, int],
    filler: TrackFiller,
) -> list[TruthTube]:
    tracks: dict[tuple[int, int], dict[int, _Box]] = defaultdict(dict)
    loose: dict[int, list[tuple[int, Sequence[float]]]] = defaultdict(list)
    for number, one in enumerate(annotations):
        if one.category_id not in index:
            raise ValueError(f"category {one.category_id} is not among the categories")
        label = index[one.category_id]
        track = one.instance_id if one.track_id is None else one.track_id
        if one.bboxes is not None:
            if len(one.bboxes) != len(places):
                raise ValueError(f"{len(one.bboxes)} boxes of a track for {len(places)} pictures")
            if track is None:
                track = -1 - number if one.id is None else one.id
            pairs = zip(places, one.bboxes, strict=True)
            found = {place: box for place, box in pairs if box is not None}
        elif one.bbox is None or one.image_id is None:
            continue
        elif track is None:
            loose[place_of[one.image_id]].append((label, _corners(one.bbox)))
            continue
        else:
            found = {place_of[one.image_id]: one.bbox}
        boxes = tracks[track, label]
        for place, box in found.items():
            if boxes.setdefault(place, box) != box:
                raise ValueError(f"track {track} has several boxes in frame {place}")
    return _filled(tracks, places, filler) + linked_tubes(loose)


def _filled(
    tracks: dict[tuple[int, int], dict[int, _Box]], places: Sequence[int], filler: TrackFiller
) -> list[TruthTube]:
    """Returns the tubes of tracks, which it takes out of the dictionary."""
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

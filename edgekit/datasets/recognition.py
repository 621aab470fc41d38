"""Recognizes the layout of a dataset by the files in its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from edgekit.datasets._locations import visible_files
from edgekit.datasets.readers.tube_pickles import TUBE_PICKLES
from edgekit.files.reading import open_regular, read_regular, without_mark

__all__ = ["advice_on_place", "layouts_in"]

_MOST_BYTES = 1 << 28
"""Largest size of a file in JSON, and of all that are read."""

_MOST_SEARCHED = 1 << 24
_MOST_FOLDERS = 10
"""Largest number of folders in a folder that are looked at for a dataset."""

_HEAD = 1 << 16
_AVA_COLUMNS = 7
_ROAD = {
    "pyannot.pkl": ("ucf24",),
    "finalAnnots.mat": ("ucf24",),
    "hmdb_annots.pkl": ("jhmdb21",),
    "finalAnnots.ma.mat": ("jhmdb21-mat",),
}
_GLOBS = {
    "cvat": ("*.xml", "*/annotations.xml"),
    "ava": ("*.csv", "annotations/*.csv"),
}


_RECTANGLE = re.compile(b"videorectangle", re.IGNORECASE)


class _Keys(msgspec.Struct):
    """The keys by which the layouts in JSON differ; values are skipped."""

    classes: msgspec.Raw = msgspec.Raw()
    videos: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()
    annotations: msgspec.Raw = msgspec.Raw()
    categories: msgspec.Raw = msgspec.Raw()
    items: msgspec.Raw = msgspec.Raw()


def layouts_in(root: Path) -> list[str]:
    """Returns the names of the layouts that a folder seems to have, the surest first.

    It looks at names and at the beginnings of files, and never raises.
    """
    try:
        # A file of one of these names may be damaged.
        return list(dict.fromkeys(_found(root))) or list(_named(root))
    except OSError:
        return []


def advice_on_place(root: Path) -> str:
    """Returns advice for a path without a known layout: where a dataset is; "" if none is near."""
    try:
        folders = sorted(path for path in root.glob("*") if path.is_dir())[:_MOST_FOLDERS]
        archives = [root] if root.suffix == ".zip" else sorted(root.glob("*.zip"))
    except OSError:
        return ""
    near = [*folders, *archives, *root.parents[:2]]
    for path in near:
        if found := layouts_in(path):
            return f"{path} has the layout {found[0]}. Name that folder."
        if path in archives:
            return f"Unpack {path}."
    return ""


def _named(root: Path) -> Iterator[str]:
    if any((root / f"annotations{part}.json").exists() for part in ("", "-train", "-test")):
        yield "json"
    if any(root.glob("labels/*/*/*.txt")):
        yield "yowo"


def _found(root: Path) -> Iterator[str]:
    for file, names in _ROAD.items():
        if (root / "splitfiles" / file).exists():
            yield from names
    if visible_files(root, *TUBE_PICKLES):
        yield "moc"
    if (root / "labels").is_dir() and visible_files(root, "*list*.txt"):
        yield "yowo"
    room = _MOST_BYTES
    for pattern in ("*.json", "annotations/*.json"):
        for path in visible_files(root, pattern)[:20]:
            content = _content(path, room)
            room -= len(content)
            if name := _json_layout(content):
                yield name
    if any(
        b"<annotations" in _head(path)
        for one in _GLOBS["cvat"]
        for path in visible_files(root, one)[:20]
    ):
        yield "cvat"
    if any(_is_ava(_head(path)) for one in _GLOBS["ava"] for path in visible_files(root, one)[:20]):
        yield "ava"


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as (file, _):
            return without_mark(file.read(_HEAD))
    except OSError:
        return b""


def _is_ava(head: bytes) -> bool:
    first, _, rest = head.decode("utf-8", "replace").partition("\n")
    words = (rest.partition("\n")[0] if first.startswith("video_id") else first).split(",")
    try:
        return len(words) >= _AVA_COLUMNS and all(0 <= float(word) <= 1 for word in words[2:6])
    except ValueError:
        return False


def _content(path: Path, most: int) -> bytes:
    try:
        return without_mark(read_regular(path, most))
    except OSError:
        return b""


def _json_layout(content: bytes) -> str | None:
    if content[:_HEAD].lstrip()[:1] == b"[":
        return "label-studio" if _RECTANGLE.search(content, 0, _MOST_SEARCHED) else None
    try:
        keys = msgspec.json.decode(content, type=_Keys)
    except (ValueError, RecursionError):
        return None
    if keys.classes and keys.videos:
        return "json"
    if keys.videos and keys.annotations and keys.categories:
        return "coco-video"
    return "datumaro" if keys.items and keys.categories else None

"""Finds the files and videos of a dataset, and the pictures of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from edgekit.errors import MediaError
from edgekit.files.reading import is_there, path_below

__all__ = [
    "VIDEO_ENDINGS",
    "VideoFinder",
    "pictures_in",
    "place_below",
    "places_among",
    "visible_files",
]

VIDEO_ENDINGS = (".avi", ".mp4", ".mkv", ".mov", ".webm")
"""Endings of video files that are tried for a name without one."""

_FOLDERS = ("rgb-images", "videos", "", "Frames", "UCF-101", "ReCompress_Videos", "trainval")
"""Folders of a dataset that may hold its videos or folders of pictures; "" is the dataset's own."""


def place_below(root: Path, name: str) -> Path:
    """Returns the path that a name in annotations has below a folder, as ``path_below`` does.

    Archives of macOS write an accented letter as two characters, a letter and its accent (NFD),
    and annotations mostly as one (NFC). A name that does not exist as it is stands for either.

    Raises:
        ValueError: The name leads elsewhere, or to something else.
    """
    path = path_below(root, name)
    if name.isascii() or is_there(path):
        return path
    place = PurePosixPath()
    for part in PurePosixPath(name).parts:
        forms = (place / form for form in (part, normalize("NFC", part), normalize("NFD", part)))
        place = next((form for form in forms if is_there(root / form)), place / part)
    return path_below(root, str(place))


class VideoFinder:
    """Finds videos, or their folders of pictures, by their names in the annotations.

    A name such as ``Class/video`` stands for the folder ``rgb-images/Class/video``, for
    ``videos/Class/video.avi``, for ``Class/video.avi``, or for the like in another usual folder.

    Args:
        root: Folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[tuple[str, str], set[str]] = {}

    def path_of(self, name: str) -> Path:
        """Returns the first path that exists; ``root/rgb-images/name`` if none does.

        Raises:
            ValueError: The name leads out of the folder, or to a device or a pipe.
        """
        first = path_below(self._root / _FOLDERS[0], name)
        pure = PurePosixPath(name)
        for folder in _FOLDERS:
            found = self._names(folder, str(pure.parent))
            for ending in ("", *VIDEO_ENDINGS):
                if normalize("NFC", f"{pure.name}{ending}") in found:
                    return place_below(self._root / folder, f"{name}{ending}")
        return first

    def _names(self, folder: str, parent: str) -> set[str]:
        """Returns the names in a folder (NFC), which is listed once however many videos it has."""
        key = (folder, parent)
        if key not in self._listed:
            home = self._root / folder
            place = home if parent == "." else place_below(home, parent)
            try:
                self._listed[key] = {normalize("NFC", path.name) for path in place.iterdir()}
            except OSError:
                self._listed[key] = set()
        return self._listed[key]


def visible_files(root: Path, *patterns: str) -> list[Path]:
    """Returns the files below a folder that fit any of some patterns, in order.

    It leaves out hidden ones: macOS writes ``._clip.xml`` beside ``clip.xml`` on other disks.
    """
    found = {path for pattern in patterns for path in root.glob(pattern)}
    return sorted(path for path in found if not path.name.startswith("."))


def pictures_in(path: Path) -> dict[str, int]:
    """Returns the index of each picture of a folder by its name (NFC); none if it is no folder."""
    from edgekit.media.sources.pictures.folder import pictures_of

    if not path.is_dir():
        return {}
    try:
        pictures = pictures_of(path)
    except MediaError:  # there is no picture
        return {}
    return {normalize("NFC", file.name): place for place, file in enumerate(pictures)}


def places_among(pictures: Mapping[str, int], names: Sequence[str]) -> list[int] | None:
    """Returns the index of each named picture; None if none of them is among the pictures.

    Raises:
        ValueError: Only some of them are: the others would be taken for their neighbours.
    """
    names = [normalize("NFC", name) for name in names]
    missing = [name for name in names if name not in pictures]
    if len(missing) == len(names):
        return None
    if missing:
        raise ValueError(
            f"pictures that are missing: {len(missing)} of {len(names)}, such as '{missing[0]}'"
        )
    return [pictures[name] for name in names]

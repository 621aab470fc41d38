"""Finds sequences of consecutive frames in the paths that a user gives for calibration."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit._progress import SILENT, Progress
from edgekit.errors import CalibrationError, MediaError
from edgekit.files.checksums import sha256_of
from edgekit.files.reading import is_there, path_below, read_regular
from edgekit.media import open_source
from edgekit.media.sources.pictures.folder import PICTURES, natural_key
from edgekit.runtime.types import Frame

__all__ = ["VIDEOS", "FrameSequence", "find_sequences"]

VIDEOS = frozenset(
    (
        ".3gp",
        ".avi",
        ".flv",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".ts",
        ".webm",
        ".wmv",
    )
)
"""File endings of videos in a folder, in lower case."""

_MOST_BYTES, _MOST_LINES = 1 << 24, 100_000
_LISTS = frozenset((".list", ".lst", ".txt"))
_COMMENT = re.compile(r"^\s*#.*|\s#\s.*")
"""Comment in a list file; a ``#`` inside a file name does not start one."""
_HINT = "Name a video, a folder of videos or pictures, or a .txt file with one path on each line."
_NONE = "No videos or pictures were found in {}."

_log = logging.getLogger(__name__)
_MEDIA = logging.getLogger("edgekit.media")


class _MediaWarnings:
    """Hides the warnings of sources, in blocks of several threads that may end in any order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._level = logging.NOTSET

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        with self._lock:
            if not self._blocks:
                self._level = _MEDIA.level
                _MEDIA.setLevel(logging.ERROR)
            self._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks:
                    _MEDIA.setLevel(self._level)


_WARNINGS = _MediaWarnings()


@dataclass(frozen=True, slots=True)
class FrameSequence:
    """Consecutive frames: a video, or a folder of pictures.

    Attributes:
        path: Path of the video or folder.
        sha256: SHA-256 of the whole content.
    """

    path: Path
    sha256: str

    def frames(self, *, again: bool = False, progress: Progress = SILENT) -> Iterator[Frame]:
        """Yields the frames; if reading fails, it logs a warning and ends there.

        Args:
            again: Whether the frames were read before, so that problems were already reported.
            progress: Progress display, called for each frame.
        """
        with _WARNINGS.hidden() if again else contextlib.nullcontext():
            try:
                with open_source(self.path) as source:
                    yield from progress.count(f"reading {self.path.name}", source, source.frames)
            except MediaError as error:
                if not again:
                    _log.warning("EdgeKit stopped reading %s: %s", self.path, error.message)


def find_sequences(path: Path) -> list[FrameSequence]:
    """Returns all sequences in a path that a user gives, in natural order.

    Args:
        path: Video, picture, folder (with its subfolders), or list file. The lines of a list file
            are paths below its own folder; ``#`` begins a comment.

    Returns:
        All readable sequences, at least one. A warning names what cannot be read.

    Raises:
        CalibrationError: There is no sequence, or a line of a list leads out of its folder.
    """
    if not is_there(path):
        raise CalibrationError(f"Expected calibration data at {path}; there is none.", hint=_HINT)
    found = []
    skipped = 0
    for place in _places(path):
        try:
            with open_source(place):
                found.append(FrameSequence(place, _content(place)))
        except MediaError as error:
            skipped += 1
            _log.warning("Skipped %s: %s", place, error.message)
        except OSError as error:  # of a file that the source has not read
            skipped += 1
            _log.warning("Skipped %s: %s: %s.", place, error.filename, error.strerror)
    if skipped:
        _log.warning("%d of %d videos or folders were skipped.", skipped, skipped + len(found))
    if not found:
        what = "None of the videos and pictures in {} can be read." if skipped else _NONE
        raise CalibrationError(what.format(path), hint=_HINT)
    return found


def _places(path: Path) -> list[Path]:
    if path.is_file() and path.suffix.lower() in _LISTS:
        return [place for named in _listed(path) for place in _within(named)]
    return _within(path)


def _within(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    places = []
    for folder in sorted((path, *_folders(path)), key=lambda place: natural_key(str(place))):
        try:
            files = [
                file
                for file in folder.iterdir()
                if file.is_file() and not file.name.startswith(".")
            ]
        except OSError as error:
            _log.warning("Skipped %s: %s.", folder, error.strerror)
            continue
        if any(file.suffix.lower() in PICTURES for file in files):
            places.append(folder)
        videos = (file for file in files if file.suffix.lower() in VIDEOS)
        places += sorted(videos, key=lambda file: natural_key(file.name))
    return places


def _folders(path: Path) -> Iterator[Path]:
    for place in path.rglob("*"):
        with contextlib.suppress(OSError):  # in a folder whose names are all that may be read
            if place.is_dir():
                yield place


def _listed(path: Path) -> list[Path]:
    try:
        lines = read_regular(path, _MOST_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path} is not a list of paths: {error}.", hint=_HINT) from error
    if len(lines) > _MOST_LINES:
        raise CalibrationError(
            f"The list {path} has {len(lines)} lines, and at most {_MOST_LINES} are read.",
            hint=_HINT,
        )
    named = [_COMMENT.sub("", line).strip() for line in lines]
    try:
        return [path_below(path.parent, name) for name in named if name]
    except ValueError as error:
        raise CalibrationError(
            f"The list {path} contains a path that is not allowed: {error}.",
            hint="Put the list into a folder that contains the videos, or link their folder next "
            "to the list: ln -s FOLDER .",
        ) from error


def _content(place: Path) -> str:
    if place.is_file():
        return sha256_of(place)
    digest = hashlib.sha256()
    pictures = (file for file in place.iterdir() if file.suffix.lower() in PICTURES)
    for file in sorted(pictures, key=lambda file: natural_key(file.name)):
        checksum = ""  # of what is no readable file, which the source skips with a warning
        with contextlib.suppress(OSError):
            checksum = sha256_of(file)
        digest.update(file.name.encode(errors="surrogateescape") + b"\0" + checksum.encode())
    return digest.hexdigest()

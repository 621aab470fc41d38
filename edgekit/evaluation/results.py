"""Stores the detections of each finished video in a folder, so that an evaluation can continue.

Each video has a file of its own, named by the video and by a key of everything that its detections
depend on. A file is complete or absent, so any process may be killed at any time, and evaluations
with other bundles or options may share the folder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.calibration.store import Store, default_store, key_of
from edgekit.datasets.annotations import VideoTruth
from edgekit.errors import AnnotationError, OutputError
from edgekit.files.output_paths import marked, temporary_folder, writing
from edgekit.files.reading import open_regular
from edgekit.files.writing import atomic_file
from edgekit.metrics.detections import SavedVideo
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.system.distributions import installed_versions
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import runtime_packages

__all__ = ["ResultsFolder", "StoredResult", "open_results", "results_key"]

_LOG = logging.getLogger(__name__)
_LONGEST_NAME = 80
_ODD = re.compile(r"[^\w.-]+")
_ARRAYS = ("boxes", "scores", "counts", "fps")
_DAMAGED = (
    *(OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error),
    RuntimeError,  # a damaged header asks for a password, or for an unknown way of compression
)
"""Errors of numpy and zipfile about a damaged file."""


def results_key(bundle: Bundle, session: SessionOptions, top_k: int | None) -> str:
    """Returns a key for the detections of a bundle, in 32 hexadecimal digits.

    Another version of the runtime may compute other values. Threads, hint and cache change how fast
    a frame is computed, and are no part of the key.
    """
    versions = installed_versions(runtime_packages())
    return key_of(
        *(bundle.sha256, session.runtime, session.device, session.arithmetic, top_k), versions
    )


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The detections of a video in a file, as a ``StoredVideo``.

    Attributes:
        truth: Ground truth of the video.
        path: File of the detections.
    """

    truth: VideoTruth
    path: Path

    @property
    def annotated(self) -> bool:
        """Whether the video has an annotated tube."""
        return bool(self.truth.tubes)

    def load(self) -> SavedVideo:
        """Returns the detections and the ground truth.

        Raises:
            AnnotationError: The file is gone or damaged, or the video has another number of frames.
        """
        found = _read(self.path)
        if found is None:
            raise AnnotationError(
                f"The detections of '{self.truth.name}' in {self.path} are gone or damaged.",
                hint="The same command finds them again.",
            )
        return SavedVideo(self.truth, found)


class ResultsFolder:
    """Finished videos of evaluations.

    Args:
        path: Path of the folder; ``keep`` creates it.
        key: Key of what the detections depend on besides the video, from ``results_key``.
        lasting: Whether the folder stays after the evaluation.
    """

    def __init__(self, path: Path, key: str, *, lasting: bool = True) -> None:
        self.path, self.lasting = path, lasting
        self._key = key

    def find(self, video: VideoTruth) -> StoredResult | None:
        """Returns the stored detections of a video; None if there are none.

        Raises:
            OSError: The video is missing or cannot be read.
        """
        stored = StoredResult(video, self._place(video))
        return None if _read(stored.path) is None else stored

    def keep(self, video: VideoTruth, found: FrameDetections) -> StoredResult:
        """Stores the detections of a video.

        Raises:
            AnnotationError: The video has another number of frames than its annotation.
            OutputError: The file cannot be written, or the disk is full.
        """
        SavedVideo(video, found)
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        place = self._place(video)
        with atomic_file(place) as temporary, temporary.open("wb") as file:
            # Equal arrays give equal bytes: numpy writes no time and no name into the file.
            np.savez_compressed(
                file,
                counts=found.counts,
                boxes=found.boxes,
                scores=found.scores,
                fps=np.array([found.fps]),
            )
        return StoredResult(video, place)

    def _place(self, video: VideoTruth) -> Path:
        assert video.path is not None
        # A video may fit an annotation, and be refused for another one of its frames or its size.
        said = (video.frames, video.width, video.height)
        key = key_of(self._key, video.name, _identity(video.path), said)
        name = _ODD.sub("_", video.name)[-_LONGEST_NAME:]
        return marked(self.path / f"{name}.npz", f"-{key}")  # 80 characters may be 320 bytes


@contextlib.contextmanager
def open_results(path: Path | None, key: str) -> Iterator[ResultsFolder]:
    """Yields a folder of results, which nobody empties until the block ends.

    Args:
        path: Folder to use; None for one in EdgeKit's cache.
        key: Key of the detections, from ``results_key``.
    """
    if path is not None:
        yield ResultsFolder(path, key)
        return
    try:
        store = Store(default_store(parameter("results", "FOLDER")))
    except OutputError as error:
        # An evaluation needs no place to write to, only to continue after an interruption.
        _LOG.warning("The results of this evaluation will not be kept. %s", error.message)
        with temporary_folder() as folder:
            yield ResultsFolder(folder, key, lasting=False)
        return
    with store.in_use():
        yield ResultsFolder(store.path / f"videos-{key}", key)


def _identity(path: Path) -> list[tuple[bytes, int, int]]:
    """Returns names, sizes and times of a video's file or of all files in its folder.

    Raises:
        OSError: The file or folder is missing or cannot be read.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(file.name, file.stat()) for file in files]
    # A name need not be UTF-8, and the text of a key is.
    return [(os.fsencode(name), stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def _read(path: Path) -> FrameDetections | None:
    """Returns the detections in a file; None if it is missing, damaged, or of another user."""
    try:
        with open_regular(path, own=True) as (file, _), np.load(file, allow_pickle=False) as arrays:
            boxes, scores, counts, fps = (arrays[name] for name in _ARRAYS)
    except _DAMAGED:
        return None
    kinds = [(array.ndim, array.dtype.kind) for array in (boxes, scores, counts, fps)]
    if kinds != [(2, "f"), (2, "f"), (1, "i"), (1, "f")] or boxes.shape[1] != 4:
        return None
    if len(boxes) != len(scores) or np.maximum(counts, 0).sum() != len(boxes):
        return None
    if len(fps) != 1 or not 0 < fps[0] < np.inf:
        return None
    return FrameDetections(boxes, scores, counts, float(fps[0]))

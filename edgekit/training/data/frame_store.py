"""The frame store: a folder with the frames of videos, made once and read by every later run.

Each video is one piece of the user's cache, under a key of its content and of the size of the
stored pictures. ``edgekit cache`` shows and removes the pieces.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._printable import plural, size_text
from edgekit._progress import Progress
from edgekit.datasets.annotations import VideoTruth
from edgekit.errors import MediaError, OutputError
from edgekit.files.checksums import sha256_of
from edgekit.files.output_paths import writing
from edgekit.files.writing import cached_folder
from edgekit.media import open_source
from edgekit.runtime.letterbox import Letterbox
from edgekit.training.data.augmentation import LARGEST_SCALES
from edgekit.training.data.stored_video import (
    QUALITY,
    StoredFrames,
    encoded,
    store_video,
    stored_video,
)

__all__ = ["FrameStore", "Need", "raise_all"]

_KIND = "frames"
_VERSION = 1
_WORTH_SCALING = 0.75
_LOOKED_AT = 6
_SAMPLED_FRAMES = 3
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Need:
    """Videos and disk space that a run needs in the frame store.

    Attributes:
        keys: Key of each video.
        factors: Scale of each video's stored pictures.
        missing: Indices of the videos that are not stored yet.
        missing_bytes: Estimated size of the missing videos.
        present_bytes: Size of everything in the store.
    """

    keys: tuple[str, ...]
    factors: tuple[float, ...]
    missing: tuple[int, ...]
    missing_bytes: int
    present_bytes: int


class FrameStore:
    """Stored videos in a folder.

    Args:
        folder: Folder of the store, created if missing.
        most_bytes: Largest size of the store.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes

    def need(
        self,
        videos: Sequence[VideoTruth],
        size: tuple[int, int],
        workers: int,
        progress: Progress,
        scale: float = LARGEST_SCALES["wide"],
    ) -> Need:
        """Returns which videos have to be stored, and how large they will be.

        Args:
            videos: Videos with their paths.
            size: (height, width) of the network's input.
            workers: Number of threads that read the videos.
            progress: Display of the progress: a phase of one step per video.
            scale: Largest scale of a sample, for a picture that fits the input at scale 1.

        Raises:
            MediaError: The file of a video cannot be opened.
        """
        factors = tuple(_factor(video, size, scale) for video in videos)
        with ThreadPoolExecutor(max(1, workers)) as pool:
            found = pool.map(_key, videos, factors)
            keys = tuple(progress.count("Reading clips", found, len(videos)))
        first: dict[str, int] = {}
        for number, key in enumerate(keys):  # several datasets may have one video
            first.setdefault(key, number)
        missing = tuple(
            n for key, n in first.items() if stored_video(self._place(key), key) is None
        )
        some = missing[:: max(1, len(missing) // _LOOKED_AT)][:_LOOKED_AT]
        per_pixel = max((_bytes_per_pixel(videos[n], factors[n]) for n in some), default=0.0)
        pixels = sum(
            videos[n].frames * videos[n].width * videos[n].height * factors[n] ** 2 for n in missing
        )
        present = sum(
            path.stat().st_size for path in self.folder.glob(f"{_KIND}-*/*") if path.is_file()
        )
        return Need(keys, factors, missing, round(per_pixel * pixels), present)

    def check(self, need: Need) -> None:
        """Raises if the missing videos would exceed the limit of the store, or the free space.

        Raises:
            OutputError: They would.
        """
        if not need.missing:
            return
        count = len(need.missing)
        what = (
            f"{count} {plural('video', count)} {'has' if count == 1 else 'have'} to be stored as "
            f"pictures, about {size_text(need.missing_bytes)}"
        )
        if need.present_bytes + need.missing_bytes > self.most_bytes:
            raise OutputError(
                f"{what}. The frame store {self.folder} holds {size_text(need.present_bytes)} "
                f"and may hold {size_text(self.most_bytes)}.",
                hint=self._hint(need.present_bytes + need.missing_bytes),
            )
        place = self.folder
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if need.missing_bytes > free:
            raise OutputError(
                f"{what}. Only {size_text(free)} are free in {self.folder}.",
                hint="Free some space there, or choose a folder on another disk: "
                f"{parameter('frame_store', 'FOLDER')}",
            )

    def make(
        self, videos: Sequence[VideoTruth], need: Need, workers: int, progress: Progress
    ) -> None:
        """Stores the missing videos. What was stored before an error or an interrupt stays.

        Args:
            videos: Videos that ``need`` was called with.
            need: Result of ``need``.
            workers: Number of videos that are stored at the same time.
            progress: Display of the progress: a phase of one step per missing video.

        Raises:
            MediaError: Some videos cannot be read; the others are stored.
            OutputError: The store cannot be written, or grows over its limit.
        """
        if not need.missing:
            return
        with writing(self.folder):
            self.folder.mkdir(0o700, exist_ok=True)
        room = _Room(self.most_bytes - need.present_bytes)
        pool = ThreadPoolExecutor(max(1, workers))
        try:
            jobs = {
                pool.submit(self._make, videos[n], need.keys[n], need.factors[n], room): n
                for n in need.missing
            }
            failed = []
            for job in progress.count("Storing frames", as_completed(jobs), len(jobs)):
                error = job.exception()
                if isinstance(error, MediaError):
                    failed.append(error)
                elif error is not None:
                    raise error
        except _FullError as error:
            raise OutputError(
                f"The frame store {self.folder} would grow over "
                f"{size_text(self.most_bytes)}. What is stored so far stays.",
                hint=self._hint(2 * self.most_bytes),
            ) from error
        finally:
            room.stop()
            pool.shutdown(cancel_futures=True)
        raise_all(failed)

    def stored(self, key: str) -> StoredFrames:
        """Returns a stored video.

        Raises:
            OutputError: It was removed meanwhile.
        """
        found = stored_video(self._place(key), key)
        if found is None:
            raise OutputError(
                f"The stored video {self._place(key)} was removed or changed.",
                hint="Run the command again: EdgeKit then stores it again.",
            )
        return found

    def _make(self, video: VideoTruth, key: str, factor: float, room: _Room) -> None:
        def fill(folder: Path) -> None:
            store_video(folder, video, factor, key, room.take)

        place = self._place(key)
        cached_folder(place, lambda: stored_video(place, key) is not None, fill)

    def _place(self, key: str) -> Path:
        return self.folder / f"{_KIND}-{key}"

    def _hint(self, size: int) -> str:
        most = (size // 10**9 + 1) * 10**9
        return (
            f"Allow more: {parameter('frame_store_size', most)}; choose a folder on a "
            f"larger disk: {parameter('frame_store', 'FOLDER')}; or empty the store: edgekit cache "
            "clear"
        )


class _FullError(Exception):
    """The store would grow over its limit."""


class _Room:
    """Counts the bytes of all threads that store videos, and stops them."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        with self._lock:
            self._left -= count
            if self._left < 0:
                raise _FullError

    def stop(self) -> None:
        with self._lock:
            self._left = -1


def _factor(video: VideoTruth, size: tuple[int, int], largest: float) -> float:
    """Returns the scale at which no sample enlarges stored pictures beyond those of the video."""
    scale = Letterbox.fit((video.height, video.width), size).scale * largest
    return round(scale, 4) if scale < _WORTH_SCALING else 1.0


def _key(video: VideoTruth, factor: float) -> str:
    """Returns the key of a video: its content, the scale, and how its frames are stored."""
    assert video.path is not None
    try:
        parts = [sha256_of(path) for path in _files(video.path)]
    except OSError as error:
        raise MediaError(
            f"Cannot read {video.path}: {error.strerror}.",
            hint="Check the path and its permissions.",
        ) from error
    text = repr((_VERSION, QUALITY, factor, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else (path,)


def _bytes_per_pixel(video: VideoTruth, factor: float) -> float:
    """Returns the bytes of a stored picture for each pixel, from the first frames of a video.

    One that cannot be read counts as 0: ``FrameStore.make`` reports it with all others.
    """
    assert video.path is not None
    sizes, pixels = 0, 0.0
    with contextlib.suppress(MediaError), open_source(video.path) as source:
        for frame, _ in zip(source, range(_SAMPLED_FRAMES), strict=False):
            content, scale = encoded(frame.image, factor)
            sizes += len(content)
            pixels += frame.image.shape[0] * frame.image.shape[1] * scale[0] * scale[1]
    return sizes / max(1.0, pixels)


def raise_all(failed: Sequence[MediaError]) -> None:
    """Raises one error for all videos that cannot be used; none if there are none."""
    if not failed:
        return
    if len(failed) == 1:
        raise failed[0]
    lines = [f"  {error.message}" for error in failed[:_NAMED]]
    rest = f"\n  and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    raise MediaError(
        f"{len(failed)} videos cannot be used:\n" + "\n".join(lines) + rest,
        hint="Restore them, or remove them from the annotations. edgekit dataset check lists all "
        "faults of a dataset.",
    )

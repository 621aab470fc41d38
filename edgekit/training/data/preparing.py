"""Prepares the clips of a run: their index, and their frames where any can be read at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit._parameters import parameter
from edgekit._printable import plural, size_text
from edgekit._progress import Progress
from edgekit.calibration.store import Store, default_store
from edgekit.datasets.annotations import VideoTruth
from edgekit.datasets.video_facts import facts_of, refuse_other_size
from edgekit.errors import MediaError
from edgekit.media.sources.source import DEFAULT_FPS
from edgekit.runtime.types import Array
from edgekit.training.data.augmentation import LARGEST_SCALES
from edgekit.training.data.clip_index import ClipIndex, index_clips
from edgekit.training.data.frame_reader import FramePlaces
from edgekit.training.data.frame_store import FrameStore, Need, raise_all
from edgekit.training.data.locating import locate_frames, picture_names
from edgekit.training.data.stored_video import StoredFrames, refuse_short
from edgekit.training.optimization.process_group import ProcessGroup

__all__ = ["ClipSource", "PreparedClips", "prepared_clips"]


@dataclass(frozen=True, slots=True)
class ClipSource:
    """Clips of a run, and how their frames are prepared.

    Attributes:
        videos: Videos, each with the index of its dataset.
        share: Share of each video to learn from, in (0, 1].
        size: (height, width) of the network's input.
        frame_store: Folder for the frames of videos; None for the user's cache folder.
        most_stored: Largest size of that folder, in bytes.
        workers: Number of videos that are stored at the same time.
        scale: Largest scale of a sample, for a picture that fits the input at scale 1.
    """

    videos: Sequence[tuple[int, VideoTruth]]
    share: float
    size: tuple[int, int]
    frame_store: Path | None
    most_stored: int
    workers: int
    scale: float = LARGEST_SCALES["wide"]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedClips:
    """Clips of which any frame can be read at once.

    Attributes:
        index: Annotations of the clips.
        places: Where their frames are.
        rates: Frames per second of each clip, (n,).
        disk: Estimated bytes of the frames that had to be stored.
    """

    index: ClipIndex
    places: FramePlaces
    rates: Array
    disk: int = 0


@contextlib.contextmanager
def prepared_clips(
    source: ClipSource,
    group: ProcessGroup,
    progress: Progress,
    say: Callable[[str], None],
) -> Iterator[PreparedClips]:
    """Yields the clips of a run; meanwhile, nobody can clear the frame store.

    Videos that are not in the frame store are stored first. Of several processes on a machine, one
    does so for all.

    Args:
        source: Where the clips come from.
        group: Processes that train together.
        progress: Display of the progress.
        say: Function that shows the user what will be stored.

    Raises:
        MediaError: A video or picture is missing or cannot be read, or has another size or fewer
            frames than annotated.
        OutputError: The frames need more space than there is, or than the store may take.
    """
    videos = [video for _, video in source.videos]
    index = index_clips(source.videos, source.share)
    names, failed = {}, []
    for number, video in enumerate(videos):
        try:
            found = picture_names(video)
        except MediaError as error:
            failed.append(error)
        else:
            if found is not None:
                names[number] = found
    raise_all(failed)
    others = [number for number in range(len(videos)) if number not in names]
    with contextlib.ExitStack() as stack:
        stored = {}
        need = None
        if others:
            folder = source.frame_store or default_store(parameter("frame_store", "FOLDER"))
            store = FrameStore(folder, source.most_stored)
            stack.enter_context(Store(folder).in_use())
            if group.local == 0:
                need = _fill(store, [videos[n] for n in others], source, progress, say)
            group.wait()
            keys = group.from_first(need.keys if need else ())
            stored = {n: store.stored(key) for n, key in zip(others, keys, strict=True)}
            _refuse_other_ones(videos, stored)
        places = locate_frames(videos, index.start, names, stored)
        rates = [
            (stored[n].fps or facts_of(video.require_path()).fps) if n in stored else DEFAULT_FPS
            for n, video in enumerate(videos)
        ]
        yield PreparedClips(index, places, np.array(rates), need.missing_bytes if need else 0)


def _refuse_other_ones(videos: Sequence[VideoTruth], stored: Mapping[int, StoredFrames]) -> None:
    """Raises if videos are of another size than annotated, or shorter.

    The latter may have been stored for other annotations.
    """
    failed = []
    for number, found in stored.items():
        video = videos[number]
        try:
            refuse_short(video.require_path(), len(found.lengths), video.frames)
            refuse_other_size(video, found.size)
        except MediaError as error:
            failed.append(error)
    raise_all(failed)


def _fill(
    store: FrameStore,
    videos: Sequence[VideoTruth],
    source: ClipSource,
    progress: Progress,
    say: Callable[[str], None],
) -> Need:
    need = store.need(videos, source.size, source.workers, progress, source.scale)
    store.check(need)
    if need.missing:
        say(
            f"Storing the frames of {len(need.missing)} {plural('video', len(need.missing))} in "
            f"{store.folder}: about {size_text(need.missing_bytes)}, once."
        )
    store.make(videos, need, source.workers, progress)
    return need

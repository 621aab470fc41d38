"""Finds the frames of all clips on disk: pictures where they are, and videos in the frame store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.datasets.annotations import VideoTruth
from edgekit.datasets.video_facts import refuse_other_size
from edgekit.errors import MediaError
from edgekit.media.sources.pictures.folder import pictures_of
from edgekit.training.data.frame_reader import FramePlaces
from edgekit.training.data.stored_video import StoredFrames, refuse_short

__all__ = ["PictureNames", "locate_frames", "picture_names"]


@dataclass(frozen=True, slots=True, eq=False)
class PictureNames:
    """Names of the pictures of one clip, in order.

    Attributes:
        names: Names, one after another, as bytes.
        lengths: Bytes of each name.
    """

    names: bytes
    lengths: npt.NDArray[np.uint32]


def picture_names(video: VideoTruth) -> PictureNames | None:
    """Returns the pictures of a video that is a folder of them; None for any other video.

    A folder of pictures with more than 8 bits counts as a video, because all of its pictures
    have to be scaled alike.

    Raises:
        MediaError: The path is unknown or missing, there are fewer pictures than annotated frames,
            or they have another size than annotated.
    """
    path = video.require_path()
    if not path.exists():
        raise MediaError(
            f"There is no file or folder {path}.",
            hint="Check the path, or put the video into the folder of its annotations.",
        )
    if not path.is_dir():
        return None
    files = pictures_of(path)
    first = cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED)
    if first is None or first.dtype != np.uint8:
        return None
    refuse_short(path, len(files), video.frames)
    refuse_other_size(video, (first.shape[0], first.shape[1]))
    names = [os.fsencode(file.name) for file in files]
    return PictureNames(b"".join(names), np.array([len(name) for name in names], np.uint32))


def locate_frames(
    videos: Sequence[VideoTruth],
    start: npt.NDArray[np.int64],
    names: Mapping[int, PictureNames],
    stored: Mapping[int, StoredFrames],
) -> FramePlaces:
    """Returns where the first frames of each video are.

    Args:
        videos: Videos.
        start: Number of the first frame of each video among all frames, and their sum, (n + 1,).
        names: Pictures of the videos that are folders, by index.
        stored: All other videos, as they are stored, by index.
    """
    count, total = len(videos), int(start[-1])
    paths: list[str] = []
    sizes, scales, aspects = np.zeros((count, 2), np.int32), np.ones((count, 2)), np.ones(count)
    begin, length = np.zeros(total, np.int64), np.zeros(total, np.uint32)
    checksums = np.zeros(total, np.uint32)
    pieces: list[bytes] = []
    used = 0
    for number, video in enumerate(videos):
        span = slice(int(start[number]), int(start[number + 1]))
        frames = span.stop - span.start
        if number in names:
            found = names[number]
            lengths = found.lengths[:frames]
            paths.append(str(video.path))
            offset = used
            kept = found.names[: int(lengths.sum(dtype=np.int64))]
            pieces.append(kept)
            used += len(kept)
        else:
            video_file = stored[number]
            lengths, offset = video_file.lengths[:frames], 0
            paths.append(str(video_file.path))
            sizes[number], scales[number] = video_file.size, video_file.scale
            aspects[number] = video_file.aspect
            checksums[span] = video_file.checksums[:frames]
        length[span] = lengths
        begin[span] = offset + np.cumsum(lengths, dtype=np.int64) - lengths
    return FramePlaces(
        tuple(paths),
        np.array([number not in names for number in range(count)], np.bool_),
        sizes,
        scales,
        aspects,
        start,
        begin,
        length,
        checksums,
        b"".join(pieces),
    )

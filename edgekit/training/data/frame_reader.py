"""Reads single frames of clips from disk: pictures of a folder, or of a stored video."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgekit._parameters import parameter
from edgekit.errors import MediaError
from edgekit.media.sources.pictures.folder import read_picture
from edgekit.runtime.types import Array

__all__ = ["ClipReader", "FramePlaces", "Picture"]

_MOST_OPEN = 32
_COLOUR = cv2.IMREAD_COLOR


@dataclass(frozen=True, slots=True, eq=False)
class FramePlaces:
    """Places on disk of f frames of n clips, as a few arrays.

    Attributes:
        paths: Folder of pictures, or file of stored frames, of each clip.
        stored: Whether each clip is a file of stored frames, (n,).
        sizes: Height and width of each stored clip's video, (n, 2).
        scales: Stored pixels for each pixel of the video in x and y, (n, 2); 1 for pictures.
        aspects: Width of a pixel over its height, (n,).
        start: Number of the first frame of each clip among all frames, and f, (n + 1,).
        begin: Position of each stored frame in its file, or of a picture's name in ``names``, (f,).
        length: Bytes of each stored frame, or of a picture's name, (f,).
        checksums: CRC-32 of each stored frame, (f,).
        names: Names of the pictures, one after another, as bytes.
    """

    paths: tuple[str, ...]
    stored: npt.NDArray[np.bool_]
    sizes: npt.NDArray[np.int32]
    scales: Array
    aspects: Array
    start: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]
    length: npt.NDArray[np.uint32]
    checksums: npt.NDArray[np.uint32]
    names: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One frame.

    Attributes:
        image: Picture as it is stored, (h, w, 3) uint8, BGR.
        size: Height and width of the frame in its video, whose pixels boxes refer to.
        scale: Stored pixels for each pixel of the video, in x and y.
        aspect: Width of a pixel of the video over its height.
    """

    image: npt.NDArray[np.uint8]
    size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0


class ClipReader:
    """Reads frames in any order, with a few files open; a process or thread needs its own.

    Args:
        places: Where the frames are.
    """

    def __init__(self, places: FramePlaces) -> None:
        self._places = places
        self._open: OrderedDict[int, int] = OrderedDict()

    def __del__(self) -> None:
        for handle in self._open.values():
            with contextlib.suppress(OSError):
                os.close(handle)

    def read(self, clip: int, frame: int) -> Picture:
        """Returns a frame of a clip.

        Args:
            clip: Index of the clip.
            frame: Index of the frame in its clip.

        Raises:
            MediaError: It can no longer be read, or is damaged.
        """
        places = self._places
        number = int(places.start[clip]) + frame
        begin, length = int(places.begin[number]), int(places.length[number])
        if not places.stored[clip]:
            name = os.fsdecode(places.names[begin : begin + length])
            image = read_picture(Path(places.paths[clip], name))
            return Picture(image, (image.shape[0], image.shape[1]))
        content = self._stored(clip, begin, length)
        whole = len(content) == length and zlib.crc32(content) == places.checksums[number]
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), _COLOUR) if whole else None
        if decoded is None:
            folder = Path(places.paths[clip]).parent
            raise MediaError(
                f"Frame {frame} of the stored video {folder} is damaged.",
                hint=f"Remove that folder and add {parameter('resume', True)}: EdgeKit stores the "
                "video again.",
            )
        height, width = places.sizes[clip]
        scale_x, scale_y = places.scales[clip]
        return Picture(
            decoded.astype(np.uint8, copy=False),
            (int(height), int(width)),
            (float(scale_x), float(scale_y)),
            float(places.aspects[clip]),
        )

    def _stored(self, clip: int, begin: int, length: int) -> bytes:
        handle = self._open.pop(clip, None)
        try:
            if handle is None:
                handle = os.open(self._places.paths[clip], os.O_RDONLY)
            self._open[clip] = handle
            if len(self._open) > _MOST_OPEN:
                os.close(self._open.popitem(last=False)[1])
            return os.pread(handle, length, begin)
        except OSError as error:
            raise _unreadable(self._places.paths[clip], error) from error


def _unreadable(path: str, error: OSError) -> MediaError:
    return MediaError(
        f"{path} cannot be read: {error.strerror}.",
        hint=f"Restore it, then add {parameter('resume', True)} to go on.",
    )

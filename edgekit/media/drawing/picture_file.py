"""Writes pictures as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.errors import OutputError
from edgekit.files.writing import atomic_file
from edgekit.media._opencv import cv2
from edgekit.media.sources.source import name_of

__all__ = ["refuse_no_picture", "write_picture"]


def refuse_no_picture(path: Path) -> None:
    """Raises, before long work, if a file's name does not say in which format to write a picture.

    Raises:
        OutputError: The name has another ending, or none.
    """
    ending = path.suffix
    if not (ending.isascii() and cv2.haveImageWriter(f"picture{ending}")):
        raise OutputError(
            f"{name_of(path)} does not end in the extension of a picture format.",
            hint="Choose a name that ends in .png.",
        )


def write_picture(picture: npt.NDArray[np.uint8], path: Path) -> None:
    """Writes a picture as PNG, JPEG or another format, by the ending of ``path``.

    Args:
        picture: (H, W, 3) uint8, BGR.
        path: File to write.

    Raises:
        OutputError: OpenCV does not support the format, or the file cannot be written.
    """
    # OpenCV encodes names of files as UTF-8, and a name need not be.
    try:
        good, content = cv2.imencode(path.suffix, picture)
    except cv2.error:
        good = False
    if not good:
        raise OutputError(f"Cannot write a picture to {path}.", hint="End its name in .png.")
    with atomic_file(path) as temporary:
        temporary.write_bytes(content.tobytes())

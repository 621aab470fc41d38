"""What the kernel says of its cameras: Video4Linux, asked without starting them."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Camera", "Format", "cameras", "describe"]

# The requests of linux/videodev2.h: two bits of direction, 14 of size, 'V', and a number.
_QUERYCAP = 0x80685600
_ENUM_FMT = 0xC0405602
_ENUM_FRAMESIZES = 0xC02C564A
_CAPTURE, _CAPTURE_PLANES, _HAS_OWN = 0x1, 0x1000, 0x80000000
_DISCRETE = 1
_MOST = 64

Ioctl = Callable[[int, int, bytearray], int]


class Format(NamedTuple):
    """A pixel format of a camera.

    Attributes:
        name: Four letters, such as ``MJPG``.
        sizes: Widths and heights, the largest first; of a camera that scales, its largest only.
    """

    name: str
    sizes: tuple[tuple[int, int], ...]


class Camera(NamedTuple):
    """A device that gives pictures.

    Attributes:
        device: Its path.
        name: As its maker calls it.
        driver: Of the kernel.
        formats: In the driver's order.
    """

    device: str
    name: str
    driver: str
    formats: tuple[Format, ...]


def cameras() -> list[Camera]:
    """All devices of this machine that give pictures, in order of their numbers."""
    nodes = sorted(Path("/dev").glob("video[0-9]*"), key=lambda node: int(node.name[5:] or 0))
    found = (describe(node) for node in nodes if node.name[5:].isdecimal())
    return [camera for camera in found if camera is not None]


def describe(path: Path, ioctl: Ioctl | None = None) -> Camera | None:
    """A device as a camera; None where it is none, or may not be opened.

    Args:
        path: Of the device.
        ioctl: ``fcntl.ioctl``, or what takes its place.
    """
    import fcntl

    ask = ioctl or fcntl.ioctl
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = bytearray(104)
        ask(descriptor, _QUERYCAP, answer)
        driver, card, _, _, every, own = struct.unpack_from("=16s32s32sIII", answer)
        able = own if every & _HAS_OWN else every
        if not able & (_CAPTURE | _CAPTURE_PLANES):
            return None
        kind = 1 if able & _CAPTURE else 9
        formats = tuple(_formats(ask, descriptor, kind))
        return Camera(str(path), _text(card), _text(driver), formats)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _formats(ask: Ioctl, descriptor: int, kind: int) -> Iterator[Format]:
    for answer in _listed(ask, descriptor, _ENUM_FMT, 64, kind):
        (code,) = struct.unpack_from("=I", answer, 44)
        sizes = set()
        for size in _listed(ask, descriptor, _ENUM_FRAMESIZES, 44, code):
            shape, width, height, _, _, most_height = struct.unpack_from("=6I", size, 8)
            # Of steps, the fields are: least and most width, step, least and most height, step.
            sizes.add((width, height) if shape == _DISCRETE else (height, most_height))
        yield Format(_text(code.to_bytes(4, "little")), tuple(sorted(sizes, reverse=True)))


def _listed(ask: Ioctl, descriptor: int, request: int, size: int, second: int) -> Iterator[bytes]:
    """The entries that the kernel numbers from 0 until it says that there are no more."""
    for index in range(_MOST):
        answer = bytearray(size)
        struct.pack_into("=II", answer, 0, index, second)
        try:
            ask(descriptor, request, answer)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTTY):
                raise
            return
        yield bytes(answer)


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace").strip()

"""Describes the kernel's cameras (Video4Linux) without starting them."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgekit.media.sources.cameras.messages import NOT_PERMITTED

__all__ = ["Camera", "Format", "Ioctl", "cameras", "describe", "format_name"]

# ioctl codes of linux/videodev2.h: two bits of direction, 14 of size, 'V', and a number.
_QUERYCAP = 0x80685600
_ENUM_FMT = 0xC0405602
_ENUM_FRAMESIZES = 0xC02C564A
_ENUM_FRAMEINTERVALS = 0xC034564B
_CAPTURE, _CAPTURE_PLANES, _HAS_OWN = 0x1, 0x1000, 0x80000000
_DISCRETE = 1
_BIG_ENDIAN = 1 << 31
_MOST = 256

_MAJOR = 81
"""The kernel's major number of video devices."""

_SYSTEM = Path("/sys/class/video4linux")

Ioctl = Callable[[int, int, bytearray], int]


@dataclass(frozen=True, slots=True)
class Format:
    """A pixel format of a camera.

    Attributes:
        name: FourCC, such as ``MJPG``.
        sizes: Widths and heights in pixels, largest first. A camera with a continuous range lists
            only its largest size.
        rates: Frames per second for each size, highest first. Empty if the driver does not report
            them; a camera with a continuous range lists its highest and lowest rate.
    """

    name: str
    sizes: tuple[tuple[int, int], ...]
    rates: tuple[tuple[float, ...], ...] = ()


class Camera(NamedTuple):
    """A device that captures pictures.

    Attributes:
        device: Path of the device file.
        name: Product name.
        driver: Kernel driver; empty if the device may not be opened.
        formats: Pixel formats, in the driver's order.
        problem: Reason for unknown formats; empty if they are known.
        planes: Whether the device offers only multi-planar formats.
    """

    device: str
    name: str
    driver: str
    formats: tuple[Format, ...]
    problem: str = ""
    planes: bool = False


def cameras(folder: Path = Path("/dev")) -> list[Camera]:
    """Lists all capture devices of this machine, in order of their numbers.

    Devices that may not be opened are included, with their problem.

    Args:
        folder: Folder of the device files.
    """
    # Rules of udev may add links with other names, such as video0-front.
    nodes = [node for node in folder.glob("video[0-9]*") if node.name[5:].isdecimal()]
    found = map(describe, sorted(nodes, key=lambda node: int(node.name[5:])))
    return [camera for camera in found if camera is not None]


def describe(path: Path, ioctl: Ioctl | None = None, system: Path = _SYSTEM) -> Camera | None:
    """Describes a device as a camera; returns None if it is none.

    Args:
        path: Device file.
        ioctl: ``fcntl.ioctl``, or a replacement for it.
        system: Folder in which the kernel describes its video devices, readable by everyone.
    """
    import fcntl

    ask = ioctl or fcntl.ioctl
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return _closed(path, error, system)
    try:
        answer = bytearray(104)
        ask(descriptor, _QUERYCAP, answer)
        driver, card, _, _, every, own = struct.unpack_from("=16s32s32sIII", answer)
        able = own if every & _HAS_OWN else every
        if not able & (_CAPTURE | _CAPTURE_PLANES):
            return None
        kind = 1 if able & _CAPTURE else 9
        formats = tuple(_formats(ask, descriptor, kind))
        return Camera(str(path), _text(card), _text(driver), formats, planes=kind == 9)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _closed(path: Path, error: OSError, system: Path) -> Camera | None:
    """Describes a device that cannot be opened; returns None if it does not seem to be a camera."""
    problems = {
        errno.EACCES: NOT_PERMITTED,
        errno.EPERM: NOT_PERMITTED,
        errno.EBUSY: "is in use by another program",
    }
    if error.errno not in problems:
        return None
    entry = system / path.resolve().name
    try:
        # A camera's further device files usually carry metadata.
        if (entry / "index").read_text().strip() != "0":
            return None
        name = (entry / "name").read_text(errors="replace").strip()
    except OSError:
        # A container may have the device file without the kernel's folder that describes it.
        if entry.exists() or not _is_video(path):
            return None
        name = path.name
    return Camera(str(path), name, "", (), problems[error.errno])


def _is_video(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == _MAJOR


def _formats(ask: Ioctl, descriptor: int, kind: int) -> Iterator[Format]:
    for answer in _listed(ask, descriptor, _ENUM_FMT, 64, kind):
        (code,) = struct.unpack_from("=I", answer, 44)
        sizes = set()
        for size in _listed(ask, descriptor, _ENUM_FRAMESIZES, 44, code):
            shape, width, height, _, _, most_height = struct.unpack_from("=6I", size, 8)
            # The fields of a range are least and most width, step, least and most height, step.
            sizes.add((width, height) if shape == _DISCRETE else (height, most_height))
        ordered = sorted(sizes, reverse=True)
        rates = tuple(_rates(ask, descriptor, code, size) for size in ordered)
        yield Format(format_name(code), tuple(ordered), rates)


def _rates(ask: Ioctl, descriptor: int, code: int, size: tuple[int, int]) -> tuple[float, ...]:
    found = set()
    for answer in _listed(ask, descriptor, _ENUM_FRAMEINTERVALS, 52, code, *size):
        shape, *parts = struct.unpack_from("=5I", answer, 16)
        # A range has the shortest interval first, then the longest.
        for seconds, one in (parts[:2],) if shape == _DISCRETE else (parts[:2], parts[2:]):
            if seconds and one:
                found.add(round(one / seconds, 3))
    return tuple(sorted(found, reverse=True))


def _listed(ask: Ioctl, descriptor: int, request: int, size: int, *of: int) -> Iterator[bytes]:
    """Yields the entries of an enumeration, numbered from 0, until the kernel reports its end."""
    for index in range(_MOST):
        answer = bytearray(size)
        struct.pack_into(f"={1 + len(of)}I", answer, 0, index, *of)
        try:
            ask(descriptor, request, answer)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTTY):
                raise
            return
        yield bytes(answer)


def format_name(code: int) -> str:
    """Returns the FourCC of a format, with ``-BE`` if its words are big-endian."""
    name = _text((code & ~_BIG_ENDIAN).to_bytes(4, "little"))
    return f"{name}-BE" if code & _BIG_ENDIAN else name


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace").strip()

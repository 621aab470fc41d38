"""Captures pictures with Video4Linux, with the kernel's buffers, capture times and counts."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import select
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from edgekit.media.sources.cameras.v4l2 import Ioctl, format_name

__all__ = ["Filled", "Mode", "V4L2Capture"]

T = TypeVar("T")


def _request(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


# Sizes of linux/videodev2.h structures on this machine: a union is aligned like a pointer.
_WORD = struct.calcsize("P")
_FORMAT_SIZE = 200 + _WORD
_PARAMETERS_SIZE = 204
_BUFFER = struct.Struct("@5I2l2I8B2IL3I0L")
_S_FORMAT = _request(3, 5, _FORMAT_SIZE)
_REQUEST_BUFFERS = _request(3, 8, 20)
_QUERY_BUFFER = _request(3, 9, _BUFFER.size)
_QUEUE = _request(3, 15, _BUFFER.size)
_DEQUEUE = _request(3, 17, _BUFFER.size)
_STREAM_ON, _STREAM_OFF = _request(1, 18, 4), _request(1, 19, 4)
_G_PARAMETERS, _S_PARAMETERS = _request(3, 21, _PARAMETERS_SIZE), _request(3, 22, _PARAMETERS_SIZE)
_CAPTURE, _MAPPED = 1, 1
_HAS_RATE = 0x1000
_BROKEN = 0x40
_CLOCK, _MONOTONIC = 0xE000, 0x2000
_BUFFERS = 4
_POLL = 0.1
_BRIEFLY = 0.001
_UNREGISTERING = 0.5
"""Seconds that Linux may need to unregister a camera which is unplugged."""


class Mode(NamedTuple):
    """Mode in which a driver gives its pictures.

    Attributes:
        format: FourCC, such as ``MJPG``.
        width: Width in pixels.
        height: Height in pixels.
        stride: Bytes per row; 0 if the format has no rows.
        fps: Declared frames per second; 0 if unknown.
    """

    format: str
    width: int
    height: int
    stride: int
    fps: float


class Filled(NamedTuple):
    """A buffer that the driver has filled.

    Attributes:
        data: Bytes of the buffer, valid until the driver gets the buffer back.
        time: Capture time in seconds of ``time.monotonic``; None if the driver uses another clock.
        number: Sequence number, which also counts pictures that found no free buffer.
        broken: Whether the driver reports lost data.
    """

    data: memoryview
    time: float | None
    number: int
    broken: bool


class V4L2Capture:
    """A camera that streams into four buffers.

    Args:
        path: Device file.
        ioctl: ``fcntl.ioctl``, or a replacement for it.

    Raises:
        OSError: The device cannot be opened.
    """

    def __init__(self, path: Path, ioctl: Ioctl | None = None) -> None:
        import fcntl

        self._ioctl = ioctl or fcntl.ioctl
        self._buffers: list[mmap.mmap] = []
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def set_mode(self, name: str, size: tuple[int, int], fps: float) -> Mode:
        """Requests a mode, and returns the mode that the driver sets, which may differ.

        Args:
            name: FourCC of the format.
            size: Width and height in pixels.
            fps: Frames per second.

        Raises:
            OSError: The driver refuses, or another program is streaming.
        """
        wanted = bytearray(_FORMAT_SIZE)
        code = int.from_bytes(name.ljust(4).encode(), "little")
        struct.pack_into("=I", wanted, 0, _CAPTURE)
        struct.pack_into("=4I", wanted, _WORD, *size, code, 0)
        self._ask(_S_FORMAT, wanted)
        width, height, code, _, stride = struct.unpack_from("=5I", wanted, _WORD)
        return Mode(format_name(code), width, height, stride, self._set_rate(fps))

    def _set_rate(self, fps: float) -> float:
        answer = bytearray(_PARAMETERS_SIZE)
        struct.pack_into("=I", answer, 0, _CAPTURE)
        try:
            self._ask(_G_PARAMETERS, answer)
            if struct.unpack_from("=I", answer, 4)[0] & _HAS_RATE:
                struct.pack_into("=2I", answer, 12, 1000, round(1000 * fps))
                self._ask(_S_PARAMETERS, answer)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTTY):
                raise
            return 0.0
        seconds, one = struct.unpack_from("=2I", answer, 12)
        return float(one / seconds) if seconds else 0.0

    def start(self) -> None:
        """Starts streaming.

        Raises:
            OSError: Another program is streaming, or the driver cannot stream.
        """
        asked = bytearray(20)
        struct.pack_into("=3I", asked, 0, _BUFFERS, _CAPTURE, _MAPPED)
        self._ask(_REQUEST_BUFFERS, asked)
        for index in range(struct.unpack_from("=I", asked)[0]):
            answer = self._buffer(index)
            self._ask(_QUERY_BUFFER, answer)
            offset, length = _BUFFER.unpack(answer)[19:21]
            self._buffers.append(mmap.mmap(self._descriptor, length, offset=offset))
            self._ask(_QUEUE, answer)
        self._ask(_STREAM_ON, bytearray(struct.pack("=I", _CAPTURE)))

    def take(self, use: Callable[[Filled], T], until: Callable[[], bool]) -> T | None:
        """Waits for the next filled buffer, and returns what a function makes of it.

        Args:
            use: Function of the buffer; it must not keep a reference to the buffer's bytes.
            until: Function polled several times per second; the wait ends when it returns True.

        Returns:
            The function's result; None without a call of ``use`` once ``until`` returns True.

        Raises:
            OSError: The device was unplugged or failed.
        """
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not until():
            if poll.poll(1e3 * _POLL):
                answer = self._buffer(0)
                if self._dequeued(answer):
                    try:
                        return use(self._filled(answer))
                    finally:
                        self._ask(_QUEUE, answer)
                time.sleep(_BRIEFLY)  # some drivers report a buffer too early
        return None

    def drain(self) -> None:
        """Returns all filled buffers to the driver, because their pictures are old."""
        for _ in self._buffers:
            answer = self._buffer(0)
            if not self._dequeued(answer):
                break
            self._ask(_QUEUE, answer)

    def close(self) -> None:
        """Ends the stream and closes the device."""
        try:
            self._ask(_STREAM_OFF, bytearray(struct.pack("=I", _CAPTURE)))
        except OSError as error:
            if error.errno == errno.ENODEV:
                # Linux 6.1 kills a process that closes a USB camera while it is unregistered.
                time.sleep(_UNREGISTERING)
        for buffer in self._buffers:
            with contextlib.suppress(BufferError):  # a traceback still holds the buffer's bytes
                buffer.close()
        self._buffers.clear()
        os.close(self._descriptor)

    def _ask(self, request: int, answer: bytearray) -> None:
        self._ioctl(self._descriptor, request, answer)

    def _buffer(self, index: int) -> bytearray:
        return bytearray(_BUFFER.pack(index, _CAPTURE, *[0] * 16, _MAPPED, *[0] * 4))

    def _dequeued(self, answer: bytearray) -> bool:
        try:
            self._ask(_DEQUEUE, answer)
        except BlockingIOError:
            return False
        return True

    def _filled(self, answer: bytearray) -> Filled:
        index, _, used, flags, _, seconds, micros, *rest = _BUFFER.unpack(answer)
        taken = seconds + micros / 1e6 if flags & _CLOCK == _MONOTONIC else None
        buffer = self._buffers[index]
        data = memoryview(buffer)[: used or len(buffer)]
        return Filled(data, taken, rest[10], bool(flags & _BROKEN))

"""A USB camera for the kernel's own uvcvideo driver, by USB/IP on the virtual host vhci-hcd.

Needs root and ``modprobe -a vhci-hcd uvcvideo``. The camera obeys words in the file
``/tmp/uvc.PORT.control``: ``freeze`` and ``thaw``; ``cut`` (JPEGs without their end) and ``whole``;
``unplug``.
"""

from __future__ import annotations

import argparse
import select
import socket
import struct
import sys
import time
from pathlib import Path

from uvc_descriptors import Descriptors

VHCI = Path("/sys/devices/platform/vhci_hcd.0")
HIGH_SPEED = 3
LARGEST_PAYLOAD = 16384
CLOCK_BITS = 24
"""Bits of the picture's clock: milliseconds of the monotonic clock, the lowest bit on the right."""


def arguments():
    """The options of the camera."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="Port of the virtual USB hub.")
    parser.add_argument("--name", default="EdgeCam")
    parser.add_argument("--serial", default="0001")
    parser.add_argument("--formats", default="MJPG,YUYV")
    parser.add_argument("--sizes", default="640x480,1280x720,320x240")
    parser.add_argument("--fps", type=float, default=15)
    parser.add_argument("--pictures", type=Path, help="Folder of JPEG files to show, as MJPG.")
    parser.add_argument(
        "--clock",
        action="store_true",
        help="Draw the time as bars into each picture, and log it with the time of sending.",
    )
    return parser.parse_args()


class Pictures:
    """The pictures of the camera, in the format and size that the driver has chosen.

    Args:
        descriptors: Formats and sizes.
        files: JPEG files to show instead of a moving disc.
        clock: Whether to draw the time.
    """

    def __init__(self, descriptors, files, clock):
        self._descriptors = descriptors
        self._files = [path.read_bytes() for path in files]
        self._clock = clock
        self._made = {}
        if not self._files or descriptors.formats != ["MJPG"]:
            self._import_drawing()
        self.format, self.frame = 1, 1

    def _import_drawing(self):
        """Imports what draws, before the driver waits for a picture: it takes seconds."""
        global cv2, np
        import cv2
        import numpy as np

    def answer(self):
        """The present mode, as the driver reads it."""
        width, height = self._descriptors.sizes[self.frame - 1]
        every = self._descriptors.interval
        values = (0, self.format, self.frame, every, 0, 0, 0, 0, 0, width * height * 2)
        return struct.pack("<HBBIHHHHHII", *values, LARGEST_PAYLOAD)

    def choose(self, data):
        """Takes the mode that the driver asks for, or the nearest."""
        _, form, frame = struct.unpack_from("<HBB", data)
        self.format = min(max(form, 1), len(self._descriptors.formats))
        self.frame = min(max(frame, 1), len(self._descriptors.sizes))

    def picture(self, number):
        """Bytes of a picture, and the time that it shows in milliseconds; None without a clock."""
        name = self._descriptors.formats[self.format - 1]
        if self._files and name == "MJPG":
            return self._files[number % len(self._files)], None
        if self._clock:
            shown = int(time.monotonic() * 1000) % (1 << CLOCK_BITS)
            return self._drawn(name, number, shown), shown
        key = (self.format, self.frame, number % 16)
        if key not in self._made:
            self._made[key] = self._drawn(name, number, None)
        return self._made[key], None

    def _drawn(self, name, number, shown):
        width, height = self._descriptors.sizes[self.frame - 1]
        image = np.full((height, width, 3), 60, np.uint8)
        image[:, :, 1] = np.linspace(0, 200, width, dtype=np.uint8)
        cv2.circle(image, (width * (number % 16) // 16, height // 2), height // 6, (0, 0, 255), -1)
        for bit in range(CLOCK_BITS if shown is not None else 0):
            left, right = (width * place // CLOCK_BITS for place in (bit, bit + 1))
            level = 235 if shown >> (CLOCK_BITS - 1 - bit) & 1 else 16
            image[: height // 4, left:right] = level
        if name == "MJPG":
            return cv2.imencode(".jpg", image)[1].tobytes()
        luma = cv2.cvtColor(image, cv2.COLOR_BGR2YUV)
        packed = np.empty((height, width, 2), np.uint8)
        packed[..., 0] = luma[..., 0]
        packed[:, 0::2, 1], packed[:, 1::2, 1] = luma[:, 0::2, 1], luma[:, 1::2, 2]
        return packed.tobytes()


class Camera:
    """The device on its virtual port: answers the driver, and streams.

    Args:
        options: Options of the camera.
    """

    def __init__(self, options):
        files = sorted(options.pictures.glob("*.jpg")) if options.pictures else []
        self._descriptors = Descriptors(options)
        self._pictures = Pictures(self._descriptors, files, options.clock)
        self._options = options
        self._port, other = socket.socketpair()
        line = f"{options.port} {other.fileno()} {0x10002 + options.port} {HIGH_SPEED}"
        (VHCI / "attach").write_text(line)
        other.close()
        self._control_file = Path(f"/tmp/uvc.{options.port}.control")
        self._control_file.write_text("")
        self._sent = Path(f"/tmp/uvc.{options.port}.sent")
        self._sent.write_text("")
        self._asked = []
        self._received = b""
        self._current, self._position, self._toggle = None, 0, 0
        self._begun = None, 0.0
        self._frozen = self._cut = False

    def run(self):
        """Serves the driver until the camera is unplugged."""
        number, due, tick = 0, time.monotonic(), 0.0
        while True:
            wait = 0.0 if self._current is not None else min(0.2, max(0.0, due - time.monotonic()))
            if self._frozen or not self._asked:
                wait = 0.2
            if select.select([self._port], [], [], wait)[0]:
                got = self._port.recv(1 << 16)
                if not got:
                    return
                self._received += got
            self._take_requests()
            now = time.monotonic()
            if now > tick:
                tick = now + 0.2
                self._obey()
            if self._current is None and self._asked and not self._frozen and now >= due:
                self._begin(number)
                number, due = number + 1, max(due + 1 / self._options.fps, now - 0.2)
            self._stream()

    def _obey(self):
        words = self._control_file.read_text().split()
        if words:
            self._control_file.write_text("")
        for word in words:
            if word in ("freeze", "thaw"):
                self._frozen = word == "freeze"
            elif word in ("cut", "whole"):
                self._cut = word == "cut"
            elif word == "unplug":
                (VHCI / "detach").write_text(str(self._options.port))

    def _begin(self, number):
        self._current, shown = self._pictures.picture(number)
        self._begun = shown, time.monotonic()
        if self._cut:
            self._current = self._current[: len(self._current) // 3]
        self._position, self._toggle = 0, self._toggle ^ 1

    def _stream(self):
        while self._current is not None and self._asked:
            number, length = self._asked.pop(0)
            part = self._current[self._position :][: min(length, LARGEST_PAYLOAD) - 2]
            self._position += len(part)
            last = self._position >= len(self._current)
            self._reply(number, 0, bytes([2, 0x80 | self._toggle | (2 if last else 0)]) + part)
            if last:
                self._current = None
                self._note()

    def _note(self):
        """Logs the clock that the picture shows, and when its sending began and ended."""
        shown, begun = self._begun
        if shown is not None:
            with self._sent.open("a") as file:
                file.write(f"{shown} {begun} {time.monotonic()}\n")

    def _take_requests(self):
        while len(self._received) >= 48:
            kind, number, _, inward, endpoint = struct.unpack_from(">5I", self._received)
            if kind == 2:  # the driver withdraws a request
                (withdrawn,) = struct.unpack_from(">I", self._received, 20)
                status = -104 if any(each == withdrawn for each, _ in self._asked) else 0
                self._asked = [each for each in self._asked if each[0] != withdrawn]
                self._current = self._current if self._asked else None
                self._port.sendall(struct.pack(">5Ii24x", 4, number, 0, 0, 0, status))
                self._received = self._received[48:]
                continue
            _, length, *_, setup = struct.unpack_from(">IiIiI8s", self._received, 20)
            size = 48 + (length if inward == 0 else 0)
            if len(self._received) < size:
                return
            data, self._received = self._received[48:size], self._received[size:]
            if endpoint:
                self._asked.append((number, length))
                continue
            answer = self._control(setup, data)
            if answer is None:
                self._reply(number, -32)
            elif inward:
                self._reply(number, 0, answer[:length])
            else:
                self._reply(number, 0, b"", length)

    def _control(self, setup, data):
        """Answers a control request; None refuses it."""
        kind, request, value, index, _ = struct.unpack("<BBHHH", setup)
        high, low = value >> 8, value & 255
        if kind == 0x80 and request == 6:
            strings = self._descriptors.string(low) if high == 3 and low < 4 else None
            fixed = {1: Descriptors.DEVICE, 2: self._descriptors.configuration(), 3: strings}
            return {**fixed, 6: Descriptors.QUALIFIER}.get(high)
        if kind & 0x60 == 0:
            return {0: b"\0\0" if kind == 0x80 else b"", 8: b"\1", 10: b"\0"}.get(request, b"")
        if kind in (0xA1, 0x21) and index & 255 == 1 and high in (1, 2):
            if request == 1:
                self._pictures.choose(data)
                return b""
            if request in (0x81, 0x82, 0x83, 0x87):
                return self._pictures.answer()
            return {0x85: struct.pack("<H", 26), 0x86: b"\3"}.get(request)
        return None

    def _reply(self, number, status, data=b"", length=None):
        size = len(data) if length is None else length
        self._port.sendall(
            struct.pack(">5IiiIii8x", 3, number, 0, 0, 0, status, size, 0, 0, 0) + data
        )


if __name__ == "__main__":
    Camera(arguments()).run()
    sys.exit()

"""What the USB camera of the tests says about itself on USB."""

from __future__ import annotations

import struct

YUY2 = b"YUY2" + bytes.fromhex("00001000800000aa00389b71")


class Descriptors:
    """What the camera says about itself on USB.

    Args:
        options: Options of the camera.
    """

    DEVICE = struct.pack(
        "<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0xEF, 2, 1, 64, 0x1D6B, 0x0102, 0x0100, 1, 2, 3, 1
    )
    QUALIFIER = struct.pack("<BBHBBBBBB", 10, 6, 0x0200, 0xEF, 2, 1, 64, 1, 0)

    def __init__(self, options):
        self.formats = options.formats.split(",")
        self.sizes = [tuple(map(int, size.split("x"))) for size in options.sizes.split(",")]
        self.interval = int(1e7 / options.fps)
        self._strings = ["", "EdgeKit tests", options.name, options.serial]

    def string(self, index):
        """A name, or the list of languages."""
        if index == 0:
            return bytes([4, 3, 9, 4])
        text = self._strings[index].encode("utf-16le")
        return bytes([2 + len(text), 3]) + text

    def configuration(self):
        """The configuration with its two interfaces: control, and streaming by bulk transfers."""
        control = struct.pack("<BBBHHIBB", 13, 0x24, 1, 0x0100, 13 + 18 + 9, 6000000, 1, 1)
        control += struct.pack(
            "<BBBBHBBHHHB3s", 18, 0x24, 2, 1, 0x0201, 0, 0, 0, 0, 0, 3, b"\0\0\0"
        )
        control += struct.pack("<BBBBHBBB", 9, 0x24, 3, 2, 0x0101, 0, 1, 0)
        count, formats = len(self.formats), self._formats()
        header = (13 + count, 0x24, 1, count, 13 + count + len(formats), 0x81, 0, 2, 0, 0, 0, 1)
        streaming = struct.pack("<BBBBHBBBBBBB", *header) + b"\0" * count + formats
        body = bytes([8, 0x0B, 0, 2, 0x0E, 3, 0, 0, 9, 4, 0, 0, 0, 0x0E, 1, 0, 0]) + control
        body += bytes([9, 4, 1, 0, 1, 0x0E, 2, 0, 0]) + streaming
        body += struct.pack("<BBBBHB", 7, 5, 0x81, 2, 512, 0)
        return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 2, 1, 0, 0x80, 250) + body

    def _formats(self):
        found = b""
        for number, name in enumerate(self.formats, 1):
            count = len(self.sizes)
            if name == "MJPG":
                found += struct.pack("<11B", 11, 0x24, 6, number, count, 1, 1, 0, 0, 0, 0)
                kind = 7
            else:
                found += struct.pack("<5B", 27, 0x24, 4, number, count) + YUY2
                found += struct.pack("<6B", 16, 1, 0, 0, 0, 0)
                kind = 5
            for index, (width, height) in enumerate(self.sizes, 1):
                pixels, every = width * height, self.interval
                values = (pixels * 16, pixels * 480, pixels * 2, every, 1, every)
                found += struct.pack(
                    "<BBBBBHHIIIIBI", 30, 0x24, kind, index, 0, width, height, *values
                )
            found += bytes([6, 0x24, 0x0D, 1, 1, 4])
        return found

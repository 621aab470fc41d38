"""Writes moving YUYV pictures into a v4l2loopback device: DEVICE WIDTH HEIGHT FPS."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import time

import numpy as np

SET_FORMAT = 0xC0D05605
OUTPUT = 2


def main():
    """Writes until it is killed."""
    device, width, height, fps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    descriptor = os.open(device, os.O_RDWR)
    form = bytearray(208)
    struct.pack_into("=I", form, 0, OUTPUT)
    code = int.from_bytes(b"YUYV", "little")
    struct.pack_into("=8I", form, 8, width, height, code, 1, width * 2, width * height * 2, 8, 0)
    fcntl.ioctl(descriptor, SET_FORMAT, form)
    number = 0
    while True:
        picture = np.full((height, width, 2), 128, np.uint8)
        picture[:, :, 0] = (np.arange(width)[None] + number * 4) % 255
        number += 1
        os.write(descriptor, picture.tobytes())
        time.sleep(1 / fps)


if __name__ == "__main__":
    main()

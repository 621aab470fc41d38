"""The source ``noise``: random pictures, for tests without a camera."""

import numpy as np

from edgekit import Frame, Source, SourceOptions
from edgekit.errors import UsageError


class NoiseSource(Source):
    """Gives random pictures of 320x240 pixels, 25 per second of its own time."""

    name, width, height, fps = "noise", 320, 240, 25.0

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self._random = np.random.default_rng(0)

    def read(self) -> Frame | None:
        if self.position == self.frames:
            return None
        image = self._random.integers(0, 256, (self.height, self.width, 3), dtype=np.uint8)
        frame = Frame(self.position, self.position / self.fps, image)
        self.position += 1
        return frame

    def close(self) -> None:
        pass


def open_noise(address: str, options: SourceOptions | None = None) -> NoiseSource:
    """Opens ``noise://10``, a source of ten frames."""
    frames = address.removeprefix("noise://")
    if not frames.isdecimal():
        raise UsageError(f"Expected noise://FRAMES, such as noise://10; found {address!r}.")
    return NoiseSource(int(frames))

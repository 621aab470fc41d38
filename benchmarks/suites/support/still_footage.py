"""Renders footage without motion but with disturbances: noise, light, rain and others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.errors import MissingDependencyError
from edgekit.media import Source, open_source
from edgekit.runtime.types import Frame

__all__ = ["FPS", "KINDS", "LoopedVideo", "disturbed", "write_h264"]

FPS = 25
_Picture: TypeAlias = npt.NDArray[np.uint8]
_Floats: TypeAlias = npt.NDArray[np.float32]
_Change: TypeAlias = Callable[[_Floats, float], _Floats]


def _light(rng: np.random.Generator) -> _Change:
    """Light that changes by up to a quarter, within half a minute."""
    swing = rng.uniform(0.15, 0.25)
    return lambda image, time: image * np.float32(1 + swing * np.sin(2 * np.pi * time / 30))


def _flicker(rng: np.random.Generator) -> _Change:
    """Lamps on mains power: bands that run down the picture a few times a second."""
    rate, depth, bands = rng.integers(1, 7), rng.uniform(0.02, 0.05), rng.uniform(0, 2)

    def change(image: _Floats, time: float) -> _Floats:
        rows = np.arange(len(image), dtype=np.float32)[:, None, None] / len(image)
        return np.asarray(image * (1 + depth * np.sin(2 * np.pi * (rate * time + bands * rows))))

    return change


def _rain(rng: np.random.Generator) -> _Change:
    """Streaks at different places in each picture."""
    density = rng.uniform(3e-4, 9e-4)

    def change(image: _Floats, time: float) -> _Floats:
        height, width = image.shape[:2]
        layer = np.zeros((height, width), np.float32)
        for _ in range(rng.poisson(density * height * width)):
            x, y = int(rng.integers(width)), int(rng.integers(-20, height))
            length = int(rng.integers(6, height // 12))
            share = float(rng.uniform(0.1, 0.4))
            cv2.line(layer, (x, y), (x - length // 5, y + length), share, 1, cv2.LINE_AA)
        return np.asarray(image + layer[..., None] * (220 - image))

    return change


def _shake(rng: np.random.Generator) -> _Change:
    """A camera on a pole in the wind: moves back and forth by up to about two pixels."""
    force, place, speed = rng.uniform(0.2, 0.7), np.zeros(2), np.zeros(2)

    def change(image: _Floats, time: float) -> _Floats:
        nonlocal place, speed
        speed = 0.6 * speed + 0.6 * rng.normal(0, force, 2) - 0.5 * place
        place = place + speed
        shift = np.array([[1, 0, place[0]], [0, 1, place[1]]])
        size = (image.shape[1], image.shape[0])
        return np.asarray(cv2.warpAffine(image, shift, size, borderMode=cv2.BORDER_REPLICATE))

    return change


def _nothing(rng: np.random.Generator) -> _Change:
    return lambda image, time: image


KINDS: dict[str, tuple[Callable[[np.random.Generator], _Change], tuple[float, float], int]] = {
    "sensor noise": (_nothing, (4, 9), 26),
    "compression": (_nothing, (2, 4), 33),
    "slow light": (_light, (1, 3), 23),
    "flicker": (_flicker, (1, 3), 23),
    "rain": (_rain, (1, 3), 23),
    "camera shake": (_shake, (1, 3), 23),
}
"""Change of the picture, range of the noise's deviation in levels, and CRF of H.264, by kind."""


def disturbed(
    kind: str, seed: int, images: Iterable[_Picture], *, strength: float = 1.0
) -> Iterator[_Picture]:
    """Yields the pictures as a camera with one kind of disturbance would see them.

    Args:
        kind: Name of the disturbance, one of ``KINDS``.
        seed: Seed for strengths, rates and noise.
        images: Pictures, (H, W, 3) each, all of one size, 25 per second.
        strength: Strength of the disturbance, from 0 to 1.
    """
    rng = np.random.default_rng([seed, 17])
    make, (low, high), _ = KINDS[kind]
    change, deviation = make(rng), rng.uniform(low, high)
    pool: Any = None
    for index, image in enumerate(images):
        if pool is None:
            pool = rng.normal(0, deviation, 2 * image.size).astype(np.float32)
        first = int(rng.integers(image.size))
        noise = pool[first : first + image.size].reshape(image.shape)
        plain = image.astype(np.float32)
        trouble = change(plain, index / FPS) + noise - plain
        yield (plain + strength * trouble).clip(0, 255).astype(np.uint8)


def write_h264(path: Path, images: Iterable[_Picture], *, crf: int) -> None:
    """Writes pictures as a camera's encoder would, with a key frame every two seconds.

    Raises:
        MissingDependencyError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError.for_extra("av", "video", "This suite") from error
    options = {"crf": str(crf), "g": str(2 * FPS), "preset": "veryfast", "tune": "zerolatency"}
    with av.open(str(path), "w") as file:
        stream: Any = None
        for image in images:
            if stream is None:
                stream = file.add_stream("libx264", rate=FPS, options=options)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        file.mux(stream.encode(None))


class LoopedVideo(Source):
    """A video that is repeated up to a given number of frames.

    Args:
        path: Video of 25 frames per second.
        frames: Number of frames.
    """

    def __init__(self, path: Path, frames: int) -> None:
        self._path = path
        self._source = open_source(str(path))
        self.name, self.frames = path.name, frames
        self.fps, self.width, self.height = FPS, self._source.width, self._source.height

    def read(self) -> Frame | None:
        """Returns the next picture."""
        if self.position == self.frames:
            return None
        frame = self._source.read()
        if frame is None:
            self._source.close()
            self._source = open_source(str(self._path))
            frame = self._source.read()
        assert frame is not None
        self.position += 1
        return replace(frame, index=self.position - 1, time=(self.position - 1) / FPS)

    def close(self) -> None:
        """Closes the video."""
        self._source.close()

"""A rendered clip: its frames one by one, and its ground truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.classes import CLASS_LISTS
from edgekit.errors import UsageError
from edgekit.runtime.types import Array
from edgekit.synthetic.cast import Figure, cast
from edgekit.synthetic.scenery import backdrop, camera_path, grain, light_table, panel
from edgekit.synthetic.shapes import Part, extent, paint, sine

__all__ = ["CLASSES", "FPS", "PuppetClip", "PuppetTube", "render_clip"]

FPS = 25.0
"""Frames per second at which the world of a clip moves."""

CLASSES = CLASS_LISTS["ucf24"]
"""Class names that the labels index; real and rendered footage share them."""

_LEAST_VISIBLE = 0.4
_LEAST_TUBE = 5
_MARGIN = 4


@dataclass(frozen=True, slots=True, eq=False)
class PuppetTube:
    """One action of one figure.

    Attributes:
        label: Class index into ``CLASSES``.
        start: First frame.
        boxes: Box of each frame, (n, 4) float64. It holds the person from head to foot with all
            limbs, without ball, horse or dog, and is cut at the picture's edges. Occlusion does not
            end it.
    """

    label: int
    start: int
    boxes: Array

    @property
    def end(self) -> int:
        """Frame after the last one."""
        return self.start + len(self.boxes)


@dataclass(frozen=True, slots=True)
class _Passer:
    """A textured board that stands still in the world or crosses the picture."""

    board: Array
    x: int
    y: int
    speed: int

    def put(self, image: Array, moment: float, origin: tuple[int, int]) -> None:
        # Moving boards move in steps of 1/16 pixel per frame at 25 frames per second.
        x = self.x + int(self.speed * moment // 16) - origin[0]
        y = self.y - origin[1]
        height, width = image.shape[:2]
        top, left = max(y, 0), max(x, 0)
        bottom, right = min(y + self.board.shape[0], height), min(x + self.board.shape[1], width)
        if top < bottom and left < right:
            image[top:bottom, left:right] = self.board[top - y : bottom - y, left - x : right - x]


# Many attributes: what is drawn once for a whole clip, so that a frame is drawn fast.
class PuppetClip:
    """A rendered clip; ``render_clip`` makes it.

    Each iteration yields its frames from the first one, (H, W, 3) uint8 BGR.

    Attributes:
        seed: Seed that the clip was made from.
        size: Height and width of its frames.
        fps: Frames per second.
        figures: All figures in the clip, the farthest first.
        tubes: Ground truth, ordered by start. Figures that only hold a pose are not in it.
    """

    def __init__(self, seed: int, frames: int, size: tuple[int, int], fps: float = FPS) -> None:
        self.seed = seed
        self.size = size
        self.fps = fps
        # Time of each frame, in frames at 25 per second; integers are equal on every machine.
        self._moments: Sequence[float] = range(frames)
        if fps != FPS:
            self._moments = [n * FPS / fps for n in range(math.ceil(frames * fps / FPS))]
        rng = np.random.default_rng([seed, 0])
        self._origins = camera_path(rng, frames)
        self.figures: Sequence[Figure] = cast(rng, frames, size, self._origins)
        xs, ys = zip(*self._origins, strict=True)
        self._corner = (min(xs) - _MARGIN, min(ys) - _MARGIN)
        world = (
            size[0] + max(ys) - min(ys) + 2 * _MARGIN,
            size[1] + max(xs) - min(xs) + 2 * _MARGIN,
        )
        self._scene = backdrop(rng, *world)
        self._waves = _waves(rng, world)
        middle = self._origins[frames // 2]
        self._behind = _passers(rng, size, middle, share=40, tallest=0.35, frames=frames)
        self._before = _passers(rng, size, middle, share=35, tallest=1.0, frames=frames)
        self._light = [int(value) for value in rng.integers((-30, 0, 1, 0), (31, 36, 5, 360))]
        self._grain = int(rng.integers(0, 8))
        self.tubes = sorted(
            (tube for figure in self.figures for tube in self._truth(figure)),
            key=lambda tube: (tube.start, tube.label),
        )

    @property
    def occluders(self) -> int:
        """Number of objects that stand or pass in front of the figures."""
        return len(self._before)

    def __len__(self) -> int:
        return len(self._moments)

    def __iter__(self) -> Iterator[Array]:
        rng = np.random.default_rng([self.seed, 1])
        values = self.size[0] * self.size[1] * 3
        pool = grain(rng, 2 * values, self._grain)
        held = {id(figure): figure.parts(0) for figure in self.figures}
        for moment in self._moments:
            origin = self._origins[int(moment)]
            image = self._view(moment, origin)
            for passer in self._behind:
                passer.put(image, moment, origin)
            for figure in self.figures:
                acts = figure.start <= moment < figure.end
                if acts:
                    held[id(figure)] = figure.parts(moment)
                paint(image, held[id(figure)], origin)
            for passer in self._before:
                passer.put(image, moment, origin)
            image = self._lit(moment)[image]
            first = int(rng.integers(values))
            noisy = image.astype(np.int16) + pool[first : first + values].reshape(image.shape)
            yield noisy.clip(0, 255).astype(np.uint8)

    def _view(self, moment: float, origin: tuple[int, int]) -> Array:
        x, y = origin[0] - self._corner[0], origin[1] - self._corner[1]
        height, width = self.size
        image = self._scene[y : y + height, x : x + width].copy()
        if self._waves is not None:
            board, top, speed = self._waves
            shift = (x - int(speed * moment // 16)) % board.shape[1]
            row = max(0, top - y)
            tall = min(len(board), height - row)
            if tall > 0:
                rolled = np.concatenate([board[:tall, shift:], board[:tall, :shift]], 1)
                image[row : row + tall] = rolled[:, :width]
        return image

    def _lit(self, moment: float) -> Any:
        offset, swing, speed, phase = self._light
        return light_table(256 + round(swing * sine(speed * moment + phase)), offset)

    def _truth(self, figure: Figure) -> Iterator[PuppetTube]:
        label = CLASSES.index(figure.action.label)
        boxes: list[tuple[float, ...]] = []
        for index, moment in enumerate([*self._moments, math.inf]):
            box = None
            if figure.start <= moment < figure.end:
                box = self._visible(figure.parts(moment), int(moment))
            if box is not None:
                boxes.append(box)
                continue
            if len(boxes) >= _LEAST_TUBE * self.fps / FPS:
                yield PuppetTube(label, index - len(boxes), np.array(boxes, np.float64))
            boxes = []

    def _visible(self, parts: list[Part], index: int) -> tuple[float, ...] | None:
        """Returns the figure's box in the picture; None if too little of it is visible."""
        if not parts:
            return None
        x, y = self._origins[index]
        x1, y1, x2, y2 = extent(parts)
        whole = (x2 - x1) * (y2 - y1)
        x1, x2 = (min(max(value - x, 0.0), float(self.size[1])) for value in (x1, x2))
        y1, y2 = (min(max(value - y, 0.0), float(self.size[0])) for value in (y1, y2))
        return (x1, y1, x2, y2) if (x2 - x1) * (y2 - y1) >= _LEAST_VISIBLE * whole else None


def _waves(rng: np.random.Generator, world: tuple[int, int]) -> tuple[Array, int, int] | None:
    """Returns a band of texture that flows sideways: its board, its top and its speed."""
    if rng.integers(100) >= 25:
        return None
    tall = int(rng.integers(12, 50))
    board = backdrop(rng, tall, world[1])
    return board, int(rng.integers(20, world[0] - tall)), int(rng.integers(-40, 41))


def _passers(
    rng: np.random.Generator,
    size: tuple[int, int],
    middle: tuple[int, int],
    *,
    share: int,
    tallest: float,
    frames: int,
) -> list[_Passer]:
    if rng.integers(100) >= share:
        return []
    tall = max(16, int(size[0] * tallest * int(rng.integers(50, 131))) // 100)
    wide = int(rng.integers(10, 36))
    y = int(rng.integers(-tall // 4, size[0] - tall * 3 // 4))
    speed = int(rng.integers(-64, 65)) if rng.integers(100) < 65 else 0
    at = int(rng.integers(size[1]))
    x = at - speed * (frames // 2) // 16
    return [_Passer(panel(rng, tall, wide), x + middle[0], y + middle[1], speed)]


def render_clip(
    seed: int, *, frames: int = 80, size: tuple[int, int] = (240, 320), fps: float = FPS
) -> PuppetClip:
    """Returns a clip of puppets, of which some act and others hold the same poses.

    Only motion distinguishes them: poses, props, colours and places come from the same
    distributions. Scene, camera, light and passing objects are random too. Equal seeds give equal
    bytes on every machine.

    Args:
        seed: Seed for all random choices, at least 0.
        frames: Length of the clip in frames at 25 per second, at least 8.
        size: Height and width, at least 64 pixels each.
        fps: Frames per second, from 1 to 240. Another rate shows the same scene, with the same
            duration, at other times.

    Returns:
        The clip, whose frames are painted on demand.

    Raises:
        UsageError: An argument is out of its range.
    """
    if seed < 0 or frames < 8 or min(size) < 64 or not 1 <= fps <= 240:
        raise UsageError(
            "A clip needs a seed of 0 or more, at least 8 frames, at least 64x64 pixels and 1 to "
            f"240 frames per second. Found: seed {seed}, {frames} frames, {size[1]}x{size[0]} "
            f"pixels, {fps:g} frames per second."
        )
    return PuppetClip(seed, frames, size, fps)

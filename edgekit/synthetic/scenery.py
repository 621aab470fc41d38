"""Paints backgrounds and objects around the figures, and moves the camera."""

from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Array
from edgekit.synthetic.shapes import Part, paint

__all__ = ["backdrop", "camera_path", "grain", "light_table", "panel"]


def backdrop(rng: np.random.Generator, height: int, width: int) -> Array:
    """Returns a textured scene with a horizon and some shapes, (height, width, 3) uint8."""
    scene = np.empty((height, width, 3), np.uint8)
    horizon = int(rng.integers(height // 4, height * 3 // 4))
    scene[:horizon] = _texture(rng, horizon, width, coarse=int(rng.integers(24, 72)))
    scene[horizon:] = _texture(rng, height - horizon, width, coarse=int(rng.integers(8, 40)))
    for _ in range(int(rng.integers(0, 9))):
        _add_shape(rng, scene, horizon)
    return scene


def panel(rng: np.random.Generator, height: int, width: int) -> Array:
    """Returns a textured board, (height, width, 3) uint8."""
    board = _texture(rng, height, width, coarse=int(rng.integers(6, 24)))
    board[:, :2] = board[:, -2:] = 30
    return board


def _add_shape(rng: np.random.Generator, scene: Array, horizon: int) -> None:
    width = scene.shape[1]
    w, h = (int(rng.integers(12, 90)) for _ in range(2))
    x, y = int(rng.integers(-w, width)), horizon - int(h * rng.integers(20, 110)) // 100
    colour = tuple(int(v) for v in rng.integers(20, 230, 3))
    lean = int(rng.integers(-w // 2, w // 2 + 1)) if rng.integers(2) else 0
    corners = [(x + lean, y), (x + w + lean, y), (x + w, y + h), (x, y + h)]
    paint(scene, [Part(corners, (colour[0], colour[1], colour[2]), False)])
    trim = tuple(int(v) for v in rng.integers(20, 230, 3))
    for row in range(int(rng.integers(0, 4))):
        top = y + 4 + row * 14
        bar = [(x + 4, top), (x + w - 4, top), (x + w - 4, top + 6), (x + 4, top + 6)]
        paint(scene, [Part(bar, (trim[0], trim[1], trim[2]), False)])


def _texture(rng: np.random.Generator, height: int, width: int, coarse: int) -> Array:
    """Returns value noise of four octaves between two colours, in integers."""
    total = np.zeros((height, width), np.int64)
    shares = rng.integers(1, 8, 4)
    for share, cell in zip(shares.tolist(), (coarse, 13, 5, 2), strict=True):
        total += share * _noise(rng, height, width, cell)
    total //= int(shares.sum())
    dark, light = np.sort(rng.integers(15, 240, (2, 3)), axis=0)
    colours: Array = dark + total[..., None] * (light - dark) // 255
    return colours.astype(np.uint8)


def _noise(rng: np.random.Generator, height: int, width: int, cell: int) -> Array:
    lattice = rng.integers(0, 256, (height // cell + 2, width // cell + 2))
    rows, down = np.divmod(np.arange(height), cell)
    columns, right = np.divmod(np.arange(width), cell)
    tall = lattice[rows] * (cell - down)[:, None] + lattice[rows + 1] * down[:, None]
    wide: Array = tall[:, columns] * (cell - right) + tall[:, columns + 1] * right
    return wide // (cell * cell)


def camera_path(rng: np.random.Generator, frames: int) -> list[tuple[int, int]]:
    """Returns the position of the picture's upper left corner in the world, in whole pixels.

    The camera pans slowly, may turn back, and shakes in some clips. From frame to frame it moves at
    most one pixel in each direction, rarely two.
    """
    pan = [int(v) * 32 for v in rng.integers(-28, 29, 2)] if rng.integers(100) < 60 else [0, 0]
    pan[1] //= 4
    shake = int(rng.integers(0, 60)) if rng.integers(100) < 50 else 0
    turn = int(rng.integers(frames // 3, 2 * frames))
    path, offset = [], [0, 0]
    for index in range(frames):
        sign = -1 if index > turn else 1
        offset = [value + sign * speed for value, speed in zip(offset, pan, strict=True)]
        shaken = [int(v) if rng.integers(100) < shake else 0 for v in rng.integers(-1, 2, 2)]
        path.append((offset[0] // 1024 + shaken[0], offset[1] // 1024 + shaken[1]))
    return path


def light_table(gain: int, offset: int) -> Array:
    """Returns a brightness change as a table of 256 levels; ``gain`` is in 256ths."""
    levels = np.arange(256) * gain // 256 + offset
    return levels.clip(0, 255).astype(np.uint8)


def grain(rng: np.random.Generator, count: int, strength: int) -> Array:
    """Returns ``count`` near-normal values, int16; deviation about ``strength`` / 3 levels."""
    total = rng.integers(0, 256, (4, count), np.uint8).astype(np.int16).sum(0, dtype=np.int32)
    values: Array = (total - 510) * strength // 444
    return values.astype(np.int16)

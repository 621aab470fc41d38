"""Chooses the figures of a clip: some act for a while, others only hold a pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.synthetic.actions import ACTIONS, Action
from edgekit.synthetic.body import Looks
from edgekit.synthetic.shapes import Colour, Part, extent

__all__ = ["Figure", "cast"]

_SKINS: tuple[Colour, ...] = (
    (150, 185, 230), (110, 150, 205), (75, 110, 165), (50, 75, 115), (130, 165, 220)
)  # fmt: skip
_MOST_OVERLAP = 0.3
_TRIES = 14
_SAMPLES = 6
# A dive is over in half a clip, but its pose can be held throughout. If dives were held as often
# as other actions, most pictures of a diver would show a still figure. A single picture would then
# reveal who acts.
_HELD = tuple(action for action in ACTIONS for _ in range(1 if action.ends else 4))


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A puppet in a clip.

    Attributes:
        action: Action that the figure performs, or whose pose it holds.
        looks: Colours of the figure.
        height: Height in pixels.
        x: Horizontal position of its origin before it acts, in pixels of the world.
        y: Vertical position of the ground under it before it acts, in pixels of the world.
        facing: 1 if it faces right, -1 if it faces left.
        phase: Phase of the action at which it begins, in turns.
        period: Number of frames in a cycle.
        start: First frame in which it has moved.
        end: Frame after the last one in which it moves; equal to ``start`` if it holds still.
    """

    action: Action
    looks: Looks
    height: float
    x: float
    y: float
    facing: int
    phase: float
    period: int
    start: int
    end: int

    def parts(self, frame: float) -> list[Part]:
        """Returns its parts in a frame, in pixels of the world; no parts once its action has ended.

        Args:
            frame: Frame number, which may lie between two frames.
        """
        moved = min(max(frame - self.start + 1, 0), self.end - self.start)
        phase = self.phase + moved / self.period
        if self.action.ends and phase >= 1:
            return []
        x, y = self._place(phase)
        scale, flip = self.height, self.height * self.facing
        return [
            Part([(x + px * flip, y + py * scale) for px, py in part.points], *part[1:])
            for part in self.action.parts(phase, self.looks)
        ]

    def _place(self, phase: float) -> tuple[float, float]:
        ahead, down = self.action.travel
        # A fall accelerates. The position depends on the phase alone, not on how it was reached.
        way = phase if self.action.ends else phase - self.phase
        fallen = way * way if self.action.ends else way
        return (
            self.x + self.facing * ahead * way * self.height,
            self.y + down * fallen * self.height,
        )


def cast(
    rng: np.random.Generator, frames: int, size: tuple[int, int], origins: list[tuple[int, int]]
) -> list[Figure]:
    """Chooses the figures of a clip at random; returns them with the farthest first.

    Args:
        rng: Random generator for all choices.
        frames: Number of frames in the clip.
        size: Height and width of the picture.
        origins: Upper left corner of the picture in the world, for each frame.
    """
    acting, still = int(rng.integers(1, 4)), int(rng.integers(0, 4))
    roles = [True] * acting + [False] * still
    figures: list[Figure] = []
    for acts in roles:
        for _ in range(_TRIES):
            figure = _draw(rng, frames, size, origins, acts)
            if not any(_collide(figure, other, frames) for other in figures):
                figures.append(figure)
                break
    return sorted(figures, key=lambda figure: figure.y)


def _draw(
    rng: np.random.Generator,
    frames: int,
    size: tuple[int, int],
    origins: list[tuple[int, int]],
    acts: bool,
) -> Figure:
    actions = ACTIONS if acts else _HELD
    action = actions[int(rng.integers(len(actions)))]
    low, high = (round(share * size[0]) for share in action.heights)
    height = int(rng.integers(low, high + 1))
    period = int(rng.integers(action.period[0], action.period[1] + 1))
    phase = int(rng.integers(1000)) / 1000
    start, end = _span(rng, frames) if acts else (0, 0)
    if action.ends and acts:
        phase *= 0.3
        start = int(rng.integers(0, max(1, frames - period)))
        end = min(frames, start + period)
    facing = 1 if rng.integers(2) else -1
    turns = (end - start) / period
    ahead, down = action.travel
    way = 0.5 if action.ends else turns / 2
    left, right, above, below = (room * height for room in action.room)
    if facing < 0:
        left, right = right, left
    middle = origins[(start + end) // 2 if acts else frames // 2]
    x = middle[0] + _between(rng, left, size[1] - right) - facing * ahead * way * height
    if action.ends:
        y = middle[1] + _between(rng, above * 0.9, above * 1.3)
    else:
        lowest = size[0] - below - 3
        drift = down * way * height
        highest = max(above, size[0] * 0.5) if down == 0 else above - drift
        y = middle[1] + _between(rng, min(highest, lowest), lowest) - drift
    return Figure(action, _looks(rng), height, x, y, facing, phase, period, start, end)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return (
        low + (high - low) * int(rng.integers(0, 1001)) / 1000 if high > low else (low + high) / 2
    )


def _span(rng: np.random.Generator, frames: int) -> tuple[int, int]:
    """Returns start and end of its action: mostly the whole clip, else later, earlier or both."""
    start = 0 if rng.integers(100) < 60 else int(rng.integers(frames // 3 + 1))
    end = frames if rng.integers(100) < 60 else int(rng.integers(frames * 2 // 3, frames + 1))
    return start, end


def _collide(one: Figure, other: Figure, frames: int) -> bool:
    for frame in range(0, frames, max(1, frames // _SAMPLES)):
        parts = one.parts(frame), other.parts(frame)
        if not all(parts):
            continue
        (a, b, c, d), (e, f, g, h) = extent(parts[0]), extent(parts[1])
        shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
        if shared > _MOST_OVERLAP * min((c - a) * (d - b), (g - e) * (h - f)):
            return True
    return False


def _looks(rng: np.random.Generator) -> Looks:
    def any_colour(low: int = 15, high: int = 245) -> Colour:
        blue, green, red = (int(value) for value in rng.integers(low, high, 3))
        return blue, green, red

    skin = _SKINS[int(rng.integers(len(_SKINS)))]
    return Looks(
        skin, any_colour(10, 110), any_colour(), any_colour(), any_colour(10, 200),
        any_colour(10, 240), any_colour(30, 235), any_colour(10, 140),
    )  # fmt: skip

"""Props of the puppets: a horse, a dog, a rope, and the flight of balls."""

from __future__ import annotations

from edgekit.synthetic.shapes import Colour, Part, Point, along, capsule, disc, sine

__all__ = ["bounce", "dog", "horse", "leash", "rope"]


def bounce(phase: float) -> float:
    """Returns the height of a ball from 0 to 1: a parabola, 0 at whole turns and 1 in between."""
    share = phase - int(phase)
    return 4 * share * (1 - share)


def rope(x: float, colour: Colour) -> list[Part]:
    """Returns a rope from far above the figure to far below it."""
    return [Part([(x - 0.012, -6), (x + 0.012, -6), (x + 0.012, 6), (x - 0.012, 6)], colour, False)]


def leash(hand: Point, collar: Point) -> list[Part]:
    """Returns a line between two points."""
    half = 0.006
    (x1, y1), (x2, y2) = hand, collar
    line = [(x1, y1 - half), (x2, y2 - half), (x2, y2 + half), (x1, y1 + half)]
    return [Part(line, (30, 30, 40), False)]


def _leg(top: Point, length: float, swing: float, width: float, colour: Colour) -> list[Part]:
    upper, lower = 30 * swing, 30 * swing - 22 - 18 * swing
    knee = along(top, length / 2, upper)
    return [
        Part(capsule(top, length / 2, upper, width, width * 0.75), colour, False),
        Part(capsule(knee, length / 2, lower, width * 0.75, width * 0.6), colour, False),
    ]


def horse(phase: float, bob: float, coat: Colour, mane: Colour) -> tuple[list[Part], list[Part]]:
    """Returns a galloping horse on the ground, with its back under the rider at the origin.

    Args:
        phase: Phase of the gallop, in turns.
        bob: Distance of the body below its mean height.
        coat: Colour of the coat.
        mane: Colour of mane and tail.

    Returns:
        The parts behind the body, and the body with the parts in front of it.
    """
    y = -0.5 + bob
    far = tuple(channel * 3 // 4 for channel in coat)
    dark: Colour = (far[0], far[1], far[2])
    behind: list[Part] = []
    body: list[Part] = []
    for x, shift, near in (
        (0.26, 0.1, False),
        (-0.36, 0.6, False),
        (0.3, 0, True),
        (-0.32, 0.5, True),
    ):
        swing = sine(360 * (phase + shift))
        legs = _leg((x, y + 0.08), 0.44, swing, 0.05, coat if near else dark)
        (body if near else behind).extend(legs)
    neck = (0.33, y - 0.05)
    nod = 128 + 8 * sine(360 * phase)
    head = along(neck, 0.3, nod)
    tail = 10 * sine(360 * phase + 60) - 40
    body += [
        Part(capsule((-0.44, y - 0.06), 0.32, tail, 0.03, 0.05), mane, False),
        Part(capsule((-0.32, y), 0.64, 90, 0.14, 0.13), coat, False),
        Part(capsule((neck[0] - 0.05, neck[1] - 0.02), 0.28, nod + 3, 0.06, 0.04), mane, False),
        Part(capsule(neck, 0.28, nod, 0.1, 0.06), coat, False),
        Part(capsule(head, 0.17, 50, 0.065, 0.045), coat, False),
        Part(capsule((-0.12, y - 0.12), 0.2, 90, 0.035, 0.035), mane, False),
    ]
    return behind, body


def dog(phase: float, coat: Colour, collar: Colour) -> tuple[list[Part], Point]:
    """Returns a trotting dog on the ground before the origin, and the position of its collar."""
    x, y = 0.55, -0.2 + 0.01 * sine(720 * phase)
    parts: list[Part] = []
    for dx, shift in ((-0.1, 0.0), (0.1, 0.5), (-0.13, 0.5), (0.13, 0.0)):
        parts += _leg((x + dx, y + 0.03), 0.17, sine(360 * (phase + shift)), 0.022, coat)
    neck = (x + 0.15, y - 0.02)
    head = along(neck, 0.1, 135)
    wag = 215 + 25 * sine(720 * phase)
    parts += [
        Part(capsule((x - 0.15, y - 0.03), 0.13, wag, 0.018, 0.01), coat, False),
        Part(capsule((x - 0.13, y), 0.26, 90, 0.06, 0.065), coat, False),
        Part(capsule(neck, 0.1, 135, 0.045, 0.04), coat, False),
        Part(disc((neck[0] + 0.03, neck[1] - 0.03), 0.045, 8), collar, False),
        Part(capsule(head, 0.08, 75, 0.045, 0.025), coat, False),
        Part(capsule(head, 0.05, 10, 0.018, 0.014), collar, False),
    ]
    return parts, (neck[0] + 0.03, neck[1] - 0.03)

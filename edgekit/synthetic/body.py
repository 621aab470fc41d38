"""The body of a puppet: a pose in angles, and the parts that are painted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from edgekit.synthetic.shapes import Colour, Part, Point, along, capsule, disc

__all__ = ["Looks", "Pose", "Puppet", "build"]

_TORSO, _NECK, _HEAD = 0.29, 0.035, 0.075
_THIGH, _SHIN, _FOOT = 0.235, 0.235, 0.075
_UPPER_ARM, _FOREARM = 0.165, 0.15


class Looks(NamedTuple):
    """Colours of a figure and its props."""

    skin: Colour
    hair: Colour
    shirt: Colour
    stripe: Colour
    trousers: Colour
    shoes: Colour
    prop: Colour
    second: Colour


@dataclass(frozen=True, slots=True)
class Pose:
    """A pose seen from the side, facing right. Angles are in degrees.

    Attributes:
        lean: Forward lean of the torso.
        arms: Angles of the far and the near arm: upper arm (0 hangs down, 90 points forwards) and
            bend of the elbow.
        legs: Angles of the far and the near leg: thigh (0 hangs down, 90 points forwards) and bend
            of the knee.
        spin: Rotation of the whole figure about its hips.
        nod: Forward tilt of the head.
    """

    lean: float
    arms: tuple[tuple[float, float], tuple[float, float]]
    legs: tuple[tuple[float, float], tuple[float, float]]
    spin: float = 0.0
    nod: float = 0.0


@dataclass(slots=True)
class Puppet:
    """A posed figure of height 1, with its hips at the origin.

    Attributes:
        far: Parts behind the torso, the farthest first.
        near: Torso and the parts in front of it.
        hands: Positions of the far and the near hand.
        feet: Positions of the far and the near foot.
        ground: Distance of the lowest foot below the hips.
    """

    far: list[Part] = field(default_factory=list)
    near: list[Part] = field(default_factory=list)
    hands: list[Point] = field(default_factory=list)
    feet: list[Point] = field(default_factory=list)
    ground: float = 0.0


def build(pose: Pose, looks: Looks) -> Puppet:
    """Returns the parts of a figure in a pose."""
    puppet = Puppet()
    spin = pose.spin
    hips = (0.0, 0.0)
    up = 180 - pose.lean + spin
    shoulders = along(hips, _TORSO - 0.035, up)
    for side, (arm, leg) in enumerate(zip(pose.arms, pose.legs, strict=True)):
        parts = puppet.near if side else puppet.far
        if side:
            parts.extend(_torso(hips, up, up - pose.nod, looks))
        thigh, shin = leg[0] + spin, leg[0] - leg[1] + spin
        knee = along(hips, _THIGH, thigh)
        ankle = along(knee, _SHIN, shin)
        trousers = looks.trousers if side else _darker(looks.trousers)
        foot = along(ankle, _FOOT, shin + 80)
        limb = [
            Part(capsule(hips, _THIGH, thigh, 0.058, 0.042), trousers),
            Part(capsule(knee, _SHIN, shin, 0.042, 0.028), trousers),
            Part(capsule(ankle, _FOOT, shin + 80, 0.03, 0.022), looks.shoes),
        ]
        upper, fore = arm[0] + spin, arm[0] + arm[1] + spin
        elbow = along(shoulders, _UPPER_ARM, upper)
        hand = along(elbow, _FOREARM, fore)
        sleeve = looks.shirt if side else _darker(looks.shirt)
        skin = looks.skin if side else _darker(looks.skin)
        sides = [
            Part(capsule(shoulders, _UPPER_ARM, upper, 0.036, 0.03), sleeve),
            Part(capsule(elbow, _FOREARM, fore, 0.027, 0.02), skin),
            Part(disc(hand, 0.027, 8), skin),
        ]
        parts.extend([*limb, *sides] if side else [*sides, *limb])
        puppet.hands.append(hand)
        puppet.feet.append(foot)
        puppet.ground = max(puppet.ground, ankle[1] + 0.03, foot[1] + 0.022)
    return puppet


def _torso(hips: Point, up: float, head_up: float, looks: Looks) -> list[Part]:
    neck = along(hips, _TORSO, up)
    head = along(neck, _NECK + _HEAD, head_up)
    band = along(hips, 0.14, up)
    return [
        Part(capsule(hips, 0.05, up, 0.062, 0.06), looks.trousers),
        Part(capsule(along(hips, 0.06, up), _TORSO - 0.11, up, 0.06, 0.072), looks.shirt),
        Part(capsule(band, 0.03, up, 0.063, 0.066), looks.stripe),
        Part(capsule(neck, _NECK, head_up, 0.03, 0.03), looks.skin),
        Part(disc(head, _HEAD), looks.skin),
        Part(capsule(along(head, 0.03, head_up - 40), 0.03, head_up + 90, 0.055, 0.05), looks.hair),
    ]


def _darker(colour: Colour) -> Colour:
    blue, green, red = colour
    return blue * 3 // 4, green * 3 // 4, red * 3 // 4

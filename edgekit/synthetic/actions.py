"""Actions of the puppets: the pose and the props at each phase of an action.

A picture depends on the phase alone: a figure that stands still at a phase and a figure that moves
through it look identical.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.synthetic.body import Looks, Pose, Puppet, build
from edgekit.synthetic.props import bounce, dog, horse, leash, rope
from edgekit.synthetic.shapes import Part, Point, disc, sine

__all__ = ["ACTIONS", "Action"]


@dataclass(frozen=True, slots=True)
class Action:
    """An action that puppets can perform.

    Attributes:
        label: Name of the action among the classes of UCF101-24.
        parts: Function that returns the parts at a phase, in turns of the cycle (0 to 1 if the
            action ends). The figure has height 1 and faces right; the origin is on the ground under
            it.
        period: Smallest and largest number of frames in a cycle.
        heights: Smallest and largest height of the figure, as shares of the picture's height.
        travel: Distance moved per cycle, forwards and down, in heights of the figure.
        room: Space needed left, right, above and below the origin, in heights of the figure.
        ends: Whether the action is over after one cycle.
    """

    label: str
    parts: Callable[[float, Looks], list[Part]]
    period: tuple[int, int]
    heights: tuple[float, float]
    travel: Point = (0.0, 0.0)
    room: tuple[float, float, float, float] = (0.3, 0.3, 1.05, 0.0)
    ends: bool = False


def _stand(puppet: Puppet) -> Point:
    return 0.0, -puppet.ground


def _moved(parts: list[Part], by: Point) -> list[Part]:
    return [
        part._replace(points=[(x + by[0], y + by[1]) for x, y in part.points]) for part in parts
    ]


def _swing(phase: float, offset: float = 0.0) -> float:
    return sine(360 * (phase + offset))


def _juggle(phase: float, looks: Looks) -> list[Part]:
    # Each foot kicks once per cycle; the ball flies from one foot to the other.
    lifts = [max(0.0, _swing(phase, shift)) for shift in (0.75, 0.25)]
    legs = [(8 + 52 * lift, 14 + 58 * lift * (1 - 0.6 * lift)) for lift in lifts]
    sway = _swing(phase, 0.1)
    pose = Pose(
        lean=6 + 6 * sway,
        arms=((-48 - 26 * sway, 34), (52 - 30 * sway, 42 + 20 * _swing(phase))),
        legs=(legs[0], legs[1]),
        nod=18,
    )
    puppet = build(pose, looks)
    ball = (0.31 + 0.03 * sway, -0.29 - 0.5 * bounce(2 * phase))
    body = _moved([*puppet.far, *puppet.near], _stand(puppet))
    return [*body, *_ball(ball, 0.062, looks.prop, looks.second)]


def _dribble(phase: float, looks: Looks) -> list[Part]:
    # The ball is at the hand at phase 0 and at the ground at half a cycle.
    push = 1 - bounce(phase)
    step = _swing(phase)
    pose = Pose(
        lean=16 + 5 * step,
        arms=((-30 + 24 * step, 50), (18 + 16 * push, 44 + 30 * push)),
        legs=((30 + 16 * step, 42 + 8 * step), (-6 - 16 * step, 34 - 12 * step)),
        nod=-6,
    )
    puppet = build(pose, looks)
    by = _stand(puppet)
    body = _moved([*puppet.far, *puppet.near], by)
    ball = (0.3, -0.075 - 0.45 * bounce(phase + 0.5))
    return [*body, *_ball(ball, 0.075, (30, 110, 225), (20, 30, 40))]


def _ball(
    centre: Point, radius: float, colour: tuple[int, int, int], patch: tuple[int, int, int]
) -> list[Part]:
    inner = disc((centre[0] - radius * 0.2, centre[1] - radius * 0.2), radius * 0.42, 6)
    return [Part(disc(centre, radius), colour, False), Part(inner, patch, False)]


def _climb(phase: float, looks: Looks) -> list[Part]:
    reach = _swing(phase)
    tuck = 0.5 + 0.5 * _swing(phase, 0.2)
    pose = Pose(
        lean=4 + 5 * _swing(phase, 0.4),
        arms=((150 + 24 * reach, 18 - 14 * reach), (150 - 24 * reach, 18 + 14 * reach)),
        legs=((34 + 50 * tuck, 50 + 55 * tuck), (22 + 46 * (1 - tuck), 40 + 60 * (1 - tuck))),
        nod=-14,
    )
    puppet = build(pose, looks)
    body = _moved([*puppet.far], (0.0, -0.45))
    front = _moved([*puppet.near], (0.0, -0.45))
    return [*body, *rope(0.16, looks.prop), *front]


def _dive(phase: float, looks: Looks) -> list[Part]:
    # The diver leaves the edge, turns a tucked somersault, and stretches before the water.
    tuck = max(0.0, sine(180 * min(1.0, max(0.0, (phase - 0.1) / 0.65))))
    raised = 60 + 110 * min(1.0, max(0.0, 2.5 * phase))
    pose = Pose(
        lean=8 + 50 * tuck,
        arms=((raised - 80 * tuck, 12 + 40 * tuck), (raised - 10 - 80 * tuck, 14 + 40 * tuck)),
        legs=((8 + 100 * tuck, 10 + 112 * tuck), (2 + 100 * tuck, 8 + 118 * tuck)),
        spin=-540 * phase,
        nod=10 + 20 * tuck,
    )
    puppet = build(pose, looks)
    return _moved([*puppet.far, *puppet.near], (0.0, -0.5))


def _ride(phase: float, looks: Looks) -> list[Part]:
    bob = 0.035 * _swing(phase, 0.15)
    pose = Pose(
        lean=16 + 12 * _swing(phase, 0.3),
        arms=((38 + 16 * _swing(phase, 0.5), 34), (42 + 16 * _swing(phase, 0.45), 30)),
        legs=((52, 66), (46 + 8 * _swing(phase), 62 + 8 * _swing(phase))),
        nod=-8,
    )
    puppet = build(pose, looks)
    seat = (-0.04, -0.66 + bob)
    behind, before = horse(phase, bob * 0.6, looks.prop, looks.second)
    rider = (_moved(puppet.far, seat), _moved(puppet.near, seat))
    return [*rider[0], *behind, *before, *rider[1]]


def _walk(phase: float, looks: Looks) -> list[Part]:
    stride = _swing(phase)
    bends = [20 + 34 * max(0.0, _swing(phase, shift)) for shift in (0.75, 0.25)]
    pose = Pose(
        lean=5 + 2 * _swing(2 * phase),
        arms=((-32 * stride, 22), (34 + 14 * stride, 24)),
        legs=((30 * stride + 6, bends[0]), (-30 * stride + 6, bends[1])),
    )
    puppet = build(pose, looks)
    by = _stand(puppet)
    hand = (puppet.hands[1][0] + by[0], puppet.hands[1][1] + by[1])
    animal, collar = dog(phase * 2, looks.prop, looks.second)
    return [
        *_moved(puppet.far, by),
        *animal,
        *leash(hand, collar),
        *_moved(puppet.near, by),
    ]


ACTIONS: tuple[Action, ...] = (
    Action("SoccerJuggling", _juggle, (24, 36), (0.3, 0.75)),
    Action("Basketball", _dribble, (14, 22), (0.3, 0.72), room=(0.3, 0.42, 1.0, 0.0)),
    Action("RopeClimbing", _climb, (24, 40), (0.3, 0.6), (0.0, -0.3), (0.2, 0.3, 1.0, 0.1)),
    Action(
        "CliffDiving", _dive, (34, 52), (0.26, 0.42), (0.7, 2.2), (0.35, 0.4, 1.0, 0.0), ends=True
    ),
    Action("HorseRiding", _ride, (14, 22), (0.3, 0.55), (0.42, 0.0), (0.5, 0.75, 1.25, 0.0)),
    Action("WalkingWithDog", _walk, (22, 32), (0.3, 0.68), (0.36, 0.0), (0.3, 0.85, 1.02, 0.0)),
)
"""Every action, in a fixed order."""

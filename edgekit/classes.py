"""Lists the class names of the published datasets, in the order of their indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.files.reading import read_regular

__all__ = ["CLASS_LISTS", "alike", "class_names", "default_classes"]

_MOST_BYTES = 1 << 20
_NAMED = 5
_UCF24 = """
Basketball BasketballDunk Biking CliffDiving CricketBowling Diving Fencing FloorGymnastics
GolfSwing HorseRiding IceDancing LongJump PoleVault RopeClimbing SalsaSpin SkateBoarding Skiing
Skijet SoccerJuggling Surfing TennisSwing TrampolineJumping VolleyballSpiking WalkingWithDog
"""
_JHMDB21 = """
brush_hair catch clap climb_stairs golf jump kick_ball pick pour pullup push run shoot_ball
shoot_bow shoot_gun sit stand swing_baseball throw walk wave
"""
_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra,
giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""
_VOC = """
aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person
pottedplant sheep sofa train tvmonitor
"""

CLASS_LISTS: dict[str, tuple[str, ...]] = {
    "ucf24": tuple(_UCF24.split()),
    "jhmdb21": tuple(_JHMDB21.split()),
    "coco": tuple(" ".join(_COCO.split()).split(", ")),
    "voc": tuple(_VOC.split()),
}
"""Class names of UCF101-24 (in the alphabetical order of its annotations), J-HMDB-21, COCO and
Pascal VOC."""

_OF_PICTURES = ("coco", "voc")
"""Lists of datasets of single pictures, from which no network of pairs of pictures was trained."""


def alike(names: Sequence[str]) -> list[tuple[str, str]]:
    """Returns each name that differs from an earlier one in case or spaces only, after that one."""
    kept: dict[str, str] = {}
    pairs = [(kept.setdefault(" ".join(name.split()).casefold(), name), name) for name in names]
    return [(first, name) for first, name in pairs if first != name]


def class_names(choice: str) -> tuple[str, ...]:
    """Returns the class names of a named list or of a file.

    Args:
        choice: Key of ``CLASS_LISTS``, or path of a text file with one name per line.

    Raises:
        UsageError: ``choice`` is neither, or the file has no names or a duplicate.
    """
    if choice in CLASS_LISTS:
        return CLASS_LISTS[choice]
    expected = f"Expected {', '.join(CLASS_LISTS)} or a file with one class name a line"
    try:
        lines = read_regular(Path(choice), _MOST_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise UsageError(f"{expected}; {choice} cannot be read: {reason}.") from error
    names = tuple(line.strip() for line in lines if line.strip())
    twice = sorted(name for name, count in Counter(names).items() if count > 1)[:_NAMED]
    if not names or twice:
        what = f"has {', '.join(twice)} twice" if twice else "has none"
        raise UsageError(f"{expected}; {choice} {what}.")
    return names


def default_classes(count: int, channels: int) -> tuple[str, ...]:
    """Returns the published list that fits a network, or else ``class0``, ``class1`` and so on.

    Args:
        count: Number of classes of the network.
        channels: Number of its input channels. With 6, it has seen pairs of pictures, so its
            classes are neither COCO's nor VOC's.
    """
    for key, names in CLASS_LISTS.items():
        if len(names) == count and (channels == 3 or key not in _OF_PICTURES):
            return names
    return tuple(f"class{index}" for index in range(count))

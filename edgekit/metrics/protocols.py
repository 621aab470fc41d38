"""Lists the evaluation protocols; does not import numpy, so that help loads fast."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FRAMES", "PROTOCOLS", "Protocol"]

FRAMES = ("all", "annotated")
"""Frames whose boxes count for frame-AP: all, or only those with an annotated box."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """The differences between the two protocols.

    Attributes:
        name: Name on the command line.
        link: Linker that is used by default.
        frame_size: Width and height to which every video is scaled; None keeps its own.
        all_classes: Whether classes without ground truth count, as 0.
        any_class: Whether a box may match an annotated box of another class.
        pixel: Growth of found boxes before they are compared, and the margin they keep inside the
            frame, in pixels.
    """

    name: str
    link: str
    frame_size: tuple[int, int] | None
    all_classes: bool
    any_class: bool
    pixel: float


PROTOCOLS = {
    "edgekit": Protocol("edgekit", "edgekit", None, all_classes=False, any_class=False, pixel=0.0),
    "published": Protocol(
        "published", "road", (320, 240), all_classes=True, any_class=True, pixel=1.0
    ),
}

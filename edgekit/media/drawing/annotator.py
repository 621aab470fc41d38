"""Draws tubes on frames: boxes, class names, scores, tube ids and trails."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from edgekit._checks import as_number, as_picture, as_whole
from edgekit._locking import one_at_a_time
from edgekit._printable import described
from edgekit.errors import UsageError
from edgekit.linking.published import LiveTube
from edgekit.linking.tubes import Tubes
from edgekit.media._opencv import cv2
from edgekit.media.drawing.text import Colour, colour_of, contrast, put_text, text_size
from edgekit.pipeline.results import FrameResult
from edgekit.runtime.rows import checked_names
from edgekit.runtime.types import Array, Detections, Frame
from edgekit.system.leaving import inside_or_end

__all__ = ["Annotator"]

_TRAIL_FRAMES = 30
_DASH = 6
_FARTHEST = 1 << 20
"""Largest coordinate that OpenCV gets, far outside of any picture."""


class Annotator:
    """Draws tubes on consecutive frames, and remembers their trails.

    The box of a tube without a detection in the frame is dashed. If tubes of several classes share
    one actor, only the best one is drawn.

        annotator = Annotator(detector.classes)
        picture = annotator.draw(frame, tracker.update(detections, frame.time))

    Several threads may call it; it draws their frames one after the other.

    Args:
        classes: Class names, by class index. A class without a name is shown by its index.

    Raises:
        UsageError: ``classes`` is not a sequence of text.
    """

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self._classes = checked_names(classes)
        self._trails: dict[int, deque[tuple[float, float]]] = {}
        self._followed = -1
        self._scale = (1.0, 1.0)

    @one_at_a_time
    def name_classes(self, classes: Sequence[str]) -> None:
        """Uses other class names from the next frame on; trails stay.

        Args:
            classes: Class names, by class index.

        Raises:
            UsageError: ``classes`` is not a sequence of text.
        """
        self._classes = checked_names(classes)

    @one_at_a_time
    def draw(
        self, frame: Frame | npt.NDArray[np.uint8], tubes: Iterable[LiveTube]
    ) -> npt.NDArray[np.uint8]:
        """Returns a copy of a frame's picture with its tubes drawn on it.

        Args:
            frame: Next frame, or its picture, (H, W, 3) uint8, BGR.
            tubes: Live tubes in the frame.

        Raises:
            UsageError: An argument has another type or shape.
        """
        if not isinstance(frame, Frame):
            frame = Frame(self._followed + 1, 0.0, as_picture("frame", frame))
        as_picture("frame.image", frame.image)
        shown = tubes if isinstance(tubes, Tubes) else Tubes(tubes)
        for tube in shown:
            _check_tube(tube)
        return self.draw_result(FrameResult(frame, Detections.empty(0), shown))

    @one_at_a_time
    @inside_or_end()
    def draw_result(
        self, result: FrameResult, canvas: Array | None = None
    ) -> npt.NDArray[np.uint8]:
        """Returns the frame's picture with its tubes drawn on it, for a sink.

        Args:
            result: Next frame, or the frame that was just given to ``follow``.
            canvas: Picture of the frame in another size, (h, w, 3) uint8, drawn on in place. The
                default is a copy of the frame's picture.
        """
        self.follow(result)
        height, width = result.frame.image.shape[:2]
        image: Array = np.array(result.frame.image, order="C") if canvas is None else canvas
        self._scale = (image.shape[1] / width, image.shape[0] / height)
        line = max(2, round(min(image.shape[:2]) / 200))
        # The best tube is drawn last, so that it lies on top.
        actors = [tube._replace(box=self._scaled(tube.box)) for tube in result.actors[::-1]]
        for tube in actors:
            self._draw_trail(image, tube, line)
        for tube in actors:
            _draw_box(image, tube, line)
        taken: list[tuple[int, int, int, int]] = []
        for tube in reversed(actors):
            self._draw_label(image, tube, taken)
        return cast("npt.NDArray[np.uint8]", image)

    @one_at_a_time
    def follow(self, result: FrameResult) -> None:
        """Stores the positions of a frame's tubes, for the trails of later frames."""
        if result.frame.index == self._followed:
            return
        self._followed = result.frame.index
        tubes = result.tubes
        alive = {tube.id for tube in tubes}
        self._trails = {id: trail for id, trail in self._trails.items() if id in alive}
        for tube in tubes:
            trail = self._trails.setdefault(tube.id, deque(maxlen=_TRAIL_FRAMES))
            x1, _, x2, y2 = tube.box
            foot = ((x1 + x2) / 2, y2)
            # The trail moves only half of each step, because the jitter of boxes would hide the
            # motion.
            last = trail[-1] if trail else foot
            trail.append(((last[0] + foot[0]) / 2, (last[1] + foot[1]) / 2))

    def _scaled(self, values: Sequence[float]) -> list[float]:
        return [value * self._scale[place % 2] for place, value in enumerate(values)]

    def _draw_trail(self, image: Array, tube: LiveTube, line: int) -> None:
        points = [_pixel(self._scaled(point)) for point in self._trails.get(tube.id, ())]
        colour = np.array(colour_of(tube.label), np.float64)
        for place in range(1, len(points)):
            strength = 0.5 + 0.5 * place / len(points)
            cv2.line(
                image,
                points[place - 1],
                points[place],
                (colour * strength).tolist(),
                line,
                cv2.LINE_AA,
            )

    def _draw_label(
        self, image: Array, tube: LiveTube, taken: list[tuple[int, int, int, int]]
    ) -> None:
        known = tube.label < len(self._classes)
        name = self._classes[tube.label] if known else f"class {tube.label}"
        height = min(max(8.0, min(image.shape[:2]) / 28), 26.0)
        text = f"{name} {tube.score:.2f} #{tube.id}"
        width, _ = text_size(text, height)
        if width > image.shape[1]:
            height *= image.shape[1] / width
            width = image.shape[1]
        pad = max(2, round(height / 3))
        box_width, box_height = width + 2 * pad, round(height) + 2 * pad
        x, y = _place(tube.box, box_width, box_height, image.shape[:2], taken)
        taken.append((x, y, x + box_width, y + box_height))
        colour = colour_of(tube.label)
        cv2.rectangle(image, (x, y), (x + box_width - 1, y + box_height - 1), colour, cv2.FILLED)
        put_text(image, text, (x + pad, y + box_height - pad - 1), height, contrast(colour))


def _place(
    box: list[float],
    width: int,
    height: int,
    size: tuple[int, int],
    taken: list[tuple[int, int, int, int]],
) -> tuple[int, int]:
    """Places a label above the box, else inside or below it, and off other labels if possible."""
    limit_y, limit_x = max(size[0] - height, 0), max(size[1] - width, 0)
    left, top, bottom = round(box[0]), round(box[1]), round(box[3])
    x = min(max(left, 0), limit_x)
    choices = [min(max(y, 0), limit_y) for y in (top - height, top, bottom, bottom - height)]
    for y in choices:
        if not any(
            x < right and a < x + width and y < lower and b < y + height
            for a, b, right, lower in taken
        ):
            return x, y
    return x, choices[0]


def _check_tube(tube: LiveTube) -> None:
    """Raises unless a tube of a program can be drawn."""
    as_whole("id", tube.id, least=0)
    as_whole("label", tube.label, least=0)
    as_number("score", tube.score)
    try:
        with np.errstate(over="ignore"):
            box = np.asarray(tube.box, np.float32)
    except (TypeError, ValueError, OverflowError):
        box = np.zeros(0, np.float32)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise UsageError(f"Expected a box of four finite numbers; found {described(tube.box)}.")


def _pixel(point: Sequence[float]) -> tuple[int, int]:
    x, y = (round(min(max(value, -_FARTHEST), _FARTHEST)) for value in point)
    return x, y


def _draw_box(image: Array, tube: LiveTube, line: int) -> None:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (round(value) for value in tube.box)
    x1, x2 = (min(max(x, 0), width - 1) for x in (x1, x2))
    y1, y2 = (min(max(y, 0), height - 1) for y in (y1, y2))
    colour = colour_of(tube.label)
    if tube.observed:
        # A dark line around the bright one keeps it visible on light backgrounds.
        cv2.rectangle(image, (x1, y1), (x2, y2), (0, 0, 0), line + 2)
        cv2.rectangle(image, (x1, y1), (x2, y2), colour, line)
        return
    corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    for begin, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        _dashed(image, begin, end, colour, line)


def _dashed(
    image: Array, begin: tuple[int, int], end: tuple[int, int], colour: Colour, line: int
) -> None:
    dash = _DASH * line
    length = max(abs(end[0] - begin[0]), abs(end[1] - begin[1]))
    steps = np.append(np.arange(0, length, dash), length)
    points = np.array(begin) + np.outer(steps / max(length, 1), np.subtract(end, begin))
    for start, stop in zip(points[:-1:2], points[1::2], strict=False):
        a, b = (tuple(point.round().astype(int).tolist()) for point in (start, stop))
        cv2.line(image, a, b, (0, 0, 0), line + 2)
        cv2.line(image, a, b, colour, line)

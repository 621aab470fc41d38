"""Shows the annotated frames in a window."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.media._opencv import cv2
from edgekit.media.drawing.annotator import Annotator
from edgekit.media.drawing.square_pixels import in_size, shown_size
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo

__all__ = ["WindowSink"]

_TITLE = "EdgeKit"
_QUIT_KEYS = frozenset((27, ord("q"), ord("Q")))


class WindowSink(Sink):
    """Shows the annotated frames until the run ends, or Escape or Q is pressed.

    Args:
        on_quit: Function called when the user asks to end the run.

    Raises:
        UsageError: There is no display, or this OpenCV has no windows.
    """

    def __init__(self, on_quit: Callable[[], None]) -> None:
        displays = ("DISPLAY", "WAYLAND_DISPLAY")
        if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
            raise UsageError(
                f"{parameter('show')} needs a display, and there is none here.",
                hint=f"Leave out {parameter('show')}, or write a video instead: "
                f"{parameter('video', 'FILE')}",
            )
        self._on_quit = on_quit
        self._annotator = Annotator(())
        self._open = False

    def start(self, info: RunInfo) -> None:
        """Opens the window."""
        self._annotator = Annotator(info.classes)
        try:
            cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise UsageError(
                f"{parameter('show')} needs a build of OpenCV that can open windows; the installed "
                "build cannot.",
                hint="Replace opencv-python-headless with opencv-python, or leave out "
                f"{parameter('show')}.",
            ) from error
        self._open = True

    def bundle(self, change: BundleChange) -> None:
        """Draws the classes of the bundle from now on."""
        self._annotator.name_classes(change.classes)

    def frame(self, result: FrameResult) -> None:
        """Shows a frame."""
        canvas = in_size(result.frame.image, *shown_size(result.frame))
        cv2.imshow(_TITLE, self._annotator.draw_result(result, canvas))
        if cv2.waitKey(1) & 0xFF in _QUIT_KEYS:
            self._on_quit()

    def close(self) -> None:
        """Closes the window."""
        if self._open:
            self._open = False
            cv2.destroyWindow(_TITLE)

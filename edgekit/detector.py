"""A bundle, opened: the three steps from a picture to its detections."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit._closing import Closing
from edgekit.bundle import Bundle, load_bundle
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.decode import decode
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.native import setting
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Array, Detections
from edgekit.targets.base import Session, SessionOptions
from edgekit.targets.registry import open_session

_LOG = logging.getLogger(__name__)

__all__ = ["Detector", "cascade_of", "recent_frames_of"]


def cascade_of(bundle: Bundle) -> Cascade:
    """The cascade that a bundle's manifest describes."""
    made, spec = bundle.manifest.input, bundle.manifest.cascade
    return Cascade(
        (made.height, made.width),
        made.mean,
        made.std,
        kind=spec.kind,
        frame_gap=spec.frame_gap,
        first_frame=spec.first_frame,
    )


def recent_frames_of(bundle: Bundle) -> RecentFrames | None:
    """Pairs the frames of one source as a bundle's manifest describes it.

    None where it does not: for a model without a map of what moved, and for a bundle of EdgeKit
    0.1.0. The cascade then remembers the pictures before by itself.
    """
    cascade = bundle.manifest.cascade
    if cascade.kind == "rgb" or cascade.interval is msgspec.UNSET:
        return None
    return RecentFrames(cascade.interval)


class Detector(Closing):
    """Finds actions in consecutive pictures. A context manager.

    Args:
        bundle: What to run, or the folder of it.
        options: How to run it.
        top_k: Peaks a frame at most; by default what the bundle says.

    Attributes:
        bundle: As loaded.
        session: The runtime's.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str,
        *,
        options: SessionOptions | None = None,
        top_k: int | None = None,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(Path(bundle))
        self._cascade = cascade_of(self.bundle)
        self._top_k = top_k or self.bundle.manifest.decode.top_k
        self.session: Session = open_session(self.bundle, options)
        if _LOG.isEnabledFor(logging.INFO):
            told = ", ".join(f"{name} {value}" for name, value in self.session.describe().items())
            _LOG.info("Running %s: %s, cascade by %s.", self.bundle.path, told, setting().kernel)
        self._owns_session = True

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their indices."""
        return self.bundle.manifest.classes

    @property
    def lanes(self) -> int:
        """How many threads may call ``infer`` at a time."""
        return self.session.lanes

    @property
    def remembers(self) -> bool:
        """Whether the cascade takes the picture before for the earlier one, whatever its time.

        So it is with a bundle of EdgeKit 0.1.0, which does not say what time lay between.
        """
        return self.bundle.manifest.cascade.kind != "rgb" and self.recent_frames() is None

    def sibling(self) -> Detector:
        """Another detector on the same session, for the pictures of another source.

        It remembers pictures of its own, and closing it leaves the session open. A session computes
        for ``lanes`` at a time: the siblings' pipelines need one
        ``edgekit.runtime.turnstile.Turnstile`` of so many places as their ``turn``.
        """
        other = copy.copy(self)
        other._cascade = cascade_of(self.bundle)
        other._owns_session = False
        return other

    def reset(self) -> None:
        """Forgets the pictures before: the next one is a first frame."""
        self._cascade.reset()

    def recent_frames(self) -> RecentFrames | None:
        """Pairs the frames of one source, as ``recent_frames_of`` has it."""
        return recent_frames_of(self.bundle)

    def prepare(
        self,
        image: npt.NDArray[np.uint8],
        sample_aspect: float = 1.0,
        earlier: npt.NDArray[np.uint8] | None = None,
    ) -> tuple[dict[str, Array], Letterbox]:
        """The model's inputs for the next picture (H, W, 3) uint8 BGR, and its letterbox.

        Args:
            image: The picture.
            sample_aspect: Width of a pixel of it over its height, as ``Frame`` has it.
            earlier: The picture to compare it with, as ``Frame`` has it; None is the one that came
                before.
        """
        if self.bundle.manifest.cascade.place == "graph":
            previous, current, letterbox = self._cascade.pair(image, sample_aspect, earlier)
            return {"previous": previous[None], "frame": current[None]}, letterbox
        tensor, letterbox = self._cascade(image, sample_aspect, earlier)
        return {"input": tensor}, letterbox

    def infer(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """What the model returns for what ``prepare`` made."""
        return self.session.infer(inputs)

    def decode(self, outputs: dict[str, Array], letterbox: Letterbox) -> Detections:
        """The detections in what ``infer`` returned, in source pixels."""
        stride = self.bundle.manifest.decode.stride
        return decode(outputs, len(self.classes), letterbox, top_k=self._top_k, stride=stride)

    def detect(self, image: npt.NDArray[np.uint8], sample_aspect: float = 1.0) -> Detections:
        """The detections of the next picture (H, W, 3) uint8 BGR: all three steps.

        Args:
            image: The picture.
            sample_aspect: Width of a pixel of it over its height, as ``Frame`` has it.
        """
        inputs, letterbox = self.prepare(image, sample_aspect)
        return self.decode(self.infer(inputs), letterbox)

    def close(self) -> None:
        """Gives up the runtime's session, unless it is that of a sibling."""
        if self._owns_session:
            self.session.close()

"""Opens a bundle, and turns a picture into detections: prepares the input, infers, and decodes."""

from __future__ import annotations

import copy
import logging
import threading
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit._checks import (
    as_instance,
    as_number,
    as_picture,
    as_whole,
    check_range,
    required_path,
    unexpected,
)
from edgekit._closing import Closing
from edgekit._parameters import parameter
from edgekit.bundle import Bundle, load_bundle
from edgekit.errors import UsageError
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.decode import decode
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.native import setting
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Array, Detections
from edgekit.system.leaving import inside_or_end
from edgekit.targets.base import Session, SessionOptions
from edgekit.targets.bundle_choice import SHIPPED, bundle_named, shipped_bundle
from edgekit.targets.registry import open_session

_LOG = logging.getLogger(__name__)

__all__ = ["Detector", "cascade_of", "recent_frames_of"]


def cascade_of(bundle: Bundle) -> Cascade:
    """Returns the cascade that a bundle's manifest describes."""
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
    """Returns what pairs the frames of one source, as the bundle's manifest describes it.

    Returns None for a model without a motion map, and for an early bundle, which does not state the
    interval of a pair. The cascade then stores the previous pictures itself.
    """
    cascade = bundle.manifest.cascade
    if cascade.kind == "rgb" or cascade.interval is msgspec.UNSET:
        return None
    return RecentFrames(cascade.interval)


def _load(bundle: Path | str) -> Bundle:
    if bundle_named(bundle) is SHIPPED:
        return shipped_bundle()
    return load_bundle(required_path("bundle", bundle))


class Detector(Closing):
    """Finds actions in consecutive pictures. A context manager.

    A detector compares each picture with the one before it, so each source needs its own: a
    ``sibling`` shares the model. The first picture of another size is compared with none. A
    ``Pipeline`` compares each with the picture that came the bundle's interval earlier, at any
    frame rate. Several threads may call ``detect`` of one detector, which takes their pictures one
    after the other.

    Args:
        bundle: Bundle to run, its folder, or the text ``shipped`` for the shipped bundle.
        options: Options for the runtime session.
        top_k: Largest number of peaks per frame; None for the bundle's own value. A model that
            contains the decoding gives no more than that.

    Attributes:
        bundle: Loaded bundle.
        session: Session of the runtime.

    Raises:
        UsageError: An argument has a wrong type or value.
        BundleError: The bundle is missing, incomplete or changed, or does not run here.
        MissingDependencyError: The runtime is not installed.
    """

    @inside_or_end()
    def __init__(
        self,
        bundle: Bundle | Path | str,
        *,
        options: SessionOptions | None = None,
        top_k: int | None = None,
    ) -> None:
        if options is not None:
            as_instance("options", options, SessionOptions, "edgekit.SessionOptions")
        most = None if top_k is None else as_whole("top_k", top_k, least=1)
        self.bundle = bundle if isinstance(bundle, Bundle) else _load(bundle)
        self._cascade = cascade_of(self.bundle)
        self._top_k = most or self.bundle.manifest.decode.top_k
        _check_top_k(self.bundle, self._top_k)
        self.session: Session = open_session(self.bundle, options)
        if _LOG.isEnabledFor(logging.INFO):
            facts = ", ".join(f"{name} {value}" for name, value in self.session.describe().items())
            _LOG.info(
                "Running %s: %s, cascade kernel %s.", self.bundle.path, facts, setting().kernel
            )
        self._owns_session = True
        self._one_picture = threading.Lock()
        self._lanes = threading.BoundedSemaphore(self.session.lanes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of their indices."""
        return self.bundle.manifest.classes

    @property
    def lanes(self) -> int:
        """Number of threads that may call ``infer`` at the same time."""
        return self.session.lanes

    @property
    def remembers(self) -> bool:
        """Whether the cascade always compares with the previous picture, without regard to time.

        This is so for a bundle that does not state the interval of a pair. Only early ones do not.
        """
        return self.bundle.manifest.cascade.kind != "rgb" and self.recent_frames() is None

    def sibling(self) -> Detector:
        """Returns another detector on the same session, for the pictures of another source.

        It stores its own previous pictures, and closing it leaves the session open. A session
        serves ``lanes`` calls at a time, and others wait. For a fair order, the siblings' pipelines
        need a common ``edgekit.pipeline.fair_semaphore.FairSemaphore`` with that many places as
        their ``turn``.
        """
        other = copy.copy(self)
        other._cascade = cascade_of(self.bundle)
        other._one_picture = threading.Lock()
        other._owns_session = False
        return other

    def reset(self) -> None:
        """Forgets the previous pictures, so that the next one is a first frame."""
        self._cascade.reset()

    def recent_frames(self) -> RecentFrames | None:
        """Returns the object that pairs the frames of one source, as ``recent_frames_of`` does."""
        return recent_frames_of(self.bundle)

    @inside_or_end()
    def prepare(
        self,
        image: npt.NDArray[np.uint8],
        sample_aspect: float = 1.0,
        earlier: npt.NDArray[np.uint8] | None = None,
    ) -> tuple[dict[str, Array], Letterbox]:
        """Returns the model's inputs for the next picture, and its letterbox.

        Args:
            image: Picture, (H, W, 3) uint8, BGR.
            sample_aspect: Pixel aspect ratio of the picture, width over height.
            earlier: Earlier picture of the pair, (H, W, 3) uint8, BGR; None for the previous
                picture.

        Raises:
            UsageError: An argument has another type or shape.
        """
        _check_pictures(image, sample_aspect, earlier)
        if self.bundle.manifest.cascade.place == "graph":
            previous, current, letterbox = self._cascade.pair(image, sample_aspect, earlier)
            return {"previous": previous[None], "frame": current[None]}, letterbox
        tensor, letterbox = self._cascade(image, sample_aspect, earlier)
        return {"input": tensor}, letterbox

    @inside_or_end()
    def infer(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Runs the model on the inputs from ``prepare`` and returns its outputs."""
        with self._lanes:
            return self.session.infer(inputs)

    def release(self, inputs: dict[str, Array]) -> None:
        """Takes back inputs from ``prepare`` that are no longer used, to reuse their memory.

        Raises:
            UsageError: ``inputs`` are not what ``prepare`` returns.
        """
        if "input" in as_instance("inputs", inputs, dict, "the inputs from prepare"):
            self._cascade.release(inputs["input"])

    def decode(self, outputs: dict[str, Array], letterbox: Letterbox) -> Detections:
        """Decodes the outputs from ``infer`` into detections, in source pixels.

        Raises:
            UsageError: An argument has another type.
            BundleError: The outputs do not have the shapes in the manifest, or cannot be decoded.
        """
        as_instance("letterbox", letterbox, Letterbox, "the letterbox from prepare")
        self.session.check_outputs(as_instance("outputs", outputs, dict, "the outputs from infer"))
        stride = self.bundle.manifest.decode.stride
        classes = self.classes
        found = decode(outputs, len(classes), letterbox, top_k=self._top_k, stride=stride)
        return Detections(found.boxes, found.scores, classes)

    def detect(self, image: npt.NDArray[np.uint8], sample_aspect: float = 1.0) -> Detections:
        """Finds the detections of the next picture, in all three steps.

        Args:
            image: Picture, (H, W, 3) uint8, BGR.
            sample_aspect: Pixel aspect ratio of the picture, width over height.

        Raises:
            UsageError: An argument has another type or shape.
            EdgeKitError: The detector is closed, or the runtime failed.
        """
        with self._one_picture:
            inputs, letterbox = self.prepare(image, sample_aspect)
            outputs = self.infer(inputs)
            self.release(inputs)
            return self.decode(outputs, letterbox)

    @inside_or_end()
    def close(self) -> None:
        """Closes the runtime session, unless it belongs to another detector."""
        if self._owns_session:
            self.session.close()


def _check_top_k(bundle: Bundle, top_k: int) -> None:
    """Raises if a model that contains the decoding gives fewer detections than are asked for."""
    own = bundle.manifest.decode
    if own.place == "graph" and top_k > own.top_k:
        raise UsageError(
            f"Expected {parameter('top_k')} to be at most {own.top_k}, because the model of "
            f"{bundle.path} contains the decoding and gives no more; found {top_k}.",
            hint=f"Leave out {parameter('top_k')}, or export the model again with "
            f"{parameter('top_k', top_k)}.",
        )


def _check_pictures(image: object, sample_aspect: object, earlier: object) -> None:
    now = as_picture("image", image)
    check_range("sample_aspect", as_number("sample_aspect", sample_aspect), 0, above=True)
    if earlier is not None and as_picture("earlier", earlier).shape != now.shape:
        raise unexpected("earlier", f"a picture of image's shape, {now.shape}", earlier)

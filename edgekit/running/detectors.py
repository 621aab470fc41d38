"""Opens the detector of a run, at its start and when it changes to another bundle."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from edgekit._parameters import parameter
from edgekit.bundle import Bundle
from edgekit.detector import Detector
from edgekit.errors import BundleError, UsageError
from edgekit.running.options import FrameOptions, RunOptions
from edgekit.runtime.types import Frame
from edgekit.targets.base import SessionOptions
from edgekit.targets.profile import tuned_options

__all__ = ["check_interval", "facts_of", "open_proven", "session_options"]

_LOG = logging.getLogger(__name__)


def session_options(session: SessionOptions, options: RunOptions, *, live: bool) -> SessionOptions:
    """Returns the options of inference, which depend on how fast frames come.

    Args:
        session: Options that the user gave, or those of the bundle's profile.
        options: Options of the run.
        live: Whether any source is live.
    """
    if session.hint is None and not options.frames.realtime and not live:
        # A profile's number of threads is tuned for single frames.
        return replace(session, hint="throughput", threads=options.session.threads)
    return session


def check_interval(detector: Detector, frames: FrameOptions, *, live: bool) -> None:
    """Refuses to leave frames out for a bundle that compares with the previous picture.

    Warns if a source may drop frames.

    Raises:
        UsageError: Frames are left out on purpose, and the bundle does not allow it.
    """
    if not detector.remembers:
        return
    sampled = parameter("motion_gate") if frames.motion_gate else ""
    if frames.fps is not None:
        sampled = parameter("fps")
    if sampled:
        raise UsageError(
            f"{sampled} needs the time between the two pictures that the network compares. The "
            f"bundle {detector.bundle.path} does not contain it.",
            hint=f"Export the model again with this version of EdgeKit, or leave out {sampled}.",
        )
    if live or frames.drop_policy == "latest":
        _LOG.warning(
            "The bundle %s does not contain the time between the two pictures that its network "
            "compares. After each dropped frame, the network gets no earlier picture. To avoid "
            "this, export the model again with this version of EdgeKit.",
            detector.bundle.path,
        )


def open_proven(
    bundle: Bundle, options: RunOptions, frames: Iterable[Frame | None], *, live: bool
) -> Detector:
    """Opens a bundle for a run in progress, and runs its model once on each present picture.

    Args:
        bundle: Loaded bundle.
        options: Options of the run.
        frames: Newest frame of each source; None stands for a source that has given none yet, in
            whose place a grey picture is used.
        live: Whether any source is live.

    Raises:
        EdgeKitError: The runtime refuses the model, or the model fails on a picture or returns
            values that are not finite or cannot be decoded.
    """
    session = session_options(tuned_options(bundle, options.session), options, live=live)
    detector = Detector(bundle, options=session, top_k=options.tubes.top_k)
    try:
        check_interval(detector, options.frames, live=live)
        grey = Frame(0, 0.0, np.full((480, 640, 3), 128, np.uint8))
        for frame in frames:
            _prove(detector.sibling(), frame or grey)
    except BaseException:
        detector.close()
        raise
    return detector


def facts_of(detector: Detector) -> dict[str, str]:
    """Returns target, precision, runtime and version of the runtime, by name."""
    manifest, found = detector.bundle.manifest, detector.session.describe()
    return {
        "target": manifest.target,
        "precision": manifest.precision,
        "runtime": found["runtime"],
        "runtime_version": found["version"],
    }


def _prove(detector: Detector, frame: Frame) -> None:
    inputs, letterbox = detector.prepare(frame.image, frame.sample_aspect, frame.earlier)
    outputs = detector.infer(inputs)
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise BundleError(
                f"{detector.bundle.path}: the model's output {name!r} has values that are not "
                "finite on the present picture.",
                hint="Export the model again, and check it: edgekit demo --bundle FOLDER",
            )
    detector.decode(outputs, letterbox)

"""Measures the operators of a detector's model on pictures, and the peak to compare them with."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable

from edgekit.assets.pictures import verification_frames
from edgekit.bundle import Bundle
from edgekit.detector import Detector
from edgekit.errors import EdgeKitError
from edgekit.measuring.operator_times import OperatorTimes
from edgekit.measuring.peak import Peak, measure_peak
from edgekit.media import open_source

__all__ = ["measure_peaks", "profile_bundle", "profile_on"]

_LOG = logging.getLogger(__name__)


def profile_on(detector: Detector, source: str) -> OperatorTimes:
    """Returns the times of a model's operators on the first two frames of a source.

    Args:
        detector: Detector of the model; its earlier frames are forgotten.
        source: Video or folder of pictures.

    Raises:
        EdgeKitError: The runtime does not tell the times of its operators.
    """
    detector.reset()
    with open_source(source) as frames:
        for frame in itertools.islice(frames, 2):
            inputs, _ = detector.prepare(frame.image)
    return detector.session.profile(inputs)


def profile_bundle(bundle: Bundle) -> tuple[OperatorTimes, Peak | None]:
    """Returns the times of a bundle's operators on a shipped picture, and this machine's peak.

    The bundle runs on its target's default runtime, with as many threads as that chooses.

    Raises:
        MissingDependencyError: The runtime is not installed.
        EdgeKitError: The runtime does not tell the times of its operators.
    """
    with Detector(bundle) as detector:
        for picture in verification_frames(1)[0]:
            inputs, _ = detector.prepare(picture)
        times = detector.session.profile(inputs)
    return times, next(iter(measure_peaks([os.cpu_count() or 1])), None)


def measure_peaks(threads: Iterable[int]) -> list[Peak]:
    """Returns the peak of this machine for each number of threads, without those that failed."""
    peaks = []
    for count in sorted(set(threads)):
        try:
            peaks.append(measure_peak(count))
        except EdgeKitError as error:
            _LOG.warning("%s The report has no share of the peak.", error.message)
    return peaks

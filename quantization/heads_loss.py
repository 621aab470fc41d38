"""Measures the loss in single frames, in a quantized model's raw outputs (heads) and detections.

They are compared with those of the float model, or detections with annotations. ``tubes_loss``
measures the loss in tubes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress
from edgekit.bundle import Bundle, RoundingCheck
from edgekit.calibration.samples import Samples
from edgekit.calibration.store import Store, array_file, key_of
from edgekit.datasets.annotations import TruthTube
from edgekit.errors import CalibrationError
from edgekit.metrics.frame_map import frame_average_precision, match_frames
from edgekit.runtime.decode import group, peaks
from edgekit.runtime.selection import clamp_boxes
from edgekit.runtime.types import Array, Detections
from edgekit.system.distributions import installed_versions
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import open_session, runtime_packages
from edgekit.targets.verify import agreement

__all__ = ["HEADS", "SCORE", "HeadsLoss", "Truth", "rows_of", "truth_of"]

SCORE = 0.3
"""Smallest score of the float model's detections that count; it is that of ``edgekit run``."""

HEADS = ("hm", "wh", "reg")
_SAME_BOX = 0.8
_MOST_DECIBELS = 99.0

Truth = Sequence[Sequence[tuple[int, Array]]]
"""Class and box (4,), in source pixels, of every action in each sample."""


def rows_of(bundle: Bundle, outputs: Mapping[str, Array]) -> Array:
    """Returns the detections in a model's outputs, in input pixels, the best first.

    Args:
        bundle: Bundle of the model.
        outputs: Outputs of one inference, by name.

    Returns:
        (k, 6): x1, y1, x2, y2, score, class.
    """
    if "detections" in outputs:
        found: Array = np.asarray(outputs["detections"]).reshape(-1, 6)
        return found[found[:, 4] > 0]
    decode = bundle.manifest.decode
    return peaks(outputs, decode.top_k, decode.stride)


def truth_of(samples: Samples, tubes: Sequence[Sequence[TruthTube]]) -> Truth:
    """Returns the ground truth of samples, from the annotated tubes of their sequences."""
    return [
        [
            (tube.label, tube.boxes[place.frame - tube.start])
            for tube in tubes[place.sequence]
            if tube.start <= place.frame <= tube.end
        ]
        for place in samples.places
    ]


class HeadsLoss:
    """Compares quantized models with a float one.

    Args:
        bundle: Float model.
        samples: Samples to compare on.
        store: Store that keeps the float model's outputs.
        truth: Ground truth of the samples; by default the float model's detections.
        runtime: Runtime for both models; by default the target's default runtime.
        threads: Number of threads for inference; 0 lets the runtime choose.
        progress: Progress display, called for each sample that the float model processes.

    Attributes:
        key: Key of everything that a result depends on, except for the compared model.

    Raises:
        CalibrationError: The samples contain no ground truth to compare with.
    """

    def __init__(
        self,
        bundle: Bundle,
        samples: Samples,
        store: Store,
        *,
        truth: Truth | None = None,
        runtime: str | None = None,
        threads: int = 0,
        progress: Progress = SILENT,
    ) -> None:
        self._bundle = bundle
        self._samples = samples
        self._options = SessionOptions(runtime=runtime, threads=threads)
        self._annotated = truth is not None
        versions = installed_versions(runtime_packages())
        answers = key_of(bundle.sha256, samples.key, runtime, versions)
        folder = store.folder("answers", answers, partial(self._answer, progress))
        self._expected = {file.stem: np.load(file, mmap_mode="r") for file in folder.glob("*.npy")}
        rows = [rows_of(self._bundle, self._of(index)) for index in range(len(samples))]
        self._certain = [found[found[:, 4] > SCORE] for found in rows]
        if truth is None:
            truth = [self._found(index) for index in range(len(samples))]
        self._truth = [
            TruthTube(label, index, np.asarray(box, np.float64)[None])
            for index, actions in enumerate(truth)
            for label, box in actions
        ]
        if not self._truth:
            raise _nothing_to_evaluate_with(len(samples), annotated=self._annotated)
        self._float_map = self._frame_map(rows)
        places = [(tube.label, tube.start, tube.boxes.tolist()) for tube in self._truth]
        self.key = key_of(answers, self._annotated, places)

    def telling(self, most: int) -> Samples:
        """Returns at most ``most`` samples, evenly spaced over those with detections of the model.

        Footage may show an action in few of its frames. If none has a detection, all are used.
        """
        indices = range(len(self._samples))
        wanted = [index for index in indices if len(self._certain[index])] or [*indices]
        return self._samples.some(wanted[:: -(-len(wanted) // most)])

    def measure(self, bundle: Bundle, progress: Progress = SILENT) -> RoundingCheck:
        """Runs a quantized model on the samples and returns its loss.

        Args:
            bundle: Quantized bundle for the same target, classes and input.
            progress: Progress display, called for each sample.
        """
        noise = dict.fromkeys(HEADS, 0.0)
        signal = dict.fromkeys(HEADS, 0.0)
        rows, agreeing, certain = [], 0.0, 0
        with open_session(bundle, self._options) as session:
            watched = progress.watch("measuring the loss", self._samples)
            for index, given in enumerate(watched):
                found = session.infer(given)
                expected = self._of(index)
                for head in set(HEADS) & expected.keys():
                    signal[head] += float(np.square(expected[head], dtype=np.float64).sum())
                    error = np.subtract(expected[head], found[head], dtype=np.float64)
                    noise[head] += float(np.square(error).sum())
                rows.append(rows_of(self._bundle, found))
                wanted = self._certain[index]
                certain += len(wanted)
                agreeing += agreement(wanted, rows[-1], same=_SAME_BOX) * len(wanted)
        return RoundingCheck(
            frames=len(rows),
            objects=len(self._truth),
            annotated=self._annotated,
            float_map=self._float_map,
            frame_map=self._frame_map(rows),
            agreement=agreeing / certain if certain else 1.0,
            sqnr={head: _decibels(signal[head], noise[head]) for head in HEADS if signal[head]},
        )

    def _answer(self, progress: Progress, folder: Path) -> None:
        """Writes the float model's outputs for each sample."""
        files: dict[str, Array] = {}
        with open_session(self._bundle, self._options) as session:
            watched = progress.watch("asking the float model", self._samples)
            for index, given in enumerate(watched):
                for name, value in session.infer(given).items():
                    if name not in files:
                        shape = (len(self._samples), *value.shape)
                        files[name] = array_file(folder / f"{name}.npy", np.float32, shape)
                    files[name][index] = value

    def _of(self, index: int) -> dict[str, Array]:
        return {name: values[index] for name, values in self._expected.items()}

    def _found(self, index: int) -> list[tuple[int, Array]]:
        boxes, labels, _ = self._detections(index, self._certain[index]).flat()
        return list(zip(labels.tolist(), boxes, strict=True))

    def _detections(self, index: int, rows: Array) -> Detections:
        classes = len(self._bundle.manifest.classes)
        return group(rows, classes, self._samples.letterbox(index))

    def _frame_map(self, rows: Sequence[Array]) -> float:
        classes = len(self._bundle.manifest.classes)
        frames = []
        for index, found in enumerate(rows):
            place = self._samples.places[index]
            detections = self._detections(index, found)
            boxes = clamp_boxes(
                np.asarray(detections.boxes, np.float64), (place.width, place.height), offset=1.0
            )
            frames.append(Detections(boxes, np.asarray(detections.scores, np.float64)))
        truth = [TruthTube(tube.label, tube.start, tube.boxes + 1) for tube in self._truth]
        matches = match_frames(frames, truth, classes, any_class=False, growth=0.0)
        return float(np.nanmean(frame_average_precision([matches], classes)))


def _nothing_to_evaluate_with(frames: int, *, annotated: bool) -> CalibrationError:
    if annotated:
        return CalibrationError(
            f"None of the {frames} frames left for the evaluation of the quantized model shows an "
            "annotated action.",
            hint=f"Annotate more frames, use fewer {parameter('samples')}, or leave out "
            f"{parameter('annotations')}: EdgeKit then compares with the detections of the float "
            "model.",
        )
    return CalibrationError(
        f"The float model detects nothing with a score above {SCORE} in the {frames} frames used "
        "to evaluate the quantized model.",
        hint="Use calibration footage that shows the actions that the model was trained on.",
    )


def _decibels(signal: float, noise: float) -> float:
    return min(_MOST_DECIBELS, 10 * float(np.log10(signal / max(noise, signal * 1e-12))))

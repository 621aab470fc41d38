"""Gets the calibration and evaluation frames of ``edgekit quantize``, with annotations if named.

``calibration.chosen_frames`` makes the choice among the frames of the footage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress
from edgekit.assets import default_bundle, default_weights
from edgekit.bundle import MANIFEST, Bundle, load_bundle
from edgekit.calibration.chosen_frames import choose_frames
from edgekit.calibration.frame_selection import spread
from edgekit.calibration.rendered import rendered_clips
from edgekit.calibration.samples import Samples, collect, extract
from edgekit.calibration.sequences import FrameSequence, find_sequences
from edgekit.calibration.store import Store, key_of
from edgekit.datasets.annotations import Truth as Dataset
from edgekit.datasets.annotations import VideoTruth
from edgekit.datasets.published import read_truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.datasets.video_facts import refuse_other_video
from edgekit.errors import UsageError
from edgekit.files.checksums import sha256_of
from edgekit.files.reading import is_there
from edgekit.quantization.heads_loss import Truth, truth_of
from edgekit.system.distributions import installed_versions
from edgekit.targets.registry import TARGETS
from edgekit.targets.settings import ExportSettings

__all__ = ["CalibrationFrames", "exported", "gather", "shipped_float"]

_MOST = 256


@dataclass(frozen=True, slots=True)
class CalibrationFrames:
    """Frames for a quantizer.

    Attributes:
        samples: Calibration samples.
        evaluation: Evaluation samples, none of which is among ``samples``.
        truth: Ground truth of ``evaluation``; None if it is not annotated.
        dataset: Annotated videos, in the classes of the bundle.
        sequences: Sequences that ``evaluation`` is from, if it is not annotated.
    """

    samples: Samples
    evaluation: Samples
    truth: Truth | None = None
    dataset: Dataset = field(default_factory=lambda: Dataset([], []))
    sequences: list[FrameSequence] = field(default_factory=list)


def shipped_float(target: str, store: Store) -> Bundle:
    """Returns the shipped model as a float bundle for a target; exports it if none is shipped.

    Raises:
        MissingDependencyError: A package of the target's converter is not installed.
    """
    if target == "onnx":
        return load_bundle(default_bundle(precision="fp32"))
    return load_bundle(exported(default_weights(), target, store))


def exported(
    checkpoint: Path,
    target: str,
    store: Store,
    settings: ExportSettings | None = None,
    name: str = "bundle",
) -> Path:
    """Returns the folder of a checkpoint's float bundle, exported once by the same converter.

    Args:
        checkpoint: A .pth or .safetensors file.
        target: Target of the bundle.
        store: Store that keeps the bundle.
        settings: Export settings; ``export_bundle`` documents the defaults.
        name: Name of the folder, as shown to users.

    Raises:
        EdgeKitError: The export failed; ``export_bundle`` documents the errors.
    """

    def make(folder: Path) -> None:
        from edgekit.targets.build import export_bundle

        export_bundle(checkpoint, target, settings=settings, out=folder / name)

    versions = installed_versions(TARGETS[target].exports_with)
    key = key_of(sha256_of(checkpoint), target, settings, name, versions)
    # A session on TensorRT adds its engine, whose build takes minutes.
    return store.folder("float", key, make, others=True) / name


def gather(
    bundle: Bundle,
    calib: Path | None,
    annotations: Path | None,
    store: Store,
    *,
    samples: int,
    seed: int = 0,
    progress: Progress = SILENT,
) -> CalibrationFrames:
    """Chooses frames for calibration and evaluation.

    Args:
        bundle: Float model.
        calib: Video, folder of videos or pictures, or list file; by default rendered clips, which
            are annotated if the model has their classes.
        annotations: Folder with annotations.json and videos for evaluation; by default other frames
            of the calibration footage.
        store: Store that keeps the frames.
        samples: Number of calibration samples.
        seed: Seed for choosing frames.
        progress: Progress display, called for each rendered clip and for each frame that is read.

    Raises:
        CalibrationError: There are no usable frames.
        AnnotationError: The annotations do not have the layout, or have other classes, or a video
            has another number of frames.
        MediaError: An annotated video is missing, cannot be read, or has another size.
        UsageError: ``calib`` is a bundle.
    """
    if annotations is not None:  # errors in them are reported before clips are rendered
        for video in _dataset(bundle, annotations).videos:
            refuse_other_video(video)
    if calib is None:
        calib, rendered = rendered_clips(store, progress)
        if annotations is None and _are_known(rendered, bundle):
            annotations = rendered
    if is_there(calib / MANIFEST):
        raise UsageError(
            f"Expected {parameter('calib')} to name videos or pictures; {calib} is a bundle.",
            hint=f"Name the bundle first: edgekit quantize {calib} --calib FOOTAGE",
        )
    sequences = find_sequences(calib)
    if annotations is None:
        chosen, evaluation = collect(
            bundle, sequences, store, samples=samples, evaluated=_MOST, seed=seed, progress=progress
        )
        return CalibrationFrames(chosen, evaluation, sequences=sequences)
    wanted, _ = choose_frames(
        bundle, sequences, store, samples=samples, evaluated=0, seed=seed, progress=progress
    )
    chosen = extract(bundle, sequences, wanted, store, progress)
    dataset = _dataset(bundle, annotations)
    used = {
        (sequence.sha256, frame)
        for sequence, frames in zip(sequences, wanted, strict=True)
        for frame in frames
    }
    evaluation, truth = _annotated(bundle, dataset, used, store, progress)
    return CalibrationFrames(chosen, evaluation, truth, dataset)


def _dataset(bundle: Bundle, annotations: Path) -> Dataset:
    return in_classes_of(bundle.manifest.classes, read_truth("json", annotations))


def _are_known(clips: Path, bundle: Bundle) -> bool:
    return set(read_truth("json", clips).classes) <= set(bundle.manifest.classes)


def _annotated(
    bundle: Bundle,
    dataset: Dataset,
    used: set[tuple[str, int]],
    store: Store,
    progress: Progress,
) -> tuple[Samples, Truth]:
    """Returns evenly spaced, not yet ``used`` frames of annotated videos, and their truth."""
    videos = [(video, _sequence(video)) for video in dataset.videos]
    free = [
        [frame for frame in range(video.frames) if (sequence.sha256, frame) not in used]
        for video, sequence in videos
    ]
    picks = spread(map(len, free), _MOST)
    wanted = [[frames[i] for i in pick] for frames, pick in zip(free, picks, strict=True)]
    samples = extract(bundle, [sequence for _, sequence in videos], wanted, store, progress)
    return samples, truth_of(samples, [video.tubes for video in dataset.videos])


def _sequence(video: VideoTruth) -> FrameSequence:
    return find_sequences(video.require_path())[0]

"""Compares EdgeKit's INT8 models with those of each inference runtime's own quantizer.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.quantizers --calib FOOTAGE --footage
FOOTAGE``. All start from the same float model and calibrate with the same frames. EdgeKit chooses
its float layers by other frames of the calibration footage, never by those of this evaluation.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgekit.benchmarks.suites.support.flicker import flicker, shown
from edgekit.benchmarks.suites.support.peers import PEERS, Peer
from edgekit.bundle import Bundle, Quantization, RoundingCheck, load_bundle, save_bundle
from edgekit.calibration.frame_selection import spread
from edgekit.calibration.samples import Samples, collect, extract
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.datasets.published import read_truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.errors import AnnotationError, CalibrationError, EdgeKitError, MissingDependencyError
from edgekit.measuring.timing import interleaved, machine
from edgekit.quantization.build import quantize_bundle
from edgekit.quantization.frames import shipped_float
from edgekit.quantization.heads_loss import HEADS, HeadsLoss, Truth, truth_of
from edgekit.runtime.types import Array
from edgekit.targets.base import SessionOptions, reason_of
from edgekit.targets.muted_output import muted
from edgekit.targets.registry import open_session

__all__ = ["Frames", "QuantizerRow", "compare", "frames_of", "main"]

_PACKAGES = "onnxruntime", "openvino", "nncf", "ai-edge-litert", "ai-edge-quantizer"
_ONE_THREAD = SessionOptions(threads=1)
_ROUNDS, _REPEATS = 9, 15
_HEAD = (
    "| quantizer | frame-mAP, float | INT8 | loss | agreement | flicker "
    "| SQNR of hm / wh / reg, dB | size | latency | seconds |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


class Frames(NamedTuple):
    """Frames for calibration, for EdgeKit's choice and for evaluation, and their ground truth."""

    samples: Samples
    choosing: Samples
    evaluation: Samples
    truth: Truth | None


class QuantizerRow(NamedTuple):
    """Result of one quantizer; flicker, size and latency are shares of the float model's."""

    name: str
    check: RoundingCheck | None = None
    flicker: float = 0.0
    size: float = 0.0
    latency: float = 0.0
    seconds: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        if self.check is None:
            return f"| {self.name} | {self.note} |" + " |" * 8
        check = self.check
        sqnr = " / ".join(f"{check.sqnr[head]:.1f}" for head in HEADS if head in check.sqnr)
        return (
            f"| {self.name} | {check.float_map:.4f} | {check.frame_map:.4f} | "
            f"{check.drop:.4f} | {check.agreement:.3f} | {self.flicker:.3f} | {sqnr} | "
            f"{self.size:.3f} | {self.latency:.3f} | {self.seconds:.0f} |"
        )


def frames_of(bundle: Bundle, arguments: argparse.Namespace, store: Store) -> Frames:
    """Chooses frames by the options of ``main``.

    Raises:
        CalibrationError: No frames are left for evaluation, or the footage cannot be used.
        AnnotationError: The annotations lack an evaluation clip, or cannot be read.
    """
    clips, root, frames = find_sequences(arguments.calib), arguments.annotations, arguments.frames
    samples, choosing = collect(bundle, clips, store, samples=arguments.samples, evaluated=frames)
    place = arguments.footage or root
    if place is None:
        return Frames(samples, choosing, choosing, None)
    used = {clip.sha256 for clip in clips}
    others = [clip for clip in find_sequences(place) if clip.sha256 not in used]
    if not others:
        raise CalibrationError(f"All clips in {place} were used for calibration. None is left.")
    lengths = [sum(1 for _ in clip.frames()) for clip in others]
    evaluation = extract(bundle, others, spread(lengths, frames), store)
    if root is None:
        return Frames(samples, choosing, evaluation, None)
    dataset = in_classes_of(bundle.manifest.classes, read_truth("json", root))
    known = {video.path.resolve(): video.tubes for video in dataset.videos if video.path}
    missing = [str(clip.path) for clip in others if clip.path.resolve() not in known]
    if missing:
        raise AnnotationError(f"{root} has no annotation of {', '.join(missing)}.")
    tubes = [known[clip.path.resolve()] for clip in others]
    return Frames(samples, choosing, evaluation, truth_of(evaluation, tubes))


def compare(
    bundle: Bundle, frames: Frames, store: Store, *, max_drop: float = 0.01
) -> list[QuantizerRow]:
    """Quantizes a float bundle by EdgeKit, in the first row, and by the peers of its target.

    EdgeKit keeps intermediate results in ``store``; its duration is only valid with an empty one.
    It may lose ``max_drop`` of frame-mAP, as a share. A missing or failed peer has a row with the
    reason.

    Raises:
        CalibrationError: The frames contain no ground truth to compare with.
    """

    def edgekit(folder: Path) -> Bundle:
        samples, choosing, *_ = frames
        made = quantize_bundle(bundle, samples, choosing, folder, store=store, max_drop=max_drop)
        return made.bundle

    ways: dict[str, Callable[[Path], Bundle]] = {"EdgeKit": edgekit}
    for name, peer in PEERS[bundle.manifest.target].items():
        ways[name] = partial(_bundled, bundle, frames.samples, peer)
    made, seconds, rows = {"float": bundle}, {}, {}
    with tempfile.TemporaryDirectory() as temporary:
        for number, (name, way) in enumerate(ways.items()):
            begin = time.perf_counter()
            try:
                made[name] = way(Path(temporary, str(number)))
            except EdgeKitError as error:
                rows[name] = QuantizerRow(name, note=str(error).replace("\n", " "))
            except Exception as error:  # the peers do not wrap their errors
                rows[name] = QuantizerRow(name, note=reason_of(error))
            seconds[name] = time.perf_counter() - begin
        loss = HeadsLoss(bundle, frames.evaluation, store, truth=frames.truth)
        latency = _latency(made, frames.samples[0])
        expected = list(shown(bundle, frames.evaluation, _ONE_THREAD))
        for name in made.keys() - {"float"}:
            size = _size(made[name]) / _size(bundle)
            check, found = (
                loss.measure(made[name]),
                shown(made[name], frames.evaluation, _ONE_THREAD),
            )
            lost = flicker(expected, found)
            rows[name] = QuantizerRow(name, check, lost, size, latency[name], seconds[name])
    return [rows[name] for name in ways]


def _bundled(bundle: Bundle, samples: Samples, peer: Peer, folder: Path) -> Bundle:
    """Returns a bundle around the model that a peer makes."""
    with tempfile.TemporaryDirectory() as work:
        with muted():
            names = peer(bundle, samples, Path(work))
        made = Quantization(method="peer", samples=len(samples), float_bundle=bundle.sha256)
        manifest = msgspec.structs.replace(
            bundle.manifest, precision="int8", model=names[0], quantization=made, verification=None
        )
        return save_bundle(folder, manifest, {name: Path(work, name) for name in names})


def _size(bundle: Bundle) -> int:
    notices = ("LICENSE", "NOTICE")
    return sum(entry.size for entry in bundle.manifest.files if entry.path not in notices)


def _latency(bundles: dict[str, Bundle], given: Mapping[str, Array]) -> dict[str, float]:
    """Returns median time on one thread, relative to ``float``: the median of rounds of blocks."""
    rounds = []
    with ExitStack() as stack:
        # Blocks of calls, so that each model finds its weights in the caches, as if it ran alone.
        ways = {
            name: partial(stack.enter_context(open_session(bundle, _ONE_THREAD)).infer, given)
            for name, bundle in bundles.items()
        }
        for _ in range(_ROUNDS):
            found = {n: interleaved({n: way}, repeats=_REPEATS)[n] for n, way in ways.items()}
            rounds.append({name: seconds / found["float"] for name, seconds in found.items()})
    return {name: statistics.median(one[name] for one in rounds) for name in bundles}


def main() -> None:
    """Prints a table for each target."""
    parser = argparse.ArgumentParser(
        description="Compares INT8 models by EdgeKit and by each runtime's quantizer."
    )
    parser.add_argument("--calib", type=Path, required=True, help="calibration footage")
    parser.add_argument(
        "--footage", type=Path, help="evaluation footage [default: other clips in ROOT]"
    )
    parser.add_argument(
        "--annotations", type=Path, metavar="ROOT", help="folder with annotations.json"
    )
    parser.add_argument(
        "--target", action="append", choices=PEERS, help="target; repeatable [default: all]"
    )
    parser.add_argument(
        "--bundle", action="append", type=Path, help="float bundle [default: the shipped model]"
    )
    parser.add_argument("--samples", type=int, default=128, help="number of calibration frames")
    parser.add_argument("--frames", type=int, default=256, help="number of evaluation frames")
    parser.add_argument(
        "--max-drop",
        type=float,
        default=1.0,
        help="largest loss of frame-mAP for EdgeKit, in points of 0.01",
    )
    arguments = parser.parse_args()
    print(f"{machine()}; one thread, fp32 computed in f32", end="")
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            print(f", {package} {metadata.version(package)}", end="")
    print()
    try:
        given = [load_bundle(path) for path in arguments.bundle or ()]
        bundles = {bundle.manifest.target: bundle for bundle in given}
        for target in arguments.target or list(bundles) or PEERS:
            _print(target, bundles.get(target), arguments)
    except EdgeKitError as error:
        raise SystemExit(str(error)) from error


def _print(target: str, bundle: Bundle | None, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        store = Store(Path(temporary))
        try:
            bundle = bundle or shipped_float(target, store)
            frames = frames_of(bundle, arguments, store)
            rows = compare(bundle, frames, store, max_drop=arguments.max_drop / 100)
        except MissingDependencyError as error:
            rows, footage = [QuantizerRow("all", note=str(error).replace("\n", " "))], ""
        else:
            truth = "annotations" if frames.truth else "the float model's detections"
            footage = f", {len(frames.samples)} calibration frames, "
            footage += f"{len(frames.evaluation)} evaluation frames, truth: {truth}"
    print(f"\n{target}{footage}\n\n{_HEAD}", *rows, sep="\n", flush=True)


if __name__ == "__main__":
    main()

"""Measures what INT8 loses on the simulator of a chip's vendor, on frames of annotated videos.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.simulators FLOAT INT8 --data ROOT --frames
40 --without CALIB``. The videos must not have been used for calibration: ``--without`` names their
folder. Simulators are slow (Qualcomm's takes seconds a frame), so the frames are few.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from edgekit.bundle import Bundle, RoundingCheck, load_bundle
from edgekit.calibration.frame_selection import spread
from edgekit.calibration.samples import extract
from edgekit.calibration.sequences import find_sequences
from edgekit.calibration.store import Store
from edgekit.datasets.published import read_truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.errors import CalibrationError, EdgeKitError
from edgekit.quantization.heads_loss import HeadsLoss, truth_of
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import open_session, runtimes_of

__all__ = ["loss_on_simulator", "main", "simulating_runtime"]


def simulating_runtime(bundle: Bundle) -> str:
    """Returns the runtime of a bundle that is a simulator on this machine.

    Raises:
        EdgeKitError: There is none.
    """
    for runtime in runtimes_of(bundle):
        try:
            with open_session(bundle, SessionOptions(runtime=runtime)) as session:
                if session.simulator:
                    return runtime
        except EdgeKitError:
            continue
    raise EdgeKitError(f"No simulator runs {bundle.path} on this machine.")


def loss_on_simulator(
    float_bundle: Bundle, int8: Bundle, root: Path, used: Path | None, frames: int, store: Store
) -> RoundingCheck:
    """Returns the loss of an INT8 bundle, with both bundles on the simulator.

    Args:
        float_bundle: Float bundle.
        int8: INT8 bundle made from it.
        root: Folder of ``annotations.json`` and videos.
        used: Footage that was used for calibration, which is left out.
        frames: Number of frames, spread over all videos.
        store: Store for intermediate results.

    Raises:
        CalibrationError: No video is left, or there is no ground truth to compare with.
        EdgeKitError: No simulator runs the bundles here.
    """
    dataset = in_classes_of(float_bundle.manifest.classes, read_truth("json", root))
    seen = {clip.sha256 for clip in find_sequences(used)} if used else set()
    tubes = {video.path.resolve(): video.tubes for video in dataset.videos if video.path}
    clips = [clip for clip in find_sequences(root) if clip.sha256 not in seen]
    clips = [clip for clip in clips if clip.path.resolve() in tubes]
    if not clips:
        raise CalibrationError(f"All videos in {root} were used for calibration. None is left.")
    lengths = [sum(1 for _ in clip.frames()) for clip in clips]
    evaluation = extract(float_bundle, clips, spread(lengths, frames), store)
    truth = truth_of(evaluation, [tubes[clip.path.resolve()] for clip in clips])
    runtime = simulating_runtime(float_bundle)
    return HeadsLoss(float_bundle, evaluation, store, truth=truth, runtime=runtime).measure(int8)


def main() -> None:
    """Prints the loss."""
    parser = argparse.ArgumentParser(description="Measures INT8 on the simulator of a chip.")
    parser.add_argument("float", type=Path, help="float bundle")
    parser.add_argument("int8", type=Path, help="INT8 bundle made from it")
    parser.add_argument("--data", type=Path, required=True, help="folder with annotations.json")
    parser.add_argument("--without", type=Path, help="calibration footage, which is left out")
    parser.add_argument("--frames", type=int, default=40, help="number of frames")
    given = parser.parse_args()
    try:
        bundles = load_bundle(given.float), load_bundle(given.int8)
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            found = loss_on_simulator(*bundles, given.data, given.without, given.frames, store)
    except EdgeKitError as error:
        raise SystemExit(str(error)) from error
    sqnr = ", ".join(f"{head} {decibels:.1f} dB" for head, decibels in found.sqnr.items())
    print(
        f"{bundles[1].manifest.target} {bundles[1].manifest.chip}, simulated: frame-mAP@0.5 "
        f"{found.float_map:.4f} float, {found.frame_map:.4f} INT8, loss {100 * found.drop:.2f} "
        f"points on {found.frames} frames with {found.objects} boxes; agreement of detections "
        f"{found.agreement:.3f}; {sqnr}"
    )


if __name__ == "__main__":
    main()

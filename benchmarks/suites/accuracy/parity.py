"""Compares exported models with PyTorch, for every target and precision, on real clips.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.parity CHECKPOINT... --clips FOLDER``. Each
checkpoint is exported as by ``edgekit export``, and verified with the first frames of every clip.
It prints a Markdown row for each model. A Jetson's model runs on ONNX Runtime.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import EdgeKitError
from edgekit.measuring.timing import machine
from edgekit.targets.build import export_bundle
from edgekit.targets.registry import TARGETS, exporter
from edgekit.targets.settings import ExportSettings
from edgekit.targets.verify import Frames, read_clip

__all__ = ["main"]

_ENDINGS = (".mp4", ".avi", ".mkv")


def _row(checkpoint: Path, target: str, settings: ExportSettings, clips: Sequence[Frames]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "bundle")
        try:
            bundle = export_bundle(checkpoint, target, settings=settings, clips=clips, out=out)
        except EdgeKitError as error:
            return f"{error.message} | |"
        found = bundle.manifest.verification
    assert found is not None
    shares = [head.max_difference / head.largest for head in found.heads.values()]
    return f"{max(shares):.1e} | {found.top_detections_agreeing:.4f} | {found.frames}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Compares exported models with PyTorch.")
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos")
    parser.add_argument("--frames", type=int, default=12, help="number of frames of each clip")
    parser.add_argument("--target", action="append", choices=list(TARGETS))
    parser.add_argument("--size", type=int, default=256)
    arguments = parser.parse_args()
    videos = sorted(p for p in arguments.clips.iterdir() if p.suffix in _ENDINGS)
    clips = [read_clip(video, arguments.frames) for video in videos]
    print(f"{machine()}; {len(clips)} clips\n")
    print("| network | target | precision | largest difference | top 50 that agree | frames |")
    print("| --- | --- | --- | --- | --- | --- |")
    for checkpoint in arguments.checkpoints:
        for target in arguments.target or TARGETS:
            for precision in exporter(target).precisions:
                side = arguments.size
                settings = ExportSettings(precision=precision, input_size=(side, side))
                row = _row(checkpoint, target, settings, clips)
                print(f"| {checkpoint.stem} | {target} | {precision} | {row} |", flush=True)


if __name__ == "__main__":
    main()

"""Reads the footage once for the frames of calibration and of evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec

from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress
from edgekit.bundle import Bundle
from edgekit.calibration.frame_pairs import frame_pairs, samples_key
from edgekit.calibration.frame_selection import Candidates, choose, spread
from edgekit.calibration.sequences import FrameSequence
from edgekit.calibration.store import Store
from edgekit.errors import CalibrationError

__all__ = ["choose_frames"]

_SIDE = 32
_CANDIDATES = 20
"""Number of candidate frames per sequence, for each sample that is wanted in total."""

_LEAST_CONTRAST = 1.0


def choose_frames(
    bundle: Bundle,
    footage: Sequence[FrameSequence],
    store: Store,
    *,
    samples: int,
    evaluated: int,
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[list[list[int]], list[list[int]]]:
    """Returns the indices of the frames that ``collect`` takes for either purpose, by sequence.

    ``collect`` documents the arguments and errors.
    """
    key = samples_key(bundle, footage, "choice", samples, evaluated, seed)

    def make(folder: Path) -> None:
        found = [_look(bundle, sequence, samples, progress) for sequence in footage]
        _check(bundle, found)
        wanted = _calibrating(bundle, found, samples, seed), _evaluation(found, evaluated)
        if not any(wanted[0]) or (evaluated and not any(wanted[1])):
            raise CalibrationError(
                "Quantization needs some frames for calibration and others for evaluation; found "
                f"{sum(seen.count for seen in found)} in all.",
                hint="Name more footage; 32 frames or more are recommended.",
            )
        (folder / "choice.json").write_bytes(msgspec.json.encode(wanted))

    file = store.folder("choice", key, make) / "choice.json"
    return msgspec.json.decode(file.read_bytes(), type=tuple[list[list[int]], list[list[int]]])


def _look(bundle: Bundle, sequence: FrameSequence, samples: int, progress: Progress) -> Candidates:
    seen = Candidates(limit=_CANDIDATES * samples)
    kind, gap = bundle.manifest.cascade.kind, bundle.manifest.cascade.frame_gap
    for frame, before, previous, current in frame_pairs(bundle, sequence, progress=progress):
        earlier = current if kind == "rgb" else previous if before >= gap else None
        seen.add(frame.index, earlier, current)
        small = cv2.resize(frame.image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        seen.contrast = max(seen.contrast, float(small.std(axis=(0, 1)).max()))
    return seen


def _check(bundle: Bundle, found: Sequence[Candidates]) -> None:
    hint = "Use calibration footage that resembles what the detector will see."
    kind = bundle.manifest.cascade.kind
    if kind != "rgb" and not any(seen.moves for seen in found):
        raise CalibrationError(
            f"The cascade {kind} compares consecutive frames, but no two consecutive frames of the "
            "calibration data differ.",
            hint=f"{hint} Single pictures suit a network that was exported with "
            f"{parameter('cascade', 'rgb')}.",
        )
    if max(seen.contrast for seen in found) < _LEAST_CONTRAST:
        raise CalibrationError(
            "Every frame of the calibration data has a single colour.", hint=hint
        )


def _calibrating(
    bundle: Bundle, found: Sequence[Candidates], samples: int, seed: int
) -> list[list[int]]:
    choices = [seen.to_choose() for seen in found]
    # At run time few frames are first frames, without a predecessor: one sample is enough.
    firsts = 0 if bundle.manifest.cascade.kind == "rgb" else 1
    picks = choose([features for _, features in choices], samples - firsts, seed)
    wanted = [indices[pick].tolist() for (indices, _), pick in zip(choices, picks, strict=True)]
    if firsts:
        there = [number for number, seen in enumerate(found) if seen.count]
        wanted[there[seed % len(there)]].insert(0, 0)
    return wanted


def _evaluation(found: Sequence[Candidates], evaluated: int) -> list[list[int]]:
    indices = [seen.for_evaluation() for seen in found]
    picks = spread(map(len, indices), evaluated)
    return [values[pick].tolist() for values, pick in zip(indices, picks, strict=True)]

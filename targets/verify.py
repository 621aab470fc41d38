"""HOST. Verifies that an exported model gives the results of the network in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit._parameters import parameter
from edgekit.bundle import HeadCheck, Manifest, Verification
from edgekit.errors import BoundError, MediaError, UsageError
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.decode import peaks
from edgekit.runtime.iou import unordered_iou
from edgekit.runtime.types import Array
from edgekit.targets.base import Session

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TOLERANCES", "agreement", "check_bounds", "read_clip", "verify"]

TOLERANCES = {"fp32": 1e-3, "fp16": 2e-2}
"""Largest accepted difference for each precision, relative to a tensor's largest magnitude."""

_TOP = 50
_SAME_BOX = 0.95
_LEAST_FOUND = 0.9

Frames = Sequence[npt.NDArray[np.uint8]]


def verify(
    network: nn.Module,
    session: Session,
    cascade: Cascade,
    clips: Sequence[Frames],
    *,
    tolerance: float,
) -> Verification:
    """Runs real inputs through PyTorch and through an exported model, and compares the outputs.

    If the model contains the cascade, the reference is the runtime's cascade and the network. If it
    contains the decoding, the reference is the network and the runtime's decoding. Its ``scores``
    are compared with those of the best peaks in order. Scores and ``boxes`` are also compared with
    those of the cells that they come from.

    Args:
        network: Network in PyTorch, as loaded.
        session: Session of the exported model.
        cascade: Cascade that belongs to the model.
        clips: Clips of consecutive frames, (H, W, 3) uint8 BGR each.
        tolerance: Tolerance to record in the result; see ``check_bounds``.
    """
    import torch

    manifest = session.bundle.manifest
    decode = manifest.decode
    pairs: dict[str, list[tuple[Array, Array]]] = {}
    agreeing = []
    for previous, current in _inputs(cascade, clips):
        tensor = cascade.stack(previous, current)[None]
        if manifest.cascade.place == "graph":
            found = session.infer({"previous": previous[None], "frame": current[None]})
        else:
            found = session.infer({"input": tensor})
        with torch.no_grad():
            heads = {k: v.numpy() for k, v in network(torch.from_numpy(tensor)).items()}
        if decode.place == "graph":
            expected = peaks(heads, decode.top_k, decode.stride)
            rows = [expected, found["detections"][found["detections"][:, 4] > 0]]
            compared = _compare_rows(rows[0], rows[1], heads, decode.stride)
        else:
            compared = {name: (heads[name], found[name]) for name in heads}
            rows = [peaks(side, _TOP, decode.stride) for side in (heads, found)]
        agreeing.append(agreement(rows[0], rows[1]))
        for name, pair in compared.items():
            pairs.setdefault(name, []).append(pair)
    return Verification(
        frames=len(agreeing),
        heads={name: _check(both) for name, both in pairs.items()},
        top_detections_agreeing=round(float(np.mean(agreeing)), 6),
        tolerance=tolerance,
        simulator=session.simulator or msgspec.UNSET,
    )


def check_bounds(manifest: Manifest, verification: Verification) -> None:
    """Raises if the exported model differs from the network.

    Raises:
        BoundError: An output differs by more than the tolerance, or is not finite.
    """
    for name, check in verification.heads.items():
        bound = verification.tolerance * check.largest
        if not check.max_difference <= bound:
            raise BoundError(
                f"The {manifest.target} model at {manifest.precision} differs from PyTorch in the "
                f"output {name} by {check.max_difference:.3g}. At most {bound:.3g} is allowed: "
                f"{verification.tolerance:g} of the largest value, {check.largest:.3g}. "
                "Nothing was written.",
                hint=f"Choose another {parameter('precision')} or {parameter('dcn')}, or raise "
                f"{parameter('tolerance')}.",
            )


def agreement(expected: Array, found: Array, same: float = _SAME_BOX) -> float:
    """Returns the share of detections that are in both of two lists.

    Args:
        expected: Reference detections, (n, 6): x1, y1, x2, y2, score, class; best first.
        found: Detections to compare, (m, 6): x1, y1, x2, y2, score, class; best first.
        same: IoU above which two boxes count as equal.

    Returns:
        The share of ``expected`` that has a partner in ``found``, with equal class and box. Each
        partner is used once. 1 if ``expected`` is empty.
    """
    if not len(expected):
        return 1.0
    overlaps = unordered_iou(expected[:, :4], found[:, :4])
    overlaps[expected[:, None, 5] != found[None, :, 5]] = 0
    partners = 0
    for overlap in overlaps:
        if len(found) and overlap.max() > same:
            overlaps[:, overlap.argmax()] = 0
            partners += 1
    return partners / len(expected)


def read_clip(path: Path, length: int = 9) -> list[npt.NDArray[np.uint8]]:
    """Returns the first frames of a video, for verification on the user's own footage.

    Raises:
        MediaError: The file does not exist, or nothing in it can be decoded.
        UsageError: ``length`` is not positive.
    """
    import cv2

    if length < 1:
        raise UsageError(f"Expected at least one frame; found {length}.")
    if not path.is_file():
        raise MediaError(f"Expected a video at {path}; there is none.", hint="Check the path.")
    capture = cv2.VideoCapture(str(path))
    frames: list[npt.NDArray[np.uint8]] = []
    try:
        while len(frames) < length:
            read, frame = capture.read()
            if not read:
                break
            frames.append(frame.astype(np.uint8, copy=False))
    finally:
        capture.release()
    if not frames:
        raise MediaError(f"{path} has no picture that OpenCV can decode.", hint="Name a video.")
    return frames


def _inputs(
    cascade: Cascade, clips: Sequence[Frames]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    for clip in clips:
        cascade.reset()
        for frame in clip:
            previous, current, _ = cascade.pair(frame)
            yield previous, current


def _compare_rows(
    expected: Array, found: Array, heads: Mapping[str, Array], stride: int
) -> dict[str, tuple[Array, Array]]:
    """Returns scores and boxes, expected and found, paired so that ties do not matter."""
    best, scores = expected[:, 4], found[:, 4]
    length = min(len(best), len(scores))
    if length < _LEAST_FOUND * max(len(best), len(scores)):
        length = max(len(best), len(scores))  # a missing row counts as a score of 0
    best, scores = (np.pad(v, (0, max(0, length - len(v))))[:length] for v in (best, scores))
    logits, sizes, offsets = (heads[name][0] for name in ("hm", "wh", "reg"))
    places = np.indices(logits.shape[1:])[::-1].reshape(2, -1) + offsets.reshape(2, -1)
    half = sizes.reshape(2, -1) / 2
    every = np.concatenate([places - half, places + half]).T * stride
    cells = np.abs(found[:, None, :4] - every).max(2).argmin(1)
    own = logits.reshape(len(logits), -1)[found[:, 5].astype(np.intp), cells]
    return {
        "scores": (
            np.concatenate([best, 1 / (1 + np.exp(-own))]),
            np.concatenate([scores, found[:, 4]]),
        ),
        "boxes": (every[cells], found[:, :4]),
    }


def _check(pairs: Sequence[tuple[Array, Array]]) -> HeadCheck:
    expected = np.concatenate([one.ravel() for one, _ in pairs]).astype(np.float64)
    found = np.concatenate([other.ravel() for _, other in pairs]).astype(np.float64)
    if not expected.size:
        return HeadCheck(max_difference=0.0, largest=0.0, cosine=1.0)
    lengths = float(np.linalg.norm(expected) * np.linalg.norm(found))
    return HeadCheck(
        max_difference=float(np.abs(expected - found).max()),
        largest=float(np.abs(expected).max()),
        cosine=min(1.0, float(expected @ found) / lengths) if lengths else 1.0,
    )

"""HOST. Whether a written model does on its own runtime what the network does in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgekit.bundle import HeadCheck, Manifest, Verification
from edgekit.errors import BoundError, MediaError, UsageError
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.decode import peaks
from edgekit.runtime.types import Array
from edgekit.targets.base import Session

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TOLERANCES", "agreement", "check_bounds", "read_clip", "verify"]

TOLERANCES = {"fp32": 1e-3, "fp16": 2e-2}
"""Largest difference allowed at a precision, as a share of a tensor's own largest magnitude."""

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
    """Runs the same real inputs through PyTorch and through a written model, and compares.

    A model that holds the cascade is compared with the runtime's cascade before the network; one
    that holds the decoding is compared with the runtime's decoding after it: its ``scores`` with
    those of the best peaks in order, and scores and ``boxes`` with those of the cells they are of.

    Args:
        network: In PyTorch, as it was loaded.
        session: The written model.
        cascade: The one that belongs to it.
        clips: Clips of consecutive frames, (H, W, 3) uint8 BGR each.
        tolerance: Is put on record; see ``check_bounds``.
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
    )


def check_bounds(manifest: Manifest, verification: Verification) -> None:
    """Raises if the written model is not the network.

    Raises:
        BoundError: An output differs by more than the tolerance, or is not finite.
    """
    for name, check in verification.heads.items():
        bound = verification.tolerance * check.largest
        if not check.max_difference <= bound:
            raise BoundError(
                f"The {manifest.target} model at {manifest.precision} differs from PyTorch in "
                f"{name}: by {check.max_difference:.3g}, where {bound:.3g} is allowed "
                f"({verification.tolerance:g} of the largest value, {check.largest:.3g}). "
                "Nothing was written.",
                mend="Choose another --precision or --dcn, or allow more with --tolerance.",
            )


def agreement(expected: Array, found: Array, same: float = _SAME_BOX) -> float:
    """The share of detections that are in both of two lists.

    Args:
        expected: (n, 6): x1, y1, x2, y2, score, class; best first.
        found: (m, 6): x1, y1, x2, y2, score, class; best first.
        same: The IoU above which two boxes are the same.

    Returns:
        The share of ``expected`` that has a partner in ``found``: same class, same box, each
        partner once. 1 where there is nothing to find.
    """
    if not len(expected):
        return 1.0
    overlaps = _iou(expected[:, :4], found[:, :4])
    overlaps[expected[:, None, 5] != found[None, :, 5]] = 0
    partners = 0
    for overlap in overlaps:
        if len(found) and overlap.max() > same:
            overlaps[:, overlap.argmax()] = 0
            partners += 1
    return partners / len(expected)


def read_clip(path: Path, length: int = 9) -> list[npt.NDArray[np.uint8]]:
    """The first frames of a video, for verification on one's own footage.

    Raises:
        MediaError: There is no such file, or nothing in it can be decoded.
        UsageError: ``length`` is not positive.
    """
    import cv2

    if length < 1:
        raise UsageError(f"Expected at least one frame; found {length}.")
    if not path.is_file():
        raise MediaError(f"Expected a video at {path}; there is none.", mend="Check the path.")
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
        raise MediaError(f"{path} has no picture that OpenCV can decode.", mend="Name a video.")
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
    """Scores and boxes, expected and found, in a way that ties between peaks cannot upset."""
    best, scores = expected[:, 4], found[:, 4]
    length = min(len(best), len(scores))
    if length < _LEAST_FOUND * max(len(best), len(scores)):
        length = max(len(best), len(scores))  # what one list lacks counts as a score of 0
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


def _iou(one: Array, other: Array) -> Array:
    """IoU (n, m) of boxes whose corners may have any order: untrained sizes can be negative."""
    low = [np.minimum(boxes[:, :2], boxes[:, 2:]) for boxes in (one, other)]
    high = [np.maximum(boxes[:, :2], boxes[:, 2:]) for boxes in (one, other)]
    areas = [(top - bottom).prod(1) for bottom, top in zip(low, high, strict=True)]
    left = np.maximum(low[0][:, None], low[1])
    common = np.clip(np.minimum(high[0][:, None], high[1]) - left, 0, None).prod(2)
    union = areas[0][:, None] + areas[1] - common
    overlaps: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return overlaps

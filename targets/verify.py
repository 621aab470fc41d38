"""HOST. Verifies that an exported model gives the results of the network in PyTorch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit._parameters import parameter
from edgekit.bundle import DecodeSpec, HeadCheck, Manifest, Verification
from edgekit.errors import BoundError, BundleError, MediaError, UsageError
from edgekit.files.reading import is_there
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.decode import check_rows, peaks, sigmoid
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
    contains the decoding, the reference is the network and the runtime's decoding: every peak has
    to be found, and found ``scores`` and ``boxes`` are compared with those of their cells.

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
            _check_found(rows[1], heads["hm"].shape[1])
            compared = _compare_rows(rows[0], rows[1], heads, decode)
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
    if not is_there(path):
        raise MediaError(f"Expected a video at {path}; there is none.", hint="Check the path.")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise MediaError(
            f"Expected the file of a video; {path} is {what}.",
            hint=f"Name a video, or leave out {parameter('frames')}.",
        )
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


def _check_found(rows: Array, classes: int) -> None:
    """Raises ``BoundError`` if an exported model gives what is no detection."""
    try:
        check_rows(rows, classes)
    except BundleError as error:
        raise BoundError(
            f"{error.message} Nothing was written.",
            hint=f"Leave the decoding out of the model: {parameter('decode_in', 'host')}",
        ) from error


def _compare_rows(
    expected: Array, found: Array, heads: Mapping[str, Array], decode: DecodeSpec
) -> dict[str, tuple[Array, Array]]:
    """Returns scores and boxes, expected and found, paired so that near ties do not matter.

    Rounding decides which of several nearly equal neighbours is a peak, and which of several nearly
    equal peaks is the last of ``top_k``. So a found score is compared with the best of its cell and
    the eight around it. A peak that was not found counts with the best of the eight cells around
    it, or with the last score that was found.
    """
    logits, sizes, offsets = (heads[name][0] for name in ("hm", "wh", "reg"))
    scores = sigmoid(logits)
    places = np.indices(logits.shape[1:])[::-1].reshape(2, -1) + offsets.reshape(2, -1)
    half = sizes.reshape(2, -1) / 2
    boxes = np.concatenate([places - half, places + half]).T * decode.stride

    def cells(rows: Array) -> npt.NDArray[np.intp]:
        nearest = [np.abs(row - boxes).max(1).argmin() for row in rows[:, :4]]
        return np.array(nearest, np.intp) + rows[:, 5].astype(np.intp) * len(boxes)

    at, asked = cells(found), cells(expected)
    beside = _best_beside(scores).ravel()
    reference = np.zeros(len(found), np.float32)
    first = np.unique(at, return_index=True)[1]  # a repeated cell counts as a score of 0
    reference[first] = np.maximum(scores.ravel(), beside)[at[first]]
    listed = np.zeros(scores.size, np.float32)
    listed[at] = found[:, 4]
    last = found[:, 4].min() if len(found) >= decode.top_k else 0.0
    present = np.maximum(np.where(listed > 0, listed, beside)[asked], last)
    best = expected[:, 4]
    return {
        "scores": (
            np.concatenate([best, reference]),
            np.concatenate([np.minimum(best, present), found[:, 4]]),
        ),
        "boxes": (boxes[at % len(boxes)], found[:, :4]),
    }


def _best_beside(maps: Array) -> Array:
    """Returns, for each cell of maps from 0 up, (C, h, w), the maximum of the eight around it."""
    _, height, width = maps.shape
    wide = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    beside = np.zeros_like(maps)
    for down, right in itertools.product(range(3), repeat=2):
        if (down, right) != (1, 1):
            shifted = wide[:, down : down + height, right : right + width]
            np.maximum(beside, shifted, out=beside)
    return beside


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

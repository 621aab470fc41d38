"""Times the SSIM cascade of EdgeKit and of scikit-image, from letterboxed pictures to tensor.

Run it as ``python -m edgekit.benchmarks.suites.speed.cascade [VIDEO]``. The peer, ``scikit-image``,
does what the published code does. It normalises both pictures, shifts the current one nine ways
with ``cv2.filter2D``, and scores each by ``structural_similarity``. It calls that again for the map
of the best. All results must agree before anything is timed. It uses one thread, and moving noise
without VIDEO.

Every kernel that runs here is timed. The limit is the time for the scores of nine shifts alone. It
assumes that the fastest kernel's vector units begin two operations in every cycle: 18 operations
per window and shift, as in ``body.h``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from importlib.metadata import version

import cv2
import numpy as np

from edgekit.measuring.timing import interleaved, machine
from edgekit.runtime import native
from edgekit.runtime.cascade import Cascade
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.ssim import SHIFTS, WINDOW
from edgekit.runtime.types import Array

__all__ = ["main", "plain_stack"]

_MEAN = np.array([0.40789654, 0.44719302, 0.47026115], np.float32)
_STD = np.array([0.28863828, 0.27408164, 0.27809835], np.float32)
_SIZES = (256, 288, 512)
_OPERATIONS = 18
_LANES = {"avx512": 16, "avx2": 8}
"""Number of 32-bit values in a vector; 4 for the other kernels."""


def plain_stack(previous: Array, current: Array) -> Array:
    """Returns the network input as the published code makes it; pictures (h, w, 3) uint8."""
    from skimage.metrics import structural_similarity

    before, now = (((a / 255.0 - _MEAN) / _STD).astype(np.float32) for a in (previous, current))
    shifted, scores = [], []
    for dy, dx in SHIFTS:
        kernel = np.zeros((3, 3), np.float32)
        kernel[1 + dy, 1 + dx] = 1
        moved = cv2.filter2D(now, -1, kernel)
        span = moved.max() - moved.min()
        shifted.append(moved)
        scores.append(structural_similarity(before, moved, channel_axis=2, data_range=span))
    best = shifted[max(range(len(SHIFTS)), key=lambda i: (scores[i], i))]
    _, similarity = structural_similarity(
        before, best, channel_axis=2, data_range=best.max() - best.min(), full=True
    )
    return np.concatenate([now, similarity], 2).transpose(2, 0, 1).astype(np.float32)


def _pictures(video: str | None) -> list[Array]:
    if video is not None:
        capture = cv2.VideoCapture(video)
        read = [capture.read()[1] for _ in range(2)]
        if any(image is None for image in read):
            raise SystemExit(f"{video}: two pictures were expected, and they could not be read.")
        return read
    large = np.random.default_rng(0).integers(0, 256, (250, 330, 3), dtype=np.uint8)
    large = cv2.GaussianBlur(large, (9, 9), 3).astype(np.uint8)
    return [large[5:245, 5:325], large[6:246, 5:325]]


def _cascade(kernel: str, size: tuple[int, int]) -> Cascade:
    os.environ[native.VARIABLE] = kernel
    return Cascade(size, _MEAN.tolist(), _STD.tolist())


def _limit(side: int, kernels: tuple[str, ...]) -> float | None:
    """Returns the limit in milliseconds; None without a library that can measure the clock."""
    if kernels[0] == native.NUMPY:
        return None
    vectors = 3 * len(SHIFTS) * (side - WINDOW + 1) ** 2 / _LANES.get(kernels[0], 4)
    return vectors * _OPERATIONS / 2 / native.clock() * 1e3


def main() -> None:
    """Prints median milliseconds per frame, and the ratios to scikit-image and the limit."""
    parser = argparse.ArgumentParser(description="Compares the cascade with scikit-image.")
    parser.add_argument("video", nargs="?")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    kernels = native.setting().available
    print(f"{machine()}, scikit-image {version('scikit-image')}, one thread")
    pictures = _pictures(arguments.video)
    print(f"{'side':>5}  {'kernel':<13}{'ms':>8}{'x scikit-image':>16}{'x limit':>9}")
    for side in _SIZES:
        size = (side, side)
        previous, current = (Letterbox.fit(p.shape[:2], size).apply(p) for p in pictures)
        expected = plain_stack(previous, current)
        ways: dict[str, Callable[[], object]] = {
            "scikit-image": lambda p=previous, c=current: plain_stack(p, c)  # type: ignore[misc]
        }
        for kernel in kernels:
            cascade = _cascade(kernel, size)
            if np.abs(expected - cascade.stack(previous, current)).max() > 2e-4:
                raise SystemExit(f"{kernel} and scikit-image differ: nothing was timed.")
            ways[kernel] = lambda p=previous, c=current, k=cascade: k.release(k.stack(p, c))  # type: ignore[misc]
        medians = interleaved(ways, repeats=arguments.repeats)
        limit = _limit(side, kernels)
        for name, seconds in medians.items():
            ratio = medians["scikit-image"] / seconds
            times = f"{seconds * 1e3 / limit:9.1f}" if limit else f"{'-':>9}"
            print(f"{side:>5}  {name:<13}{seconds * 1e3:>8.2f}{ratio:>16.1f}{times}")
        if limit:
            print(f"{side:>5}  {'limit':<13}{limit:>8.2f}")


if __name__ == "__main__":
    main()

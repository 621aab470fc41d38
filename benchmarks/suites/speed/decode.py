"""Times decoding of heads: EdgeKit, compiled or not, against PyTorch's max pooling and top-k.

Run it as ``python -m edgekit.benchmarks.suites.speed.decode``. The heads are those of 288x288
pictures and 24 classes, with a noisy heatmap that has a peak in one of nine cells. Another peer is
a plain sort of all cells. It uses one thread.
"""

from __future__ import annotations

import argparse

import numpy as np

from edgekit.benchmarks.suites.support.pinning import environment
from edgekit.measuring.timing import interleaved, machine
from edgekit.runtime import native
from edgekit.runtime.decode import decode, peaks
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array, Detections

__all__ = ["main"]

_CLASSES = 24
_TOP_K = 50
_SIDE = 288
_STRIDE = 4


def _torch_peaks(outputs: dict[str, Array]) -> Array:
    import torch
    from torch.nn import functional

    heat = torch.from_numpy(outputs["hm"]).sigmoid()
    heat = heat * (functional.max_pool2d(heat, 3, 1, 1) == heat)
    scores, where = heat.flatten().topk(_TOP_K)
    cells = where % heat[0, 0].numel()
    rows, columns = cells // heat.shape[3], cells % heat.shape[3]
    wh, reg = (torch.from_numpy(outputs[n]).flatten(2)[0][:, cells] for n in ("wh", "reg"))
    x, y = columns + reg[0], rows + reg[1]
    corners = (x - wh[0] / 2, y - wh[1] / 2, x + wh[0] / 2, y + wh[1] / 2)
    classes = where // heat[0, 0].numel()
    return torch.stack((*(c * _STRIDE for c in corners), scores, classes), 1).numpy()


def _sorting_peaks(outputs: dict[str, Array]) -> Array:
    heat = 1 / (1 + np.exp(-outputs["hm"][0]))
    padded = np.pad(heat, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    heat = heat * (windows.max((3, 4)) == heat)
    order: Array = np.argsort(-heat.ravel())[:_TOP_K]
    return order


def main() -> None:
    """Prints the median milliseconds per frame, and the ratios to the peers."""
    parser = argparse.ArgumentParser(description="Compares decoding with PyTorch and a sort.")
    parser.add_argument("--repeats", type=int, default=50)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    print(f"{machine()}, torch {torch.__version__}, one thread")
    grid = _SIDE // _STRIDE
    rng = np.random.default_rng(0)
    outputs = {
        "hm": rng.normal(-4, 1, (1, _CLASSES, grid, grid)).astype(np.float32),
        "wh": rng.uniform(2, 20, (1, 2, grid, grid)).astype(np.float32),
        "reg": rng.uniform(0, 1, (1, 2, grid, grid)).astype(np.float32),
    }
    if not np.allclose(_torch_peaks(outputs), peaks(outputs, _TOP_K, _STRIDE), atol=1e-4):
        raise SystemExit("PyTorch and EdgeKit found different peaks: nothing was timed.")
    letterbox = Letterbox.fit((240, 320), (_SIDE, _SIDE))

    def decoded(kernel: str) -> Detections:
        with environment({native.VARIABLE: kernel}):
            return decode(outputs, _CLASSES, letterbox, top_k=_TOP_K, stride=_STRIDE)

    medians = interleaved(
        {
            "edgekit": lambda: decoded(""),
            "edgekit, numpy": lambda: decoded(native.NUMPY),
            "torch": lambda: _torch_peaks(outputs),
            "plain sort": lambda: _sorting_peaks(outputs),
        },
        repeats=arguments.repeats,
    )
    print(f"{'way':<16}{'ms':>8}{'this/edgekit':>14}")
    for name, median in medians.items():
        print(f"{name:<16}{median * 1e3:>8.3f}{median / medians['edgekit']:>14.1f}")


if __name__ == "__main__":
    main()

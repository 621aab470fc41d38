"""The plain PyTorch pipeline of the KORSAL paper (arXiv 2111.03319), written as its published code.

Each picture is letterboxed by ``cv2.warpAffine``. scikit-image scores nine shifts and computes the
map. The network runs eagerly, without folded batch norms. Peaks of the heatmap are found by max
pooling and two top-k, as in CenterNet. Boxes are selected and linked class by class in numpy.

Deformable convolutions are EdgeKit's own in PyTorch, with the lowering that proves fastest:
torchvision, whose operator others would use, has no build for this PyTorch on CPUs.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional

from edgekit.benchmarks.protocol import LEAST, SETTLE, Lap, pass_length, too_short
from edgekit.benchmarks.suites.speed.cascade import plain_stack
from edgekit.benchmarks.suites.speed.linking import PlainLinker
from edgekit.models.checkpoints import load_checkpoint
from edgekit.models.dcn import LOWERINGS, set_lowering
from edgekit.pipeline.stage_timer import STAGES, measure
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array, Detections

__all__ = ["PlainPipeline", "open_plain", "play_plain", "product_rate"]

_TOP_K = 50
_STRIDE = 4


class PlainPipeline:
    """Computes linked boxes from pictures.

    Args:
        checkpoint: Checkpoint of a network with six input channels.
        side: Side of the network input, in pixels.

    Attributes:
        lowering: Lowering of the deformable convolutions.
    """

    def __init__(self, checkpoint: Path, side: int) -> None:
        self._network: Any = load_checkpoint(checkpoint).network
        self._size = (side, side)
        self.lowering = self._fastest()
        set_lowering(self._network, self.lowering)
        self.reset()

    def reset(self) -> None:
        """Forgets all earlier pictures."""
        self._previous = np.zeros((*self._size, 3), np.uint8)
        self._linker = PlainLinker()

    def frame(self, image: Array, ms: dict[str, float]) -> Detections:
        """Processes the next picture, (H, W, 3) uint8 BGR, and records the time of each stage."""
        with measure(ms, "cascade"):
            letterbox = Letterbox.fit((image.shape[0], image.shape[1]), self._size)
            current = letterbox.apply(image)
            tensor = plain_stack(self._previous, current)[None]
            self._previous = current
        with measure(ms, "network"), torch.inference_mode():
            heads = self._network(torch.from_numpy(tensor))
        with measure(ms, "decode"):
            found = _decode(heads, letterbox)
        with measure(ms, "link"):
            self._linker.update(found)
        return found

    def _fastest(self) -> str:
        tensor = torch.zeros(1, 6, *self._size)
        taken = {}
        with torch.inference_mode():
            for name in LOWERINGS:
                if not set_lowering(self._network, name):
                    return name
                self._network(tensor)
                taken[name] = min(_seconds(lambda: self._network(tensor)) for _ in range(3))
        return min(taken, key=lambda name: taken[name])


def _seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _decode(heads: dict[str, torch.Tensor], letterbox: Letterbox) -> Detections:
    with torch.inference_mode():
        heat = heads["hm"].sigmoid()
        heat = heat * (functional.max_pool2d(heat, 3, 1, 1) == heat)
        _, classes, height, width = heat.shape
        best, cells = heat.view(classes, -1).topk(min(_TOP_K, height * width))
        scores, where = best.flatten().topk(min(_TOP_K, best.numel()))
        labels, cells = where // best.shape[1], cells.flatten()[where]
        wh, reg = (heads[name].flatten(2)[0][:, cells] for name in ("wh", "reg"))
        x, y = cells % width + reg[0], cells // width + reg[1]
        corners = (x - wh[0] / 2, y - wh[1] / 2, x + wh[0] / 2, y + wh[1] / 2)
        boxes = letterbox.to_source((torch.stack(corners, 1) * _STRIDE).numpy())
    table = np.zeros((len(boxes), classes), np.float32)
    table[np.arange(len(boxes)), labels.numpy()] = scores.numpy()
    seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections(boxes[seen], table[seen])


_pipeline: PlainPipeline
"""Pipeline of the measuring process."""


def open_plain(checkpoint: Path, side: int, threads: int) -> str:
    """Prepares this process for measuring; returns the lowering of deformable convolutions."""
    global _pipeline
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    _pipeline = PlainPipeline(checkpoint, side)
    return _pipeline.lowering


def play_plain(video: Path, frames: int) -> Lap:
    """Measures a pass over a video in which ``frames`` count, as ``edgekit bench`` does.

    Raises:
        MediaError: The video is too short.
    """
    _pipeline.reset()
    capture = cv2.VideoCapture(str(video))
    begin = time.process_time()
    rows: list[list[float]] = []
    marks: list[tuple[float, float]] = []
    while len(rows) < pass_length(frames):
        ms = dict.fromkeys(STAGES, 0.0)
        with measure(ms, "capture"):
            there, image = capture.read()
        if not there:
            break
        _pipeline.frame(image, ms)
        rows.append([round(ms[stage], 4) for stage in STAGES])
        marks.append((time.perf_counter(), time.process_time()))
    capture.release()
    if len(rows) < pass_length(LEAST):
        raise too_short(str(video), len(rows))
    first, last = marks[SETTLE - 1], marks[-2]
    return Lap(
        stages=rows[SETTLE:-1],
        seconds=last[0] - first[0],
        cpu_seconds=last[1] - first[1],
        whole_cpu_seconds=time.process_time() - begin,
        passed=len(rows),
        peak_memory=None,
    )


def product_rate() -> float:
    """Returns this process's operations per second in a product of two float32 matrices."""
    side = 1024
    left, right = torch.rand(side, side), torch.rand(side, side)
    taken = statistics.median(_seconds(lambda: left @ right) for _ in range(15))
    return 2 * side**3 / taken

"""Updates the tracks of EdgeKit's linker in C; gives exactly the results of ``tracks/plain.py``.

All memory belongs to numpy. Logarithms and exponentials are also numpy's, so that both
implementations agree to the last bit. A frame therefore takes three calls of the library.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Collection, Mapping

import numpy as np

from edgekit.linking.tracks import kalman, matching
from edgekit.linking.tracks.history import History
from edgekit.linking.tracks.look import Look
from edgekit.linking.tracks.plain import FLOOR, SURE_HITS, Ended, Live
from edgekit.runtime.native.structures import Linking
from edgekit.runtime.types import Array

__all__ = ["NativeTracks"]

_SMALLEST = 64
_PAIR = 12
_SLACK = 1.01
_WITH_AVX2 = ("avx512", "avx2")


# Many attributes: the C kernel works on memory that has to stay alive and in place between its
# three calls.
class NativeTracks:
    """All live tracks, and their update in each frame, with the interface of ``PlainTracks``.

    Args:
        library: Library from ``compiled``.
        kernel: Name of the kernel from ``setting``; there is one for AVX2 and one for all others.
        classes: Number of classes, C.
        max_misses: Limit of ``OnlineLinker`` on the time without a detection.
        history: History that receives a row for each live track in every frame.
    """

    def __init__(
        self, library: ctypes.CDLL, kernel: str, classes: int, max_misses: float, history: History
    ) -> None:
        width = -(-classes // matching.LANES) * matching.LANES
        self._classes, self._width, self._max_misses = classes, width, max_misses
        self._history = history
        self._pace: tuple[float, float, bool] | None = None
        self._scratch_size, self._look, self._do_step, self._show = _functions(library)
        self._linking = linking = Linking(
            floor=FLOOR,
            measured2=kalman.MEASURED**2,
            first2=kalman.FIRST_VELOCITY**2,
            reach=matching.REACH,
            reach_per_miss=matching.REACH_PER_MISS,
            largest_reach=matching.LARGEST_REACH,
            largest_growth=matching.LARGEST_GROWTH,
            largest_ratio=math.exp(matching.LARGEST_GROWTH) * _SLACK,
            least_overlap=matching.LEAST_OVERLAP,
            class_weight=matching.CLASS_WEIGHT,
            level_weight=matching.LEVEL_WEIGHT,
            least_gain=matching.LEAST_GAIN,
            least_cosine=matching.LEAST_COSINE,
            suppressed=matching.SUPPRESSED,
            classes=classes,
            width=width,
            sure_hits=SURE_HITS,
            avx2=kernel in _WITH_AVX2,
            past_state=history.table.states[0].size,
        )
        self._at = ctypes.addressof(linking)
        self._arrays: dict[str, Array] = {}
        self._grow(_SMALLEST, _SMALLEST)
        self._pairs(_SMALLEST)
        self._point("past_", history.table._asdict())

    def __len__(self) -> int:
        return int(self._linking.tracks)

    def step(self, boxes: Array, scores: Array, look: Look, next_id: int) -> tuple[int, Ended]:
        """Updates the tracks for the next processed frame; see ``PlainTracks.step``."""
        linking, found = self._linking, len(boxes)
        if scores.shape != (found, self._classes) or boxes.shape != (found, 4):
            raise ValueError(
                f"expected boxes of shape {(found, 4)} and scores of shape "
                f"{(found, self._classes)}; found {boxes.shape} and {scores.shape}"
            )
        tracks = int(linking.tracks)
        if found > linking.found_capacity or tracks + found > linking.row_capacity:
            self._grow(tracks + found, found)
        arrays = self._arrays
        arrays["boxes"][:found] = boxes
        arrays["scores"][:found, : self._classes] = scores
        linking.found, linking.next_id = found, next_id
        linking.frame, linking.passed, linking.elapsed = look[:3]
        if look[2:] != self._pace:
            self._keep_pace(look)
        found = self._look(self._at)
        if found < 0:
            raise ValueError(
                f"the buffers are too small for {len(boxes)} detections and {tracks} tracks"
            )
        _in_place(np.log, arrays["logs"][: 3 * found + tracks])
        _in_place(np.exp, arrays["exps"][: 2 * tracks])
        if self._history.reserve(tracks + found, arrays["id"][:tracks]):
            self._point("past_", self._history.table._asdict())
        linking.past = len(self._history)
        linking.past_capacity = len(self._history.table.id)
        while pairs := self._do_step(self._at):
            if pairs < 0:
                raise ValueError(
                    f"the buffers are too small for {found} detections and {tracks} tracks"
                )
            self._pairs(pairs)
        tracks = int(linking.tracks)
        np.exp(arrays["exps"][: 2 * tracks], out=arrays["size"].reshape(-1)[: 2 * tracks])
        self._history.count(tracks)
        return linking.next_id - next_id, self._ended(int(linking.ended))

    def end(self, keep: Collection[int] = ()) -> Ended:
        """Ends all tracks, except those whose ids are in ``keep``."""
        rows = {name: self._arrays[name][: len(self)] for name in _KEPT}
        # Not np.isin, because its first call imports numpy.ma.
        stays = np.array([id in keep for id in rows["id"].tolist()], bool)
        id, hits, watched, sums = (rows[name][~stays] for name in ("id", "hits", "watched", "sums"))
        self._linking.tracks = left = int(stays.sum())
        for column in rows.values():
            column[:left] = column[stays]
        return Ended(id, hits, watched, sums[:, : self._classes])

    def live(self) -> Live:
        """Returns the public fields of each live track; valid until the next call."""
        self._show(self._at)
        tracks = int(self._linking.tracks)
        return Live(*(self._arrays[name][:tracks] for name in _LIVE))

    def _keep_pace(self, look: Look) -> None:
        linking, self._pace = self._linking, look[2:]
        linking.unsure_lost, linking.most_lost = look.allowed(self._max_misses)
        linking.remembered, linking.outshines = look.remembered(), look.outshines()
        step = kalman.step_of(look.elapsed)
        linking.carried, linking.faded, linking.moved, linking.shared, linking.accelerated = step

    def _ended(self, count: int) -> Ended:
        arrays = self._arrays
        return Ended(
            arrays["ended_id"][:count],
            arrays["ended_hits"][:count],
            arrays["ended_watched"][:count],
            arrays["ended_sums"][:count, : self._classes],
        )

    def _grow(self, rows: int, found: int) -> None:
        """Makes room for this many rows and detections, and as many again."""
        linking, old = self._linking, self._arrays
        tracks = int(linking.tracks)
        rows, found = max(2 * rows, linking.row_capacity), max(2 * found, linking.found_capacity)
        whole, real = np.int64, np.float64
        arrays: dict[str, Array] = {
            **{name: np.zeros(rows, whole) for name in ("id", "start", "hits", "misses")},
            "lost": np.zeros(rows, real),
            "watched": np.zeros(rows, real),
            "sums": np.zeros((rows, self._width), real),
            "level": np.zeros(rows, real),
            "recent": np.zeros((rows, self._width), real),
            "weight": np.zeros(rows, real),
            "states": np.zeros((rows, 5, 4), real),
            "size": np.zeros((rows, 2), real),
            "label": np.zeros(rows, whole),
            "score": np.zeros(rows, real),
            "box": np.zeros((rows, 4), real),
            "ended_id": np.zeros(rows, whole),
            "ended_hits": np.zeros(rows, whole),
            "ended_watched": np.zeros(rows, real),
            "ended_sums": np.zeros((rows, self._width), real),
            "boxes": np.zeros((found, 4), real),
            "scores": np.zeros((found, self._width), real),
            "logs": np.ones(3 * found + rows, real),
            "exps": np.zeros(2 * rows, real),
            "scratch": np.zeros(self._scratch_size(rows, found, self._width), np.uint8),
        }
        self._arrays = arrays
        for name in _KEPT if old else ():
            arrays[name][:tracks] = old[name][:tracks]
        linking.row_capacity, linking.found_capacity = rows, found
        self._point("", arrays)

    def _pairs(self, count: int) -> None:
        # Twice the size: the second half is for sorting.
        self._memory = np.empty((2, 2 * count, _PAIR), np.uint8)
        self._linking.pair_capacity = 2 * count
        self._linking.pairs = self._memory.ctypes.data

    def _point(self, prefix: str, arrays: Mapping[str, Array]) -> None:
        for name, array in arrays.items():
            setattr(self._linking, prefix + name, array.ctypes.data)


_KEPT = (
    "id", "start", "hits", "misses", "lost", "watched",
    "sums", "level", "recent", "weight", "states", "size",
)  # fmt: skip
_LIVE = ("id", "label", "score", "box", "misses", "start", "hits")


def _in_place(function: np.ufunc, array: Array) -> None:
    function(array, out=array)


@functools.cache
def _functions(
    library: ctypes.CDLL,
) -> tuple[Callable[..., int], Callable[[int], int], Callable[[int], int], Callable[[int], None]]:
    """Returns the functions with declared types; this takes longer than a call."""
    size, look = library.link_scratch, library.link_look
    step, show = library.link_step, library.link_show
    size.argtypes, size.restype = [ctypes.c_int32] * 3, ctypes.c_size_t
    look.argtypes, look.restype = [ctypes.c_void_p], ctypes.c_int32
    step.argtypes, step.restype = [ctypes.c_void_p], ctypes.c_int64
    show.argtypes, show.restype = [ctypes.c_void_p], None
    return size, look, step, show

"""Preprocesses chosen frames as the runtime does, and keeps them on disk by their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import overload

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edgekit._progress import SILENT, Progress
from edgekit.bundle import Bundle
from edgekit.calibration.frame_selection import Candidates, choose, spread
from edgekit.calibration.sequences import FrameSequence
from edgekit.calibration.store import Store, array_file, key_of
from edgekit.detector import cascade_of, recent_frames_of
from edgekit.errors import CalibrationError
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array, Frame

__all__ = ["Place", "Samples", "choose_frames", "collect", "extract"]

_SIDE = 32
_CANDIDATES = 20
"""Number of candidate frames per sequence, for each sample that is wanted in total."""

_LEAST_CONTRAST = 1.0
_PAIRS = "pairs.npy"
_PLACES = "places.json"


class Place(msgspec.Struct, frozen=True):
    """Source of a sample.

    Attributes:
        sequence: Index of the video or folder.
        frame: Index of the frame in its sequence.
        height: Height of the source picture, in pixels.
        width: Width of the source picture, in pixels.
        sample_aspect: Width of a pixel of the source over its height.
    """

    sequence: int
    frame: int
    height: int
    width: int
    sample_aspect: float = 1.0


class Samples(Sequence[Mapping[str, Array]]):
    """The model inputs for a number of frames: a sequence that is read from disk.

    Args:
        bundle: Bundle that the inputs are for.
        folder: Folder of a store, filled by ``extract``.
        step: Stride: every ``step``-th sample in the folder is used.

    Attributes:
        pairs: Letterboxed earlier and current frames, (n, 2, H, W, 3) uint8, mapped from disk.
        places: Source of each sample.
        key: Key made from their content and the preprocessing.
    """

    def __init__(self, bundle: Bundle, folder: Path, step: int = 1) -> None:
        content = (folder / _PLACES).read_bytes()
        self._all = (bundle, folder, step)
        self._cascade = cascade_of(bundle)
        self.pairs = np.load(folder / _PAIRS, mmap_mode="r")[::step]
        self.places = msgspec.json.decode(content, type=tuple[Place, ...])[::step]
        self.key = key_of(folder.name, step)

    def __reduce__(self) -> tuple[type[Samples], tuple[Bundle, Path, int]]:
        return Samples, self._all  # another process maps the same file

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Array]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mapping[str, Array]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Array] | list[Mapping[str, Array]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        previous, current = np.array(self.pairs[index])
        if self._all[0].manifest.cascade.place == "graph":
            return {"previous": previous[None], "frame": current[None]}
        return {"input": self._cascade.stack(previous, current)[None]}

    def tensor(self, index: int) -> Array:
        """Returns the network's input for a sample, (C, H, W), wherever the cascade runs."""
        previous, current = np.array(self.pairs[index])
        return self._cascade.stack(previous, current)

    def thinned(self, most: int) -> Samples:
        """Returns at most ``most`` of the samples, evenly spaced."""
        bundle, folder, step = self._all
        return Samples(bundle, folder, step * -(-len(self) // most))

    def letterbox(self, index: int) -> Letterbox:
        """Returns the letterbox that maps boxes of a sample back to the source picture."""
        place = self.places[index]
        made = self._all[0].manifest.input
        return Letterbox.fit(
            (place.height, place.width), (made.height, made.width), place.sample_aspect
        )


def collect(
    bundle: Bundle,
    footage: Sequence[FrameSequence],
    store: Store,
    *,
    samples: int,
    judged: int,
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[Samples, Samples]:
    """Returns samples for calibrating a model, and others for evaluating it.

    The calibration samples are chosen to differ from each other, see
    ``edgekit.calibration.frame_selection``. One of them is the first frame of a video. The
    evaluation samples are evenly spaced over the last quarter of each sequence.

    Args:
        bundle: Float model; its manifest defines the preprocessing.
        footage: Sequences to choose from.
        store: Store that keeps the samples, so that a choice is made only once.
        samples: Largest number of calibration samples.
        judged: Largest number of evaluation samples.
        seed: Seed for the choice.
        progress: Progress display, called for each frame that is read.

    Raises:
        CalibrationError: The frames are too few, too dark, or too alike for the cascade.
        OutputError: The store cannot be written.
    """
    wanted = choose_frames(
        bundle, footage, store, samples=samples, judged=judged, seed=seed, progress=progress
    )
    first, second = (extract(bundle, footage, frames, store, progress) for frames in wanted)
    return first, second


def choose_frames(
    bundle: Bundle,
    footage: Sequence[FrameSequence],
    store: Store,
    *,
    samples: int,
    judged: int,
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[list[list[int]], list[list[int]]]:
    """Returns the indices of the frames that ``collect`` takes for either purpose, by sequence.

    ``collect`` documents the arguments and errors.
    """
    key = _key(bundle, footage, "choice", samples, judged, seed)

    def make(folder: Path) -> None:
        found = [_look(bundle, sequence, samples, progress) for sequence in footage]
        _check(bundle, found)
        wanted = _calibrating(bundle, found, samples, seed), _judging(found, judged)
        if not any(wanted[0]) or (judged and not any(wanted[1])):
            raise CalibrationError(
                f"Expected frames to calibrate with and others to judge by; found "
                f"{sum(seen.count for seen in found)} in all.",
                hint="Name more footage; 32 frames and more are advised.",
            )
        (folder / "choice.json").write_bytes(msgspec.json.encode(wanted))

    file = store.folder("choice", key, make) / "choice.json"
    return msgspec.json.decode(file.read_bytes(), type=tuple[list[list[int]], list[list[int]]])


def extract(
    bundle: Bundle,
    footage: Sequence[FrameSequence],
    wanted: Sequence[Sequence[int]],
    store: Store,
    progress: Progress = SILENT,
) -> Samples:
    """Returns samples of given frames, each with the frame that the cascade compares it with.

    Args:
        bundle: Bundle whose manifest defines the preprocessing.
        footage: Sequences that the frames are from.
        wanted: Indices of the frames of each sequence, ascending.
        store: Store that keeps the samples.
        progress: Progress display, called for each stored frame.

    Raises:
        CalibrationError: A frame does not exist.
        OutputError: The store cannot be written.
    """
    key = _key(bundle, footage, "pairs", wanted)
    make = partial(_extract, bundle, footage, wanted, progress)
    place = store.folder("pairs", key, make)
    return Samples(bundle, place)


def _key(bundle: Bundle, footage: Sequence[FrameSequence], *parts: object) -> str:
    manifest = bundle.manifest
    content = [sequence.sha256 for sequence in footage]
    return key_of(manifest.input, manifest.cascade, content, *parts)


def _pairs(
    bundle: Bundle, sequence: FrameSequence, *, again: bool = False, progress: Progress = SILENT
) -> Iterator[tuple[Frame, int, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """Yields each frame, the number of gapless frames before it, and the pair that is compared.

    The pair is the letterboxed earlier frame and the letterboxed current frame. A change of size
    also counts as a gap.
    """
    cascade, recent = cascade_of(bundle), recent_frames_of(bundle)
    before, shape = 0, None
    for frame in sequence.frames(again=again, progress=progress):
        if recent is not None:
            frame = recent.add(frame)
        if frame.earlier is None and (frame.gap or frame.image.shape != shape):
            cascade.reset()
            before = 0
        shape = frame.image.shape
        previous, current, _ = cascade.pair(frame.image, frame.sample_aspect, frame.earlier)
        yield frame, before, previous, current
        before += 1


def _look(bundle: Bundle, sequence: FrameSequence, samples: int, progress: Progress) -> Candidates:
    seen = Candidates(limit=_CANDIDATES * samples)
    kind, gap = bundle.manifest.cascade.kind, bundle.manifest.cascade.frame_gap
    for frame, before, previous, current in _pairs(bundle, sequence, progress=progress):
        earlier = current if kind == "rgb" else previous if before >= gap else None
        seen.add(frame.index, earlier, current)
        small = cv2.resize(frame.image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        seen.contrast = max(seen.contrast, float(small.std(axis=(0, 1)).max()))
    return seen


def _check(bundle: Bundle, found: Sequence[Candidates]) -> None:
    hint = "Calibrate with footage of what the detector is to see."
    kind = bundle.manifest.cascade.kind
    if kind != "rgb" and not any(seen.moves for seen in found):
        raise CalibrationError(
            f"The cascade {kind} compares consecutive frames, and no two in the calibration data "
            "differ: its map would be constant.",
            hint=f"{hint} Single pictures suit a network that was exported with --cascade rgb.",
        )
    if max(seen.contrast for seen in found) < _LEAST_CONTRAST:
        raise CalibrationError(
            "Expected pictures; every frame of the calibration data is of one colour.", hint=hint
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


def _judging(found: Sequence[Candidates], judged: int) -> list[list[int]]:
    indices = [seen.to_judge() for seen in found]
    picks = spread(map(len, indices), judged)
    return [values[pick].tolist() for values, pick in zip(indices, picks, strict=True)]


def _extract(
    bundle: Bundle,
    footage: Sequence[FrameSequence],
    wanted: Sequence[Sequence[int]],
    progress: Progress,
    folder: Path,
) -> None:
    made = bundle.manifest.input
    progress.phase("keeping frames", sum(map(len, wanted)))
    shape = (sum(map(len, wanted)), 2, made.height, made.width, 3)
    pairs = array_file(folder / _PAIRS, np.uint8, shape)
    places: list[Place] = []
    for number, (sequence, indices) in enumerate(zip(footage, wanted, strict=True)):
        missing = set(indices)
        for frame, _, previous, current in _pairs(bundle, sequence, again=True) if missing else ():
            if frame.index in missing:
                missing.discard(frame.index)
                pairs[len(places)] = previous, current
                height, width = frame.image.shape[:2]
                places.append(Place(number, frame.index, height, width, frame.sample_aspect))
                progress.advance()
            if not missing:
                break
        if missing:
            raise CalibrationError(
                f"{sequence.path} has no frame {min(missing)}: it was changed while it was read, "
                "or it holds fewer frames than its annotation says.",
                hint="Leave it alone meanwhile, or correct the annotation.",
            )
    pairs.flush()
    (folder / _PLACES).write_bytes(msgspec.json.encode(places))

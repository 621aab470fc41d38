"""Preprocesses chosen frames as ``edgekit.runtime`` does, and keeps them on disk by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import overload

import msgspec
import numpy as np

from edgekit._progress import SILENT, Progress
from edgekit.bundle import Bundle
from edgekit.calibration.chosen_frames import choose_frames
from edgekit.calibration.frame_pairs import frame_pairs, samples_key
from edgekit.calibration.sequences import FrameSequence
from edgekit.calibration.store import Store, array_file, key_of
from edgekit.detector import cascade_of
from edgekit.errors import CalibrationError
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array

__all__ = ["Place", "Samples", "collect", "extract"]

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
        chosen: Indices in the folder of the samples to use; None for all.

    Attributes:
        pairs: Letterboxed earlier and current frames, (n, 2, H, W, 3) uint8; all samples of a
            folder are mapped from disk.
        places: Source of each sample.
        key: Key made from their content and the preprocessing.
    """

    def __init__(self, bundle: Bundle, folder: Path, chosen: tuple[int, ...] | None = None) -> None:
        content = (folder / _PLACES).read_bytes()
        self._all = (bundle, folder, chosen)
        self._cascade = cascade_of(bundle)
        self.pairs = np.load(folder / _PAIRS, mmap_mode="r")
        self.places = msgspec.json.decode(content, type=tuple[Place, ...])
        if chosen is not None:
            self.pairs = self.pairs[list(chosen)]
            self.places = tuple(self.places[index] for index in chosen)
        self.key = key_of(folder.name, chosen)

    def __reduce__(self) -> tuple[type[Samples], tuple[Bundle, Path, tuple[int, ...] | None]]:
        return Samples, self._all  # another process maps the same file

    def __len__(self) -> int:
        return len(self.places)

    @property
    def kind(self) -> str:
        """Kind of the cascade, one of ``edgekit.runtime.kinds.KINDS``."""
        return self._cascade.kind

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

    def some(self, indices: Sequence[int]) -> Samples:
        """Returns some of the samples, by their indices; their pairs are in memory."""
        bundle, folder, chosen = self._all
        return Samples(bundle, folder, tuple(chosen[i] if chosen else i for i in indices))

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
    evaluated: int,
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
        evaluated: Largest number of evaluation samples.
        seed: Seed for the choice.
        progress: Progress display, called for each frame that is read.

    Raises:
        CalibrationError: The frames are too few, too dark, or too alike for the cascade.
        OutputError: The store cannot be written.
    """
    wanted = choose_frames(
        bundle, footage, store, samples=samples, evaluated=evaluated, seed=seed, progress=progress
    )
    first, second = (extract(bundle, footage, frames, store, progress) for frames in wanted)
    return first, second


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
    key = samples_key(bundle, footage, "pairs", wanted)
    make = partial(_extract, bundle, footage, wanted, progress)
    place = store.folder("pairs", key, make)
    return Samples(bundle, place)


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
        for frame, _, previous, current in (
            frame_pairs(bundle, sequence, again=True) if missing else ()
        ):
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
                f"{sequence.path} has no frame {min(missing)}. It changed while it was read, "
                "or it has fewer frames than its annotation says.",
                hint="Do not change the file during the calibration, or correct its annotation.",
            )
    pairs.flush()
    (folder / _PLACES).write_bytes(msgspec.json.encode(places))

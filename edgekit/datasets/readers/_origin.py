"""Names a file of annotations in errors, and checks what is read from it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from edgekit._parameters import parameter
from edgekit.datasets._faults import tell_left_out
from edgekit.datasets._parts import advice_on_lists, files_of_part
from edgekit.datasets.annotations import MOST_FRAMES, TruthTube, VideoTruth
from edgekit.datasets.video_facts import decoded, facts_of
from edgekit.errors import AnnotationError, MediaError
from edgekit.files.json_arrays import memory_of
from edgekit.files.reading import read_regular, without_mark

__all__ = ["LONGEST_SIDE", "Origin", "only_file"]

LONGEST_SIDE = 1 << 16
"""Largest width or height of a video, in pixels."""

_MOST_JSON, _MOST_MEMORY = 1 << 28, 256 << 20
"""Largest size of JSON, and of JSON with its values, in bytes."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Origin:
    """File of annotations.

    Attributes:
        path: Path of the file.
        layout: Name of its layout, for people.
    """

    path: Path
    layout: str

    def wrong(self, what: str, where: str = "", *, hint: str = "") -> AnnotationError:
        """Returns the error for a fault.

        Args:
            what: Fault, with what was found and expected.
            where: Video, track or line of the fault; "" for the file as a whole.
            hint: Advice; by default to correct the file.
        """
        place = f"{self.path}, {where}" if where else str(self.path)
        return AnnotationError(
            f"Wrong annotation in {place}: {what}.",
            hint=hint or f"Correct the file. Its layout is {self.layout}; see docs/datasets.md.",
        )

    def leave_out(self, what: str, hint: str) -> None:
        """Says that something in the file is not read, beside which the rest can be used.

        Args:
            what: What is left out, with its number.
            hint: Advice.
        """
        tell_left_out(AnnotationError(f"Left out of {self.path}: {what}.", hint=hint))

    def unseen(self, name: str, path: Path, what: str, error: MediaError) -> AnnotationError:
        """Returns the error for a video that the layout needs, and that cannot be read.

        Args:
            name: Name of the video in the annotations.
            path: Its path.
            what: What it is needed for.
            error: Why it cannot be read.
        """
        needed = f"The layout {self.layout} needs the video '{name}', for its {what}."
        if path.exists():
            return AnnotationError(f"{needed} {error.message}", hint=error.hint)
        return AnnotationError(
            f"{needed} The dataset's folder has no video of that name.",
            hint="Put it into the folder videos of the dataset.",
        )

    def read(self, most: int) -> bytes:
        """Returns the content of the file, of at most ``most`` bytes.

        Raises:
            AnnotationError: The file cannot be read, is not regular, or is too large.
        """
        try:
            return without_mark(read_regular(self.path, most))
        except OSError as error:
            raise AnnotationError(
                f"Cannot read the annotations {self.path}: {error.strerror}.",
                hint=advice_on_lists(self.path)
                or f"Name the dataset's folder with {parameter('root')}.",
            ) from error

    def decode(self, kind: type[T], expected: str) -> tuple[T, int]:
        """Returns the content of the file as JSON, and its size in bytes.

        Args:
            kind: Type to decode, as ``memory_of`` wants it.
            expected: Description of the content, for the error.

        Raises:
            AnnotationError: The file cannot be read, is too large, or has another content.
        """
        content = self.read(_MOST_JSON)
        if memory_of(content) > _MOST_MEMORY:
            raise self.wrong(
                f"its {len(content)} bytes have more values than fit into {_MOST_MEMORY >> 20} MiB",
                hint="Leave out what EdgeKit does not read, such as masks, or divide the file.",
            )
        try:
            return msgspec.json.decode(content, type=kind), len(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            del content  # the error's traceback would keep it
            raise self.wrong(f"expected {expected} ({error})") from error

    def video(
        self,
        name: str,
        frames: int,
        size: tuple[int, int],
        tubes: list[TruthTube],
        path_of: Callable[[str], Path],
        *,
        label: int | None = None,
    ) -> VideoTruth:
        """Returns a video after checks of its sizes, spans and boxes.

        Args:
            name: Name of the video.
            frames: Number of frames; 0 to ask the video.
            size: Width and height in pixels; zeros to ask the video.
            tubes: Actions, whose labels the reader has checked.
            path_of: Function that returns the path of a video by its name.
            label: Class of the whole video; None if it has none.

        Raises:
            AnnotationError: Something is out of range; the message names video and tube.
        """
        where = f"video '{name}'"
        try:
            path = path_of(name)
        except ValueError as error:
            raise self.wrong(str(error), where) from error
        if (frames == 0 or size == (0, 0)) and path.exists():
            try:
                facts = facts_of(path)
                frames = frames or facts.frames or decoded(path)[0]
            except MediaError as error:
                raise AnnotationError(error.message, hint=error.hint) from error
            size = (facts.width, facts.height)
        if not (1 <= frames <= MOST_FRAMES and min(size) >= 1 and max(size) <= LONGEST_SIDE):
            raise self.wrong(
                f"{frames} frames of {size[0]}x{size[1]}; expected 1 to {MOST_FRAMES} frames of "
                f"1x1 to {LONGEST_SIDE}x{LONGEST_SIDE} pixels",
                where,
            )
        for number, tube in enumerate(tubes):
            which = f"{where}, tube {number}"
            if not 0 <= tube.start <= tube.end < frames:
                raise self.wrong(
                    f"it runs from frame {tube.start} to frame {tube.end}, and the video has "
                    f"{frames} frames, from 0",
                    which,
                )
            if not np.isfinite(tube.boxes).all():
                raise self.wrong("a box has an infinite or NaN coordinate", which)
        return VideoTruth(name, frames, *size, tubes, label, path)


def only_file(root: Path, patterns: Sequence[str], layout: str, part: str | None = None) -> Origin:
    """Returns the one file of a dataset, or of a part of it; earlier patterns come first.

    Raises:
        AnnotationError: There is none, there are several, or there is one of the other part only.
    """
    found = files_of_part(root, patterns, part)
    if len(found) == 1:
        return Origin(found[0], layout)
    if found:
        names = ", ".join(str(path.relative_to(root)) for path in found[:5])
        expected = f"{' or '.join(patterns)}{f' of the part {part}' if part else ''}"
        raise AnnotationError(
            f"Expected one file {expected} in {root}; found {len(found)}: {names}.",
            hint="Put each dataset into a folder of its own.",
        )
    raise AnnotationError(
        f"Found no annotations with the layout {layout} in {root}: no {' or '.join(patterns)}.",
        hint=f"Run: edgekit dataset inspect {shlex.quote(str(root))}",
    )

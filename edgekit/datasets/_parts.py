"""Chooses the annotation files of one part of a dataset by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import AnnotationError

__all__ = ["files_of_part", "missing_part", "other_part"]

_WORDS = {"train": ("train",), "test": ("test", "val")}
"""Words that name a part, the first that a file has; the validation list may serve as the test."""

_WORD = re.compile(r"(?<![a-z])(train|test|val)(?:id)?(?:ing|ation)?(?:set)?(?![a-z])", re.I)

_WITHOUT_BOXES = re.compile("excluded|included|without_annotations", re.I)
"""Files that published datasets have beside their annotations: AVA's seconds, TAO's test list."""


def other_part(part: str) -> str:
    """Returns ``test`` for ``train``, and ``train`` for ``test``."""
    return "test" if part == "train" else "train"


def _part_in(name: str) -> str | None:
    """Returns the part in the name of a file; None for no part or both."""
    words = {match[1].lower() for match in _WORD.finditer(name)}
    parts = [part for part, known in _WORDS.items() if words & set(known)]
    return parts[0] if len(parts) == 1 else None


def files_of_part(root: Path, patterns: Sequence[str], part: str | None) -> list[Path]:
    """Returns the files of a part: those that name it, or all files if none names any part.

    Args:
        root: Folder of the dataset.
        patterns: Patterns of the files below it; files of earlier patterns come first.
        part: ``test`` or ``train``; None for files that list the videos of each part.

    Returns:
        Files of one pattern; empty if no file has any.

    Raises:
        AnnotationError: All files that name a part name the other one.
    """
    found = [
        [path for path in sorted(root.glob(pattern)) if not _WITHOUT_BOXES.search(path.name)]
        for pattern in patterns
    ]
    named = {path: _part_in(path.stem) if part else None for paths in found for path in paths}
    for word in _WORDS[part] if part else ():
        for paths in found:
            own = [path for path in paths if named[path] == part and word in path.stem.lower()]
            if own:
                return own
    if part and (others := [path for path, each in named.items() if each]):
        raise missing_part(
            root, part, f"in a file with {' or '.join(_WORDS[part])} in its name", others
        )
    return next(filter(None, found), [])


def missing_part(root: Path, part: str, expected: str, others: Iterable[Path]) -> AnnotationError:
    """Returns the error for a dataset that has annotations of the other part only.

    Args:
        root: Folder of the dataset.
        part: Part that was asked for.
        expected: Name of a file of that part, or its description.
        others: Annotations of the other part.
    """
    names = " and ".join(str(path.relative_to(root)) for path in list(others)[:3])
    other = other_part(part)
    error = AnnotationError(
        f"Expected the part {part} of the dataset {root}, {expected}; found {names}, of the part "
        f"{other}.",
        hint=f"Name the file of the part {part} so. If {names} has all videos, give it a name "
        f"without {other}. To divide it, run edgekit dataset split with "
        f"{parameter('part', other)}.",
    )
    error.__cause__ = FileNotFoundError(part)  # the other part can be read
    return error

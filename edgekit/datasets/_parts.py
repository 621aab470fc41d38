"""Chooses the annotation files of one part of a dataset by names of files or subsets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._printable import listed
from edgekit.datasets._locations import visible_files
from edgekit.errors import AnnotationError

__all__ = [
    "advice_on_lists",
    "files_of_part",
    "is_outdated",
    "missing_part",
    "of_part",
    "other_part",
    "part_in",
]

_WORDS = {"train": ("train",), "test": ("test", "val")}
"""Words that name a part, the first that a file has; the validation list may serve as the test."""

_WORD = re.compile(r"(?<![a-z])(train|test|val)(?:id)?(?:ing|ation)?(?:set)?(?![a-z])", re.I)

_WITHOUT_BOXES = re.compile("excluded|included|without_annotations", re.I)
"""Files that published datasets have beside their annotations: AVA's seconds, TAO's test list."""


def other_part(part: str) -> str:
    """Returns ``test`` for ``train``, and ``train`` for ``test``."""
    return "test" if part == "train" else "train"


def part_in(name: str) -> str:
    """Returns the part in the name of a file or a subset; "" for no part or both."""
    words = {match[1].lower() for match in _WORD.finditer(name)}
    parts = [part for part, known in _WORDS.items() if words & set(known)]
    return parts[0] if len(parts) == 1 else ""


def of_part(names: Mapping[Path, str], part: str) -> list[Path]:
    """Returns the files whose names name a part, by the first of its words that any name has.

    Args:
        names: Name of each file or of its subset.
        part: ``test`` or ``train``.
    """
    own = {path: name.lower() for path, name in names.items() if part_in(name) == part}
    chosen = ([path for path, name in own.items() if word in name] for word in _WORDS[part])
    return next(filter(None, chosen), [])


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
        [path for path in visible_files(root, pattern) if not _WITHOUT_BOXES.search(path.name)]
        for pattern in patterns
    ]
    if part:
        named = {path: path.stem for paths in found for path in paths if part_in(path.stem)}
        own = of_part(named, part)
        if named and not own:
            expected = f"in a file with {' or '.join(_WORDS[part])} in its name"
            raise missing_part(root, part, expected, named)
        if own:
            found = [[path for path in paths if path in own] for paths in found]
    return next(filter(None, found), [])


def is_outdated(own: Path, every: Path) -> bool:
    """Returns whether the file of a part is older than the file of all videos beside it."""
    return own.exists() and every.exists() and own.stat().st_mtime < every.stat().st_mtime


def missing_part(
    root: Path, part: str, expected: str, others: Iterable[Path], advice: str = ""
) -> AnnotationError:
    """Returns the error for a dataset that has annotations of the other part only.

    Args:
        root: Folder of the dataset.
        part: Part that was asked for.
        expected: Name of a file of that part, or its description.
        others: Annotations of the other part.
        advice: How to give annotations a part; by default by the names of their files.
    """
    names = " and ".join(str(path.relative_to(root)) for path in list(others)[:3])
    other = other_part(part)
    advice = advice or (
        f"Name the file of the part {part} so. If {names} has all videos, give it a name without "
        f"{other}."
    )
    error = AnnotationError(
        f"Expected the part {part} of the dataset {root}, {expected}; found {names}, of the part "
        f"{other}.",
        hint=f"{advice} To divide it, run edgekit dataset split with {parameter('part', other)}.",
    )
    error.__cause__ = FileNotFoundError(part)  # the other part can be read
    return error


def advice_on_lists(path: Path) -> str:
    """Returns advice for a missing list of videos: which lists there are; "" if there are none."""
    lists = [other.name for other in visible_files(path.parent, "*list*.txt")]
    if path.exists() or "list" not in path.name or not lists:
        return ""
    return (
        f"{path.parent} has {listed(lists)}. The number in such a name is that of "
        f"{parameter('split')}."
    )

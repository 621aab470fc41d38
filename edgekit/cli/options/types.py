"""Defines option types that several commands share."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit._printable import listed
from edgekit.datasets.layouts import DATASETS
from edgekit.files.output_paths import (
    refuse_no_folder,
    refuse_special_file,
    refuse_unwritable,
    require_parent,
)
from edgekit.linking.choices import LINKS
from edgekit.targets.registry import RUNTIMES, TARGETS, runtime_named, target_named

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "BYTES",
    "DATASET",
    "KEEP",
    "LINK",
    "OUT",
    "OUT_FILE",
    "OUT_FOLDER",
    "OUT_OR_STDOUT",
    "RUNTIME",
    "SIZE",
    "TARGET",
    "NameType",
]


class _OutputPath(click.Path):
    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        given = super().convert(value, param, ctx)
        if not (self.allow_dash and given == "-"):
            path = Path(os.fsdecode(given))
            require_parent(path)
            if not self.allow_dash:
                refuse_special_file(path)
            if not self.file_okay:
                refuse_no_folder(path)  # a cache that cannot be written stops no run
            elif not path.exists():  # an existing file may be replaced without being writable
                refuse_unwritable(path)
        return given

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Returns FILE or FOLDER, as the help calls them."""
        return "FOLDER" if self.dir_okay else "FILE"


OUT = _OutputPath(path_type=Path)
"""Path of a folder to write, in an existing folder. If that is missing, it is an ``OutputError``:
it is usually a typing error, and creating it would hide that."""

OUT_FILE = _OutputPath(dir_okay=False, path_type=Path)
"""Path of a file to write, in an existing folder."""

OUT_FOLDER = _OutputPath(file_okay=False, path_type=Path)
"""Path of a folder to write to, in an existing folder; it may itself be missing."""

OUT_OR_STDOUT = _OutputPath(allow_dash=True)
"""Path to write to as text, in an existing folder; - for standard output."""


class _Size(click.ParamType[tuple[int, int]]):
    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", str(value))
        if match is None:
            words = f"Expected one side, such as 256, or HEIGHTxWIDTH; found {value!r}."
            self.fail(words, param, ctx)
        height = int(match[1])
        width = int(match[2] or height)
        if min(height, width) < 64 or height % 32 or width % 32:
            words = f"Expected sides that are multiples of 32, at least 64; found {value}."
            self.fail(words, param, ctx)
        return height, width


SIZE = _Size()
"""Input size in pixels: one side, or HEIGHTxWIDTH; multiples of 32, at least 64."""


class _Bytes(click.ParamType[int]):
    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        match = re.fullmatch(r"(\d{1,18}(?:\.\d+)?) ?([kMGT]?)(i?)B?", str(value), re.IGNORECASE)
        if match is None:
            self.fail(f"Expected a size, such as 100MB or 2GB; found {value!r}.", param, ctx)
        power = " kmgt".index(match[2].lower() or " ")
        size = int(float(match[1]) * (1024 if match[3] else 1000) ** power)
        if size < _LEAST_BYTES:
            self.fail(f"Expected at least 100kB; found {value}.", param, ctx)
        return size


BYTES = _Bytes()
"""Size of files, such as 100MB, 1.5GB or 512MiB; at least 100kB."""

_LEAST_BYTES = 100_000


class _Keep(click.ParamType[tuple[str, float]]):
    name = "SIZE|AGE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(min|h|d)", str(value))
        if match is not None:
            seconds = float(match[1]) * {"min": 60.0, "h": 3600.0, "d": 86400.0}[match[2]]
            if not seconds:
                self.fail(f"Expected an age above 0; found {value}.", param, ctx)
            return "most_seconds", seconds
        # A bare number, or "5m", could be a size or an age.
        if not re.search(r"B$", str(value), re.IGNORECASE):
            words = "Expected a size, such as 2GB, or an age, such as 90min, 12h or 7d"
            self.fail(f"{words}; found {value!r}.", param, ctx)
        return "most_bytes", BYTES.convert(value, param, ctx)


KEEP = _Keep()
"""Limit on kept files: a total size, or an age in minutes, hours or days. The value is the name of
an argument of ``ClipFolder``, and its value in bytes or seconds."""


class NameType(click.ParamType[str]):
    """A choice among names, some of which packages may add.

    Args:
        names: Names to show. A registry has the names that packages add, so they are read only when
            they are shown.
        named: Function that returns the name for a word, or None; by default every name stands for
            itself.
        first: Names to show before the others.
    """

    name = "choice"

    def __init__(
        self,
        names: Collection[str],
        named: Callable[[str], str | None] | None = None,
        *,
        first: tuple[str, ...] = (),
    ) -> None:
        self._names = names
        self._named = named or (lambda word: word if word in first or word in names else None)
        self._first = first

    @property
    def choices(self) -> tuple[str, ...]:
        """Names to show."""
        return (*self._first, *self._names)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Returns the names as ``click.Choice`` shows them."""
        return f"[{listed(self.choices, '|')}]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Returns the name that a word stands for."""
        found = self._named(str(value))
        if found is None:
            near = difflib.get_close_matches(str(value).lower(), self.choices, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            self.fail(f"{value!r} is not one of {listed(self.choices)}.{hint}", param, ctx)
        return found

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Returns the names that begin with the incomplete word."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in self.choices if name.startswith(incomplete)]


TARGET = NameType(TARGETS, target_named)
"""Target by name, or by its runtime's or format's name: ``tensorrt`` means ``jetson``."""

RUNTIME = NameType(RUNTIMES, runtime_named)
"""Runtime by name, or by its target's name: ``onnx`` means ``onnxruntime``."""

DATASET = NameType(DATASETS)
"""Layout of a dataset by name."""

LINK = click.Choice(LINKS)
"""Linker by name."""

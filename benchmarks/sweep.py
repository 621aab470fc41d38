"""Parses the settings of a sweep, and exports the bundles for its combinations.

Settings for running a bundle (``runtime``, ``threads``, ``arithmetic``) give rows for any bundle.
Settings of the bundle itself (``target``, ``precision``, ``size``, ``cascade``) need the
checkpoint, which bundles do not contain. One bundle is then exported for each combination.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit._parameters import parameter
from edgekit.calibration.store import Store
from edgekit.errors import MissingDependencyError, UsageError
from edgekit.targets.choices import ARITHMETICS, PRECISIONS
from edgekit.targets.registry import RUNTIMES, TARGETS, runtime_named, target_named

__all__ = ["Sweep", "export_all", "read_sweep"]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Values to try for each setting; an empty tuple means the default.

    Attributes:
        runtime: Names in ``edgekit.targets.registry.RUNTIMES``.
        threads: Numbers of threads for inference.
        arithmetic: Types of arithmetic: ``f32``, ``f16`` or ``bf16``.
        target: Names in ``edgekit.targets.registry.TARGETS``.
        precision: Precisions: ``fp32`` or ``fp16``.
        size: Input sizes as (height, width), in pixels.
        cascade: Places of the cascade: ``host`` or ``graph``.
    """

    runtime: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    arithmetic: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    precision: tuple[str, ...] = ()
    size: tuple[tuple[int, int], ...] = ()
    cascade: tuple[str, ...] = ()

    @property
    def exports(self) -> bool:
        """Whether it needs exported bundles."""
        return bool(self.target or self.precision or self.size or self.cascade)


def _one_of(*names: str) -> Callable[[str], str]:
    def check(word: str) -> str:
        if word not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return word

    return check


def _named(names: Iterable[str], named: Callable[[str], str | None]) -> Callable[[str], str]:
    def check(word: str) -> str:
        found = named(word)
        if found is None:
            raise ValueError(f"one of {', '.join(names)}")
        return found

    return check


def _count(word: str) -> int:
    if not word.isdecimal():
        raise ValueError("a number of threads, 0 for the runtime's own choice")
    return int(word)


def _size(word: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,4})(?:x(\d{2,4}))?", word)
    size = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if any(side < 64 or side % 32 for side in size):
        raise ValueError("SIDE or HEIGHTxWIDTH, multiples of 32, at least 64")
    return size


_KINDS: dict[str, Callable[[str], Any]] = {
    "runtime": _named(RUNTIMES, runtime_named),
    "threads": _count,
    "arithmetic": _one_of(*ARITHMETICS),
    "target": _named(TARGETS, target_named),
    "precision": _one_of(*PRECISIONS),
    "size": _size,
    "cascade": _one_of("host", "graph"),
}


def read_sweep(texts: Sequence[str]) -> Sweep:
    """Parses ``NAME=VALUE,VALUE...``; the values of repeated names are combined.

    Raises:
        UsageError: There is no such setting, or the setting has no such value.
    """
    found: dict[str, dict[Any, None]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if name not in _KINDS or not equals:
            raise UsageError(
                f"Expected {parameter('sweep')} as SETTING=VALUE,VALUE, where SETTING is one of "
                f"{', '.join(_KINDS)}; found {text!r}.",
                hint=_example(),
            )
        for word in values.split(","):
            try:
                found.setdefault(name, {})[_KINDS[name](word.strip())] = None
            except ValueError as error:
                more = ""
                if (name, word) == ("precision", "int8"):
                    more = " Make it with edgekit quantize, and name its bundle."
                raise UsageError(
                    f"{parameter('sweep')} {name} takes {error}; found {word!r}.",
                    hint=f"{_example()}.{more}",
                ) from error
    return Sweep(**{name: tuple(values) for name, values in found.items()})


def _example() -> str:
    examples = (parameter("sweep", "threads=1,2"), parameter("sweep", "size=192,256"))
    return f"For example {' '.join(examples)}"


def export_all(
    sweep: Sweep,
    checkpoint: Path,
    store: Store,
    progress: Callable[[str], None] = lambda note: None,
) -> list[Path]:
    """Exports a verified bundle for each combination; existing bundles are kept.

    Args:
        sweep: Targets, precisions, sizes and places of the cascade.
        checkpoint: A .pth or .safetensors file.
        store: Store that keeps the bundles.
        progress: Function called with the name of each bundle.

    Raises:
        MissingDependencyError: A package for the export is not installed.
        UsageError: A combination is not possible.
        EdgeKitError: The checkpoint is invalid, or the export failed; see ``export_bundle``.
    """
    MissingDependencyError.unless("torch", "host", "A sweep over bundles")
    from edgekit.models.checkpoints import load_checkpoint
    from edgekit.quantization.frames import exported
    from edgekit.targets.registry import exporter
    from edgekit.targets.settings import ExportSettings, resolve

    loaded = load_checkpoint(checkpoint)
    bundles = []
    for target, precision, size, cascade in itertools.product(
        sweep.target or ("onnx",),
        sweep.precision or ("fp32",),
        sweep.size or (None,),
        sweep.cascade or ("auto",),
    ):
        settings = ExportSettings(precision=precision, input_size=size, cascade_in=cascade)
        # Names do not depend on the settings left out, so that earlier reports have equal rows.
        chosen = resolve(settings, loaded, checkpoint, exporter(target))
        made, place = chosen.input, chosen.cascade.place
        side = str(made.height) if made.height == made.width else f"{made.height}x{made.width}"
        name = f"{chosen.name}-{side}-{place}-{target}-{precision}"
        progress(name)
        settings = replace(settings, cascade_in=place)
        bundles.append(exported(checkpoint, target, store, settings, name))
    return bundles

"""Settings to be measured against each other: what ``--sweep`` says, and the bundles that it takes.

How a bundle is run (``runtime``, ``threads``, ``arithmetic``) makes rows of any bundle. What a
bundle is (``target``, ``precision``, ``size``, ``cascade``) needs the checkpoint, which no bundle
holds: then one is exported for each combination.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.calibration.store import Store
from edgekit.errors import MissingDependencyError, UsageError
from edgekit.targets.registry import RUNTIMES, TARGETS, runtime_named, target_named

__all__ = ["Sweep", "export_all", "read_sweep"]

_EXAMPLE = "For example --sweep threads=1,2 --sweep size=192,256"


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to try of each setting; nothing means the usual one.

    Attributes:
        runtime: Names of ``edgekit.targets.registry.RUNTIMES``.
        threads: Numbers of them.
        arithmetic: ``f32``, ``f16`` or ``bf16``.
        target: Names of ``edgekit.targets.registry.TARGETS``.
        precision: ``fp32`` or ``fp16``.
        size: (height, width) of the input.
        cascade: ``host`` or ``graph``: where it runs.
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
        """Whether bundles have to be made for it."""
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
    if found is None:
        raise ValueError("SIDE or HxW, multiples of 32")
    return int(found[1]), int(found[2] or found[1])


_KINDS: dict[str, Callable[[str], Any]] = {
    "runtime": _named(RUNTIMES, runtime_named),
    "threads": _count,
    "arithmetic": _one_of("f32", "f16", "bf16"),
    "target": _named(TARGETS, target_named),
    "precision": _one_of("fp32", "fp16"),
    "size": _size,
    "cascade": _one_of("host", "graph"),
}


def read_sweep(texts: Sequence[str]) -> Sweep:
    """Reads ``NAME=VALUE,VALUE...``; what is named several times is put together.

    Raises:
        UsageError: There is no such setting, or it cannot have such a value.
    """
    found: dict[str, dict[Any, None]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if name not in _KINDS or not equals:
            raise UsageError(
                f"--sweep takes SETTING=VALUE,VALUE with a setting out of {', '.join(_KINDS)}; "
                f"found {text!r}.",
                mend=_EXAMPLE,
            )
        for word in values.split(","):
            try:
                found.setdefault(name, {})[_KINDS[name](word.strip())] = None
            except ValueError as error:
                more = ""
                if (name, word) == ("precision", "int8"):
                    more = " Make it with edgekit quantize, and name its bundle."
                raise UsageError(
                    f"--sweep {name} takes {error}; found {word!r}.", mend=f"{_EXAMPLE}.{more}"
                ) from error
    return Sweep(**{name: tuple(values) for name, values in found.items()})


def export_all(
    sweep: Sweep,
    checkpoint: Path,
    store: Store,
    progress: Callable[[str], None] = lambda note: None,
) -> list[Path]:
    """A verified bundle of a checkpoint for each combination; those that are there stay.

    Args:
        sweep: Of targets, precisions, sizes and places of the cascade.
        checkpoint: A .pth or .safetensors.
        store: Where they are kept.
        progress: Told the name of each.

    Raises:
        MissingDependencyError: A package that exports is not installed.
        UsageError: A combination cannot be.
        EdgeKitError: The checkpoint is none, or the export failed; see ``export_bundle``.
    """
    MissingDependencyError.unless("torch", "host", "A sweep over bundles")
    from edgekit.models.checkpoints import load_checkpoint
    from edgekit.quantization.gather import exported
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
        # The same names whatever was left out, so that an earlier report has the same rows.
        chosen = resolve(settings, loaded, checkpoint, exporter(target))
        made, place = chosen.input, chosen.cascade.place
        side = str(made.height) if made.height == made.width else f"{made.height}x{made.width}"
        name = f"{chosen.name}-{side}-{place}-{target}-{precision}"
        progress(name)
        settings = replace(settings, cascade_in=place)
        bundles.append(exported(checkpoint, target, store, settings, name))
    return bundles

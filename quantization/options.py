"""Defines the options of a quantization, checked when they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit._checks import check_choice, check_range
from edgekit._options import check_files, check_types
from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.executors.opening import check_executor
from edgekit.quantization.choices import DYNAMIC, IOS, METHODS
from edgekit.targets.bundle_choice import Named
from edgekit.targets.registry import check_target

__all__ = ["QuantizeOptions"]


# Many attributes: one for each argument of ``quantize``, as users know them.
@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeOptions:
    """Options of a quantization, checked; ``edgekit.quantize`` documents them.

    Raises:
        UsageError: An option has a value of the wrong type or out of range, or contradicts another.
    """

    calib: Path | None
    bundle: Named = None
    target: str | None = None
    annotations: Path | None = None
    samples: int = 128
    method: str | None = None
    io: str = "float"
    max_drop: float = 1.0
    keep_float: Sequence[str] = ()
    sensitivity: bool = False
    seed: int = 0
    workers: int = 1
    cluster: str | None = None
    out: Path | None = None
    force: bool = False
    sheet: Path | None = None
    html: Path | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_target(self.target)
        check_range("samples", self.samples, 2)
        check_choice("method", self.method, (*METHODS, DYNAMIC))
        check_choice("io", self.io, IOS)
        check_range("max_drop", self.max_drop, 0)
        check_range("seed", self.seed, 0)
        check_range("workers", self.workers, 1)
        check_executor(self.workers, self.cluster)
        check_files({"sheet": self.sheet, "html": self.html}, (self.calib,))
        if isinstance(self.bundle, Path) and self.target is not None:
            raise UsageError(
                f"A named bundle and {parameter('target')} cannot be used together.",
                hint="Leave one of them out.",
            )

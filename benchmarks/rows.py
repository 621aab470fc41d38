"""Plans the rows of a benchmark: bundles, runtimes and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._printable import as_unicode
from edgekit.assets import default_bundle
from edgekit.benchmarks.report.report import Row
from edgekit.bundle import MANIFEST, Bundle, load_bundle
from edgekit.errors import UsageError
from edgekit.files.reading import real_path
from edgekit.targets.registry import runtimes_of, session_class

__all__ = ["RowPlan", "plan_rows", "shipped_bundles"]


@dataclass(frozen=True, slots=True)
class RowPlan:
    """One planned row.

    Attributes:
        bundle: Folder of the bundle.
        row: Row with the fields that are known before the measurement.
    """

    bundle: Path
    row: Row


def shipped_bundles() -> list[Path]:
    """Returns the folders of all bundles that ship with EdgeKit."""
    folders = default_bundle().parent.iterdir()
    return sorted(folder for folder in folders if (folder / MANIFEST).is_file())


def plan_rows(
    bundles: Sequence[Path],
    *,
    runtimes: Sequence[str] = (),
    threads: Sequence[int] = (),
    arithmetic: Sequence[str] = (),
) -> list[RowPlan]:
    """Returns a row for every bundle on each of its runtimes in every setting.

    Args:
        bundles: Folders of the bundles.
        runtimes: Names of the runtimes to use; by default all runtimes of the bundle's target.
        threads: Numbers of threads, one row each; by default 0, which lets the runtime choose.
        arithmetic: Types of arithmetic, one row each, if the runtime has a choice; by default the
            bundle's own.

    Raises:
        BundleError: A folder is not a bundle, or the target of a bundle is unknown.
        UsageError: No bundle runs on any of ``runtimes``, or none has a choice of arithmetic.
    """
    folders = list(dict.fromkeys(real_path(path) for path in bundles))
    loaded = [load_bundle(path) for path in folders]
    labels = _labels(folders)
    plans = []
    for bundle in loaded:
        label = labels[bundle.path]
        for runtime in runtimes_of(bundle):
            if runtimes and runtime not in runtimes:
                continue
            kinds = arithmetic if arithmetic and _has_arithmetic(bundle, runtime) else (None,)
            plans += [
                RowPlan(bundle.path, _row(bundle, label, runtime, count, kind))
                for count in threads or (0,)
                for kind in kinds
            ]
    if not plans:
        raise UsageError(
            f"None of the bundles runs on {', '.join(runtimes)}.",
            hint=f"Leave out {parameter('runtime')}, or name a bundle for it.",
        )
    if arithmetic and not any(plan.row.arithmetic for plan in plans):
        raise UsageError(
            f"{parameter('arithmetic')} is {', '.join(arithmetic)}, but no runtime of these "
            "bundles supports this setting.",
            hint=f"Leave out {parameter('arithmetic')}, or name a bundle for OpenVINO or ncnn.",
        )
    return plans


def _labels(folders: Sequence[Path]) -> dict[Path, str]:
    """Returns each bundle's label: the folder's name, or its path if others have that name too.

    A shipped bundle keeps its name, by which earlier reports identify it.
    """
    shipped = {real_path(path) for path in shipped_bundles()}
    names = [path.name for path in folders]
    here = Path.cwd()
    labels = {
        path: path.name
        if names.count(path.name) == 1 or path in shipped
        else str(path.relative_to(here) if path.is_relative_to(here) else path)
        for path in folders
    }
    return {path: as_unicode(label) for path, label in labels.items()}


def _has_arithmetic(bundle: Bundle, runtime: str) -> bool:
    return "arithmetic" in session_class(bundle.manifest.target, runtime).takes


def _row(bundle: Bundle, label: str, runtime: str, threads: int, arithmetic: str | None) -> Row:
    manifest = bundle.manifest
    return Row(
        bundle=label,
        sha256=bundle.sha256,
        target=manifest.target,
        precision=manifest.precision,
        input=(manifest.input.height, manifest.input.width),
        cascade=f"{manifest.cascade.kind}, {manifest.cascade.place}",
        size=bundle.size,
        runtime=runtime,
        threads=threads,
        arithmetic=arithmetic,
    )

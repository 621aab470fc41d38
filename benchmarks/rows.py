"""Which bundles are measured on which runtimes, in which settings."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit._installed import install_line
from edgekit.assets import default_bundle
from edgekit.benchmarks.report import Row
from edgekit.bundle import MANIFEST, Bundle, load_bundle
from edgekit.errors import BundleError, UsageError
from edgekit.targets.base import Session
from edgekit.targets.registry import RUNTIMES, TARGETS

__all__ = ["Plan", "plan_rows", "runtimes_of", "shipped_bundles"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One row to come.

    Attributes:
        bundle: Its folder.
        row: What is known of it before it is measured.
    """

    bundle: Path
    row: Row


def shipped_bundles() -> list[Path]:
    """The folders of all bundles that ship with EdgeKit."""
    folders = default_bundle().parent.iterdir()
    return sorted(folder for folder in folders if (folder / MANIFEST).is_file())


def plan_rows(
    bundles: Sequence[Path],
    *,
    runtimes: Sequence[str] = (),
    threads: Sequence[int] = (),
    arithmetic: Sequence[str] = (),
) -> list[Plan]:
    """Every bundle on each of its runtimes in every setting.

    Args:
        bundles: Folders.
        runtimes: Only these; by default all that the bundle's target knows.
        threads: One row for each; 0, which lets the runtime choose, if there are none.
        arithmetic: Likewise, where the runtime has a choice; the bundle's own if there is none.

    Raises:
        BundleError: A folder is no bundle.
        UsageError: No bundle runs on any of ``runtimes``, or none has a choice of arithmetic.
    """
    folders = list(dict.fromkeys(path.resolve() for path in bundles))
    loaded = [load_bundle(path) for path in folders]
    labels = _labels(folders)
    plans = []
    for bundle in loaded:
        label = labels[bundle.path]
        for runtime in runtimes_of(bundle):
            if runtimes and runtime not in runtimes:
                continue
            kinds = arithmetic if arithmetic and _has_arithmetic(runtime) else (None,)
            plans += [
                Plan(bundle.path, _row(bundle, label, runtime, count, kind))
                for count in threads or (0,)
                for kind in kinds
            ]
    if not plans:
        raise UsageError(
            f"None of the bundles runs on {', '.join(runtimes)}.",
            mend="Leave --runtime away, or name a bundle for it.",
        )
    if arithmetic and not any(plan.row.arithmetic for plan in plans):
        raise UsageError(
            f"--arithmetic is {', '.join(arithmetic)}; no runtime of these bundles has a choice.",
            mend="Leave --arithmetic away, or name an OpenVINO bundle.",
        )
    return plans


def _labels(folders: Sequence[Path]) -> dict[Path, str]:
    """What rows call each bundle: its folder's name, or its place where others have that name too.

    A shipped bundle keeps its name, by which earlier reports know it.
    """
    shipped = {path.resolve() for path in shipped_bundles()}
    names = [path.name for path in folders]
    here = Path.cwd()
    return {
        path: path.name
        if names.count(path.name) == 1 or path in shipped
        else str(path.relative_to(here) if path.is_relative_to(here) else path)
        for path in folders
    }


def _has_arithmetic(runtime: str) -> bool:
    session: type[Session] = importlib.import_module(RUNTIMES[runtime]).Session
    return "arithmetic" in session.takes


def runtimes_of(bundle: Bundle) -> tuple[str, ...]:
    """Names of the runtimes that run a bundle, the usual one first.

    Raises:
        BundleError: Its target is not known here.
    """
    target = bundle.manifest.target
    if target not in TARGETS:
        raise BundleError(
            f"{bundle.path} is for the target {target}, which this EdgeKit does not know.",
            mend=f"Upgrade EdgeKit: {install_line(upgrade=True)}",
        )
    return TARGETS[target].runtimes


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

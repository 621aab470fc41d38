"""Which bundle a command takes: the one that is named, or else the newest that EdgeKit wrote here.

``edgekit export`` and ``edgekit quantize`` write into ``artifacts/`` of the current folder unless
told otherwise. A command without a bundle looks there, and takes a shipped bundle where nothing
fits. The word ``shipped`` names the shipped bundle in any case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.targets.base import SessionOptions

__all__ = ["BUNDLE", "SHIPPED", "Named", "all_here", "newest", "runnable", "shipped_bundle", "take"]

_LOG = logging.getLogger(__name__)
_MOST_TOLD = 10


class _Shipped:
    """The word ``shipped``."""

    def __repr__(self) -> str:
        return "shipped"


SHIPPED: Final = _Shipped()
"""What ``BUNDLE`` makes of the word ``shipped``; a folder of that name is ``./shipped``."""

Named: TypeAlias = Path | _Shipped | None
"""A bundle as a command gets it; None where none is named."""


class _BundleType(click.Path):
    name = "bundle"

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The folder, or ``SHIPPED``."""
        if value is SHIPPED or value == repr(SHIPPED):
            return SHIPPED
        return super().convert(value, param, ctx)


BUNDLE = _BundleType()
"""The type of an option or argument that names a bundle."""


def take(
    named: Named,
    *,
    what: str,
    another: str,
    fits: Callable[[Bundle], bool],
    shipped: Callable[[], Bundle] | None = None,
) -> Bundle:
    """The bundle that a command works on; one line tells which, unless it was named.

    Args:
        named: What the user named.
        what: The kind that is looked for, as in "the newest float bundle in artifacts/".
        another: How to name another one, as in "--bundle FOLDER or --bundle shipped".
        fits: Whether the command can work on a bundle. False passes over it in silence, an
            ``EdgeKitError`` is told as the reason for skipping it.
        shipped: Loads the shipped bundle of the command; by default the one that ``run`` takes.

    Raises:
        BundleError: The named folder is no sound bundle.
    """
    from edgekit.bundle import load_bundle

    if isinstance(named, Path):
        return _told(load_bundle(named))
    load_shipped = shipped or shipped_bundle
    if named is SHIPPED:
        return _told(load_shipped())
    found = newest(fits)
    if found is not None:
        _LOG.warning("Using %s, the newest %s. To use another: %s.", found.path, what, another)
        return _told(found)
    found = load_shipped()
    _LOG.warning("Using the shipped bundle %s. To use another: %s.", found.path.name, another)
    return _told(found)


def _told(bundle: Bundle) -> Bundle:
    """Tells with ``-v`` what a bundle is; returns it."""
    manifest, count = bundle.manifest, len(bundle.manifest.files)
    _LOG.info("Read %s and the checksums of its %d files.", bundle.path, count)
    size = f"{manifest.input.height}x{manifest.input.width}"
    parts = (manifest.name, manifest.target, manifest.precision, size, bundle.sha256[:12])
    _LOG.info("It is %s for %s, %s, input %s, SHA-256 %s...", *parts)
    return bundle


def newest(fits: Callable[[Bundle], bool]) -> Bundle | None:
    """The newest bundle in ``artifacts/`` that fits, as ``take`` looks for it; None without one."""
    return next(_fitting(fits), None)


def all_here(fits: Callable[[Bundle], bool]) -> list[Bundle]:
    """All bundles in ``artifacts/`` that fit, the newest first."""
    return list(_fitting(fits))


def shipped_bundle() -> Bundle:
    """The shipped bundle that ``edgekit run`` takes where there is no other."""
    from edgekit.assets import default_bundle
    from edgekit.bundle import load_bundle

    return load_bundle(default_bundle())


def runnable(options: Callable[[Bundle], SessionOptions]) -> Callable[[Bundle], bool]:
    """What asks for a bundle that this machine can run.

    Args:
        options: How a bundle would be run.
    """

    def fits(bundle: Bundle) -> bool:
        from edgekit.targets.registry import check_runtime

        check_runtime(bundle, options(bundle).runtime)
        return True

    return fits


def _fitting(fits: Callable[[Bundle], bool]) -> Iterator[Bundle]:
    """The bundles here that fit, newest first; tells which were skipped on the way, and why."""
    from edgekit.bundle import load_bundle
    from edgekit.errors import EdgeKitError

    skipped: list[str] = []
    for folder in _folders():
        try:
            bundle = load_bundle(folder)
            found = fits(bundle)
        except (EdgeKitError, OSError) as error:
            reason = str(getattr(error, "message", None) or error)
            for name, short in ((f"{folder}/", ""), (f"{folder}: ", ""), (f"{folder} ", "it ")):
                reason = reason.replace(name, short)
            skipped.append(f"{folder}: {reason}")
            continue
        if found:
            _tell(skipped)
            skipped = []
            yield bundle
    _tell(skipped)


def _tell(skipped: list[str]) -> None:
    for line in skipped[:_MOST_TOLD]:
        _LOG.warning("Skipped %s", line)
    if len(skipped) > _MOST_TOLD:
        _LOG.warning("Skipped %d more.", len(skipped) - _MOST_TOLD)


def _folders() -> list[Path]:
    """The folders in ``artifacts/``, those first whose manifest was written last."""
    from edgekit.bundle import ARTIFACTS

    try:
        found = [path for path in ARTIFACTS.iterdir() if path.name[0] != "." and path.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        _LOG.warning("Skipped %s: %s", ARTIFACTS, error.strerror or error)
        return []
    return sorted(found, key=lambda path: (-_written(path), path.name))


def _written(folder: Path) -> int:
    """When a bundle was written, in nanoseconds; its folder's time where it has no manifest."""
    from edgekit.bundle import MANIFEST

    for path in (folder / MANIFEST, folder):
        try:
            return path.stat().st_mtime_ns
        except OSError:
            continue
    return 0

"""Selects the bundle of a command: the named one, or the newest that EdgeKit wrote here.

``edgekit export`` and ``edgekit quantize`` write to ``artifacts/`` in the current folder by
default. A command without a bundle searches there, and takes a shipped bundle if none fits.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from edgekit._checks import required_path
from edgekit._parameters import parameter, writes_flags

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.targets.base import SessionOptions

__all__ = [
    "SHIPPED",
    "Named",
    "all_here",
    "another_bundle",
    "as_bundle",
    "as_bundles",
    "bundle_named",
    "runnable",
    "shipped_bundle",
    "take",
]

_LOG = logging.getLogger(__name__)
_MOST_NAMED = 10


class Shipped:
    """Value that stands for the word ``shipped``."""

    def __repr__(self) -> str:
        return "shipped"


SHIPPED: Final = Shipped()
"""Names the bundle that EdgeKit ships."""

Named: TypeAlias = Path | Shipped | None
"""Bundle that the user named; None if there is none."""


def bundle_named(bundle: Named | str) -> Named:
    """Returns the bundle that text names: ``shipped``, or the path of a folder."""
    if not isinstance(bundle, str):
        return bundle
    return SHIPPED if bundle == repr(SHIPPED) else Path(bundle)


def another_bundle(command: str) -> str:
    """Returns how to name another bundle to a command, or to the function that works like it."""
    if writes_flags():
        return f"edgekit {command} BUNDLE or edgekit {command} {SHIPPED}"
    return f"{parameter('bundle', 'FOLDER')} or {parameter('bundle', repr(SHIPPED))}"


def as_bundle(name: str, value: Bundle | str | os.PathLike[str] | None) -> Named:
    """Returns a bundle that is given as such, as its folder, or as text for ``bundle_named``.

    Args:
        name: Name of the parameter, for the error.
        value: Value that the caller gave.

    Raises:
        UsageError: The value is neither a bundle nor a path.
    """
    return None if value is None else _named(name, value)


def as_bundles(
    name: str,
    value: Bundle | str | os.PathLike[str] | Sequence[Bundle | str | os.PathLike[str]],
) -> tuple[Named, ...]:
    """Returns one bundle or a sequence of bundles as a tuple, each as ``as_bundle`` does.

    Args:
        name: Name of the parameter, for the error.
        value: Value that the caller gave.

    Raises:
        UsageError: A bundle is neither a bundle nor a path.
    """
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple(_named(name, each) for each in many)


def _named(name: str, value: object) -> Path | Shipped:
    from edgekit.bundle import Bundle

    if isinstance(value, Bundle):
        return value.path
    return (
        SHIPPED if isinstance(value, str) and value == repr(SHIPPED) else required_path(name, value)
    )


def take(
    named: Named,
    *,
    what: str,
    another: str,
    fits: Callable[[Bundle], bool],
    shipped: Callable[[], Bundle] | None = None,
    require_signature: str | Path | None = None,
) -> Bundle:
    """Returns the bundle that a command works on; a log line names it unless the user did.

    Args:
        named: Bundle that the user named.
        what: Kind of the bundle, as in "the newest float bundle in artifacts/".
        another: Ways to name another bundle, as in "--bundle FOLDER or --bundle shipped".
        fits: Function that returns whether the command can use a bundle. False skips a bundle
            silently; an ``EdgeKitError`` skips it and is logged as the reason.
        shipped: Function that loads the command's shipped bundle. The default loads the one of
            ``edgekit run``.
        require_signature: File of public keys, one of which must have signed the bundle, the
            shipped one too; None for no check.

    Raises:
        BundleError: The named folder is not a valid bundle.
        SignatureError: The bundle is not signed by one of the keys.
    """
    from edgekit.bundle import load_bundle

    def load_shipped() -> Bundle:
        found = (shipped or shipped_bundle)()
        if require_signature is None:
            return found
        return load_bundle(found.path, require_signature=require_signature)

    if isinstance(named, Path):
        return _logged(load_bundle(named, require_signature=require_signature))
    if named is SHIPPED:
        return _logged(load_shipped())
    found = next(_fitting(fits, require_signature), None)
    if found is not None:
        _LOG.warning("Using %s, the newest %s. To use another: %s.", found.path, what, another)
        return _logged(found)
    found = load_shipped()
    _LOG.warning("Using the shipped bundle %s. To use another: %s.", found.path.name, another)
    return _logged(found)


def _logged(bundle: Bundle) -> Bundle:
    """Logs a description of the bundle, shown with ``-v``, and returns the bundle."""
    manifest, count = bundle.manifest, len(bundle.manifest.files)
    _LOG.info("Read %s and the checksums of its %d files.", bundle.path, count)
    size = f"{manifest.input.height}x{manifest.input.width}"
    parts = (manifest.name, manifest.target, manifest.precision, size, bundle.sha256[:12])
    _LOG.info("It is %s for %s, %s, input %s, SHA-256 %s...", *parts)
    return bundle


def all_here(fits: Callable[[Bundle], bool]) -> list[Bundle]:
    """Returns all bundles in ``artifacts/`` that fit, newest first."""
    return list(_fitting(fits))


def shipped_bundle() -> Bundle:
    """Returns the shipped bundle, which ``edgekit run`` takes if there is no other."""
    from edgekit.assets import default_bundle
    from edgekit.bundle import load_bundle

    return load_bundle(default_bundle())


def runnable(options: Callable[[Bundle], SessionOptions]) -> Callable[[Bundle], bool]:
    """Returns a function that returns whether this machine can run a bundle.

    Args:
        options: Function that returns the session options for a bundle.
    """

    def fits(bundle: Bundle) -> bool:
        from edgekit.targets.registry import check_runtime

        check_runtime(bundle, options(bundle).runtime)
        return True

    return fits


def _fitting(
    fits: Callable[[Bundle], bool], require_signature: str | Path | None = None
) -> Iterator[Bundle]:
    """Yields the fitting bundles, newest first, and logs which were skipped and why."""
    from edgekit.bundle import load_bundle
    from edgekit.errors import EdgeKitError

    skipped: list[str] = []
    for folder in _folders():
        try:
            bundle = load_bundle(folder, require_signature=require_signature)
            found = fits(bundle)
        except (EdgeKitError, OSError) as error:
            reason = str(getattr(error, "message", None) or error)
            for name, short in ((f"{folder}/", ""), (f"{folder}: ", ""), (f"{folder} ", "it ")):
                reason = reason.replace(name, short)
            skipped.append(f"{folder}: {reason}")
            continue
        if found:
            _log_skipped(skipped)
            skipped = []
            yield bundle
    _log_skipped(skipped)


def _log_skipped(skipped: list[str]) -> None:
    for line in skipped[:_MOST_NAMED]:
        _LOG.warning("Skipped %s", line)
    if len(skipped) > _MOST_NAMED:
        _LOG.warning("Skipped %d more bundles.", len(skipped) - _MOST_NAMED)


def _folders() -> list[Path]:
    """Returns the folders in ``artifacts/``, most recently written manifest first."""
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
    """Returns the time of a bundle's manifest in nanoseconds; its folder's time without one."""
    from edgekit.bundle import MANIFEST

    for path in (folder / MANIFEST, folder):
        try:
            return path.stat().st_mtime_ns
        except OSError:
            continue
    return 0

"""Reads versions and metadata of installed packages, without waiting for pipes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.files.reading import read_regular
from edgekit.system.telemetry import import_onnxruntime, import_without_reports

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["installed_versions", "metadata_text", "version_of"]

_MOST_BYTES = 1 << 22


def metadata_text(distribution: Distribution, name: str) -> str:
    """Returns the content of a file of metadata, such as ``entry_points.txt``; empty if missing.

    Raises:
        OSError: The file cannot be read, is not regular, or is larger than 4 MiB.
        UnicodeDecodeError: The file is no text.
    """
    # importlib.metadata has no public name for the folder. Packages in archives have no Path.
    folder = getattr(distribution, "_path", None)
    if not isinstance(folder, Path):
        return distribution.read_text(name) or ""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return read_regular(folder / name, _MOST_BYTES).decode()
    return ""


def version_of(name: str) -> str:
    """Returns the version of a distribution, or of its module if another one installed that.

    ONNX Runtime has a distribution for each kind of hardware, such as onnxruntime-gpu. OpenVINO's
    archive has no metadata.

    Args:
        name: Name of the distribution, which is also that of the module but for its hyphens.

    Raises:
        PackageNotFoundError: Neither is installed.
    """
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    try:
        return version(name)
    except PackageNotFoundError:
        module = name.replace("-", "_")
        with contextlib.suppress(Exception):  # an incomplete package can fail in any way
            # An import changes the finders of all threads for a moment, also of what is missing.
            if find_spec(module) is not None:
                known = name == "onnxruntime"
                found = import_onnxruntime() if known else import_without_reports(module)
                return str(found.__version__)
        raise


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Returns the version of each distribution that is installed, as ``version_of`` does."""
    from importlib.metadata import PackageNotFoundError

    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version_of(name)
    return found

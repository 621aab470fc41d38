"""What ``edgekit run --check`` looks at beyond opening the source and the bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgekit._files import output_error
from edgekit.cli._outputs import FILES

__all__ = ["check_outputs"]


def check_outputs(options: dict[str, Any]) -> None:
    """Raises where an output could not be written, without writing it.

    Args:
        options: Of ``edgekit.cli._outputs.output_options``.

    Raises:
        OutputError: The place of a file is no folder, or may not be written.
    """
    for name in FILES:
        if options[name] and options[name] != "-":
            _check_place(Path(options[name]))


def _check_place(path: Path) -> None:
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:  # it would be made
        folder = folder.parent
    if path.is_dir():
        raise output_error(IsADirectoryError(0, "it is a folder"), path)
    if not folder.is_dir():
        raise output_error(NotADirectoryError(0, f"{folder} is no folder"), path)
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise output_error(PermissionError(13, "Permission denied"), path)

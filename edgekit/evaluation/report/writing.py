"""Writes the report of an evaluation to a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgekit._printable import as_unicode
from edgekit.evaluation.report.page import to_html
from edgekit.files.writing import atomic_file
from edgekit.metrics.eval_result import EvalResult

__all__ = ["write_report"]


def write_report(path: Path, result: EvalResult) -> None:
    """Writes the report of an evaluation that was analysed, by the ending of the file's name.

    A page (``.html``) has tables and plots. JSON (``.json``) is what ``edgekit eval --json``
    prints, and ``analysis``, the fields of ``edgekit.metrics.analysis.records.Analysis``.

    Raises:
        OutputError: The file cannot be written, or the disk is full.
    """
    if path.suffix.lower() == ".html":
        content = to_html(result, path.parent).encode()
    else:
        found = msgspec.to_builtins({**result.to_dict(), "analysis": result.analysis})
        content = msgspec.json.format(msgspec.json.encode(as_unicode(found)), indent=1)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)

"""The sink ``tally``: counts the tubes of each class."""

import json
from collections import Counter
from pathlib import Path

from edgekit import Sink, Tube
from edgekit.errors import UsageError
from edgekit.pipeline.results import RunInfo, RunSummary


class TallySink(Sink):
    """Writes a JSON file of class names and numbers of tubes at the end of the run.

    Args:
        value: Path of the file: what follows the colon in ``--sink tally:FILE``.
        source_index: Index of the source; None if the run has only one.
    """

    def __init__(self, value: str, source_index: int | None = None) -> None:
        if not value:
            raise UsageError("The sink tally needs a file: --sink tally:FILE")
        self._path = Path(value)
        if source_index is not None:
            self._path = self._path.with_stem(f"{self._path.stem}-{source_index}")

    def start(self, info: RunInfo) -> None:
        self._classes = info.classes
        self._tubes: Counter[str] = Counter()

    def tube(self, tube: Tube) -> None:
        self._tubes[self._classes[tube.label]] += 1

    def end(self, summary: RunSummary) -> None:
        self._path.write_text(json.dumps(self._tubes))

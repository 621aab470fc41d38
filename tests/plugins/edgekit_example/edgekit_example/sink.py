"""The sink ``tally``: counts the tubes of each class."""

import json
from collections import Counter
from pathlib import Path

from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.results import RunInfo, RunSummary
from edgekit.runtime.types import Tube


class TallySink(Sink):
    """Writes a JSON file of class names and numbers of tubes at the end of the run.

    Args:
        argument: What follows the colon in ``tally:FILE``.
        source_index: Index of the source; None if the run has only one.
    """

    def __init__(self, argument: str, source_index: int | None = None) -> None:
        self._path = Path(argument if source_index is None else f"{source_index}-{argument}")
        self._classes: tuple[str, ...] = ()
        self.tubes: Counter[str] = Counter()

    def start(self, info: RunInfo) -> None:
        self._classes = info.classes

    def tube(self, tube: Tube) -> None:
        self.tubes[self._classes[tube.label]] += 1

    def end(self, summary: RunSummary) -> None:
        self._path.write_text(json.dumps(self.tubes))

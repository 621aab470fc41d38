"""Renders clips for calibration, for users who have no footage of their own."""

from __future__ import annotations

from pathlib import Path

from edgekit._progress import SILENT, Progress
from edgekit.calibration.store import Store, key_of
from edgekit.synthetic.dataset import write_dataset

__all__ = ["rendered_clips"]

_FRAMES = 60
_CALIBRATING = range(7000, 7010)
_EVALUATION = range(7100, 7108)


def rendered_clips(store: Store, progress: Progress = SILENT) -> tuple[Path, Path]:
    """Returns two folders of rendered clips with annotations: for calibration and for evaluation.

    Args:
        store: Store that keeps the clips, so that they are rendered only once.
        progress: Progress display, called for each finished clip.

    Raises:
        OutputError: The store cannot be written.
    """
    first, second = (_rendered(store, seeds, progress) for seeds in (_CALIBRATING, _EVALUATION))
    return first, second


def _rendered(store: Store, seeds: range, progress: Progress) -> Path:
    def make(folder: Path) -> None:
        progress.phase("rendering clips", len(seeds))
        on_video = lambda name: progress.advance()  # noqa: E731
        write_dataset(folder, seeds, frames=_FRAMES, force=True, progress=on_video)

    key = key_of(_FRAMES, list(seeds))
    return store.folder("rendered", key, make)

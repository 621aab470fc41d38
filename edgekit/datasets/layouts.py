"""Finds the reader of a dataset by the name of its layout; imports it only when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgekit.system.plugins import Registry

if TYPE_CHECKING:
    from edgekit.datasets.annotations import Truth

__all__ = ["DATASETS", "PARTS", "WITHOUT_SPLITS", "DatasetReader"]

PARTS = ("all", "test", "train")
"""Parts of a dataset that a tool takes."""


class DatasetReader(Protocol):
    """Function that reads a dataset of one layout."""

    def __call__(self, root: Path, *, split: int, part: str) -> Truth:
        """Returns the ground truth of the videos in one part of the dataset.

        Args:
            root: Folder of the dataset.
            split: Number of the split, from 1. EdgeKit asks its own layouts without splits for 1
                only; another layout without splits ignores it.
            part: ``test`` or ``train``. A layout without parts ignores it; another one returns it
                as ``Truth.part``.

        Raises:
            AnnotationError: A file is missing or does not have the layout.
        """


DATASETS: Registry[DatasetReader] = Registry(
    "edgekit.datasets",
    {
        "json": "edgekit.datasets.annotations:read_folder",
        "ucf24": "edgekit.datasets.published:read_ucf24",
        "jhmdb21": "edgekit.datasets.published:read_jhmdb21",
        "jhmdb21-mat": "edgekit.datasets.published:read_jhmdb21_mat",
        "moc": "edgekit.datasets.readers.tube_pickles:read_tube_pickle",
        "yowo": "edgekit.datasets.readers.yowo:read_yowo",
        "ava": "edgekit.datasets.readers.ava:read_ava",
        "coco-video": "edgekit.datasets.readers.coco_video:read_coco_video",
        "cvat": "edgekit.datasets.readers.cvat:read_cvat",
        "label-studio": "edgekit.datasets.readers.label_studio:read_label_studio",
        "datumaro": "edgekit.datasets.readers.datumaro:read_datumaro",
    },
    callable,
    "a function that reads a dataset",
)
"""Readers by the name that ``--dataset`` takes."""

WITHOUT_SPLITS = ("json", "ava", "coco-video", "cvat", "label-studio", "datumaro")
"""EdgeKit's own layouts that have no numbered splits."""

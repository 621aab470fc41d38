"""Converts results to and from ``supervision.Detections``, without a dependency on that package."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import numpy as np

from edgekit._checks import unexpected
from edgekit.errors import MissingDependencyError, UsageError
from edgekit.runtime.rows import Array

__all__ = ["SupervisionDetections", "column", "columns", "made"]


class SupervisionDetections(Protocol):
    """Attributes of ``supervision.Detections`` that EdgeKit reads.

    Attributes:
        xyxy: Boxes ``[x1, y1, x2, y2]`` in pixels, (n, 4).
        confidence: Scores, (n,).
        class_id: Class indices, (n,).
        tracker_id: Ids of tubes, (n,); None for detections.
        data: Further columns of n values, by name.
    """

    xyxy: Array
    confidence: Array | None
    class_id: Array | None
    tracker_id: Array | None
    data: Mapping[str, Array]


def made(
    boxes: Array,
    scores: Array,
    labels: Array,
    names: Sequence[str],
    ids: Array | None = None,
    **more: Array,
) -> SupervisionDetections:
    """Returns a ``supervision.Detections`` with one row for each box.

    Args:
        boxes: Boxes in pixels, (n, 4).
        scores: Scores, (n,).
        labels: Class indices, (n,).
        names: Class names, by class index; empty if they are not known.
        ids: Ids of tubes, (n,).
        more: Further columns (n,), by name.

    Raises:
        MissingDependencyError: The package supervision is not installed.
    """
    try:
        supervision = importlib.import_module("supervision")
    except ImportError as error:
        raise MissingDependencyError(
            "This conversion needs the package 'supervision', which is not installed.",
            hint="Run: pip install supervision",
        ) from error
    data = dict(more)
    if names:
        data["class_name"] = np.array(names, np.str_)[labels]
    found = supervision.Detections(
        xyxy=np.asarray(boxes, np.float32).reshape(-1, 4),
        confidence=np.asarray(scores, np.float32),
        class_id=np.asarray(labels, np.int64),
        tracker_id=ids,
        data=data,
    )
    return cast(SupervisionDetections, found)


def columns(found: SupervisionDetections, classes: int) -> tuple[Array, Array, Array]:
    """Returns boxes (n, 4), scores (n,) and class indices (n,) of a ``supervision.Detections``.

    Args:
        found: Object with ``xyxy``, ``confidence`` and ``class_id``.
        classes: Number of classes.

    Raises:
        UsageError: One of them is missing or does not fit.
    """
    boxes = getattr(found, "xyxy", None)
    if not isinstance(boxes, np.ndarray) or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise unexpected("xyxy", "an array (n, 4)", boxes)
    scores, labels = (column(found, name, len(boxes)) for name in ("confidence", "class_id"))
    if labels.dtype.kind not in "iu" or ((labels < 0) | (labels >= classes)).any():
        raise UsageError(
            f"Expected class_id to be whole numbers from 0 to {classes - 1}; found "
            f"{np.unique(labels).tolist()}."
        )
    return boxes.astype(np.float32), scores.astype(np.float32), labels


def column(found: SupervisionDetections, name: str, count: int) -> Array:
    """Returns a column of a ``supervision.Detections``.

    Raises:
        UsageError: The column is missing, or has not ``count`` numbers.
    """
    values = getattr(found, name, None)
    if isinstance(values, np.ndarray) and values.shape == (count,) and values.dtype.kind in "iuf":
        return values
    raise unexpected(name, f"an array of {count} numbers", values)

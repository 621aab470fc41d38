"""Gives annotations another list of classes, matched by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.errors import AnnotationError

__all__ = ["in_classes_of", "in_one_list"]


def in_classes_of(classes: Sequence[str], truth: Truth, owner: str = "bundle") -> Truth:
    """Returns the ground truth with its labels as indices into ``classes``, matched by name.

    Args:
        classes: Class names.
        truth: Ground truth; returned as it is if it has these classes already.
        owner: What has the classes, for the error.

    Raises:
        AnnotationError: An annotated class is not in ``classes``.
    """
    if truth.classes == list(classes):
        return truth
    index = {name: number for number, name in enumerate(classes)}
    used = {tube.label for video in truth.videos for tube in video.tubes}
    unknown = [truth.classes[label] for label in sorted(used) if truth.classes[label] not in index]
    if unknown:
        raise AnnotationError(
            f"The annotations have classes that the {owner} does not know: {', '.join(unknown)}. "
            f"It knows: {', '.join(classes)}.",
            hint=f"Use a {owner} with these classes, or annotations without them.",
        )
    labels = [index.get(name, -1) for name in truth.classes]

    def relabelled(video: VideoTruth) -> VideoTruth:
        tubes = [replace(tube, label=labels[tube.label]) for tube in video.tubes]
        label = None if video.label is None else labels[video.label]
        return replace(video, tubes=tubes, label=label)

    return replace(truth, classes=list(classes), videos=[relabelled(one) for one in truth.videos])


def in_one_list(truths: Sequence[Truth]) -> list[Truth]:
    """Returns annotations with one list of classes: all that they have, in their order."""
    if all(truth.classes == truths[0].classes for truth in truths):
        return list(truths)
    classes = list(dict.fromkeys(name for truth in truths for name in truth.classes))
    return [in_classes_of(classes, truth) for truth in truths]

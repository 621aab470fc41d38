"""HOST. Lists the input settings of published CenterNet models, which checkpoints do not record.

The values are those of the published code, https://github.com/xingyizhou/CenterNet: the classes in
``src/lib/datasets/dataset/coco.py`` and ``pascal.py``, and ``readme/MODEL_ZOO.md``.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit._parameters import parameter, writes_flags
from edgekit.classes import CLASS_LISTS

__all__ = ["MEAN", "STD", "TrainedInput", "trained_input", "warn_of_assumed"]

_LOG = logging.getLogger(__name__)

MEAN = (0.40789654, 0.44719302, 0.47026115)
"""Mean of the B, G and R channels: the values of KORSAL and CenterNet."""

STD = (0.28863828, 0.27408164, 0.27809835)


@dataclass(frozen=True, slots=True)
class TrainedInput:
    """Input that the models of a family were trained with.

    Attributes:
        size: Height and width in pixels.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        family: Key of ``CLASS_LISTS`` for CenterNet's models of a dataset of pictures; empty for
            others.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    family: str = ""


_OTHERS = TrainedInput((256, 256))
_COCO = TrainedInput((512, 512), family="coco")

# CenterNet's code applies these values of R, G and B to B, G and R, and its weights fit that.
_VOC = TrainedInput((384, 384), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), family="voc")

_VOC_LARGE = "_512"
"""End of the names of the published VOC models that were trained at 512x512."""


def trained_input(classes: Sequence[str], channels: int, name: str) -> TrainedInput:
    """Returns the input that a network was most likely trained with.

    Args:
        classes: Class names of the network.
        channels: Number of its input channels; CenterNet's models have 3.
        name: Name of the checkpoint's file, without its suffix.
    """
    if channels == 3 and tuple(classes) == CLASS_LISTS["coco"]:
        return _COCO
    if channels == 3 and tuple(classes) == CLASS_LISTS["voc"]:
        return replace(_VOC, size=(512, 512)) if name.endswith(_VOC_LARGE) else _VOC
    return _OTHERS


def warn_of_assumed(path: Path, trained: TrainedInput, names: Collection[str]) -> None:
    """Logs the values that are assumed of a model of a family, in one line.

    Args:
        path: Path of the checkpoint.
        trained: Input of the family.
        names: Names of the parameters whose value is assumed; without any, nothing is logged.
    """
    values = {
        "classes": trained.family,
        "input_size": trained.size[0],
        "mean": _three(trained.mean),
        "std": _three(trained.std),
    }
    if names:
        assumed = (parameter(name, value) for name, value in values.items() if name in names)
        _warn_once(path, trained.family.upper(), ", ".join(assumed))


@functools.cache
def _warn_once(path: Path, family: str, values: str) -> None:
    """Logs the line once for a checkpoint, whose export may measure several forms of a layer."""
    _LOG.warning(
        "%s looks like a CenterNet model of %s. EdgeKit uses the settings of the published models: "
        "%s. If it was trained with others, state them.",
        path,
        family,
        values,
    )


def _three(values: tuple[float, float, float]) -> object:
    """Returns a value for each channel as it is given to the parameter, in three digits."""
    rounded = tuple(round(value, 3) for value in values)
    return " ".join(map(str, rounded)) if writes_flags() else rounded

"""Saves bundles with small networks of two classes, which are made by hand."""

from __future__ import annotations

from pathlib import Path

from edgekit.bundle import (
    Bundle,
    CascadeSpec,
    DecodeSpec,
    InputSpec,
    Manifest,
    OutputSpec,
    Provenance,
    save_bundle,
)

__all__ = ["HEADS", "save_small_bundle"]

HEADS = {"hm": "logits", "wh": "size", "reg": "offset"}
"""Meanings of the network's outputs, by their names; each has two channels."""


def save_small_bundle(
    folder: Path,
    model: Path,
    *,
    name: str,
    side: int = 64,
    classes: tuple[str, str] = ("spot", "nothing"),
    interval: float = 0.04,
) -> Bundle:
    """Saves and returns the bundle of an ONNX model, whose pictures need no normalization.

    Args:
        folder: Folder of the bundle, which is made.
        model: ONNX file with the input (1, 6, side, side) and the outputs ``HEADS``.
        name: Name of the bundle.
        side: Height and width of the input, in pixels.
        classes: Names of the classes.
        interval: Seconds between the two pictures that the cascade compares.
    """
    manifest = Manifest(
        name=name,
        arch="lite0",
        classes=classes,
        target="onnx",
        precision="fp32",
        model="model.onnx",
        input=InputSpec(height=side, width=side, mean=(0, 0, 0), std=(1, 1, 1)),
        cascade=CascadeSpec(interval=interval),
        outputs=tuple(
            OutputSpec(name=head, meaning=meaning, layout="NCHW", channels=2)
            for head, meaning in HEADS.items()
        ),
        decode=DecodeSpec(top_k=5),
        provenance=Provenance(checkpoint="", checkpoint_sha256="", edgekit="0", date="2026-01-01"),
    )
    return save_bundle(folder, manifest, {"model.onnx": model})

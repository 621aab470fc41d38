"""Describes a bundle: its manifest, its files and what the network is made of."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from edgekit.errors import EdgeKitError
from edgekit.targets.registry import exporter

if TYPE_CHECKING:
    from edgekit.bundle import Bundle, Manifest
    from edgekit.bundle.signing.verification import SignatureReport

__all__ = ["BundleReport", "TensorRtReport", "inspect_bundle"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TensorRtReport:
    """Report on whether TensorRT accepts a bundle, with the command that builds its engine.

    Attributes:
        verdict: Sentence that says whether its ONNX parser accepts the network.
        refused: The nodes that it does not accept; None if they were not checked.
        trtexec: NVIDIA's command that builds the engine.
    """

    verdict: str
    refused: tuple[str, ...] | None
    trtexec: str


@dataclass(frozen=True, slots=True)
class BundleReport:
    """Report of ``edgekit inspect`` about a bundle.

    Attributes:
        path: Path of its folder.
        sha256: SHA-256 checksum of its content.
        size: Size of its files, in bytes.
        operators: Number of nodes by the operator's name, most frequent first; None if the network
            cannot be read here.
        manifest: Its manifest.
        signature: What its signature says; None if it is not signed.
        tensorrt: What TensorRT makes of it; None unless it is for ``jetson``.
        not_counted: Reason why ``operators`` is None; empty if it is not.
    """

    path: str
    sha256: str
    size: int
    operators: dict[str, int] | None
    manifest: Manifest
    signature: SignatureReport | None
    tensorrt: TensorRtReport | None
    not_counted: str

    def to_json(self) -> dict[str, object]:
        """Returns what ``edgekit inspect --json`` prints."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        del content["not_counted"]
        return {name: value for name, value in content.items() if name != "tensorrt" or value}


def inspect_bundle(bundle: Bundle) -> BundleReport:
    """Returns what there is to know about a bundle."""
    from edgekit.bundle.signing.verification import signature_report

    operators, not_counted = None, ""
    try:
        _LOG.info("Counting the operators of %s", bundle.model_path)
        operators = exporter(bundle.manifest.target).operators(bundle.model_path)
    except EdgeKitError as error:
        not_counted = f"{error.message} {error.hint}".strip()
    return BundleReport(
        path=str(bundle.path),
        sha256=bundle.sha256,
        size=bundle.size,
        operators=operators,
        manifest=bundle.manifest,
        signature=signature_report(bundle),
        tensorrt=_tensorrt(bundle) if bundle.manifest.target == "jetson" else None,
        not_counted=not_counted,
    )


def _tensorrt(bundle: Bundle) -> TensorRtReport:
    from edgekit.targets.jetson.checker import check
    from edgekit.targets.jetson.engine import trtexec_command

    refused: tuple[str, ...] | None = None
    try:
        refused = tuple(map(str, check(bundle.model_path)))
        verdict = "accepted, by the tables of its ONNX parser"
        if refused:
            nodes = "node is" if len(refused) == 1 else "nodes are"
            verdict = f"{len(refused)} {nodes} not accepted: {'; '.join(refused)}"
    except EdgeKitError as error:
        verdict = f"not checked: {error.hint or error.message}"
    return TensorRtReport(verdict, refused, trtexec_command(bundle))

"""Prints what an export measured and recorded in the manifest of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekit._printable import plural, printable
from edgekit.cli.output.tables import print_table

if TYPE_CHECKING:
    from rich.console import Console

    from edgekit.bundle import Bundle

__all__ = ["lowering_line", "print_verification"]


def print_verification(console: Console, bundles: Sequence[Bundle]) -> None:
    """Prints the measured differences between PyTorch and the written files."""
    rows: list[Sequence[str] | None] = []
    for bundle in bundles:
        found = bundle.manifest.verification
        title = f"{bundle.manifest.target} {bundle.manifest.precision}"
        if bundle.manifest.chip:
            title += f", {printable(bundle.manifest.chip)}"
        if found is not None and found.simulator:
            title += ", simulated"
        if found is None:
            rows.append((title, "not verified", "", "", "", ""))
            continue
        for name, head in found.heads.items():
            share = head.max_difference / head.largest if head.largest else 0.0
            figures = (f"{share:.1e}", f"{found.tolerance:.0e}", f"{head.cosine:.6f}")
            rows.append((title, name, *figures, f"{found.top_detections_agreeing:.3f}"))
            title = ""
        rows.append(None)
    print_table(
        console,
        ("bundle", "output", "differs by", "allowed", "cosine", "same boxes"),
        rows[:-1] if rows and rows[-1] is None else rows,
        words=2,
    )
    frames = sum(b.manifest.verification.frames for b in bundles if b.manifest.verification)
    console.print(
        "Differences are shares of an output's largest value, and same boxes is the share of the "
        f"top boxes that agree, on {frames} {plural('frame', frames)}."
    )
    if any(b.manifest.verification and b.manifest.verification.simulator for b in bundles):
        console.print("Simulated results are from the vendor's simulator, not from its hardware.")


def lowering_line(bundle: Bundle) -> str:
    """Returns a sentence on the measured forms of deformable convolutions; empty without any."""
    times = bundle.manifest.provenance.lowerings
    if not times:
        return ""
    measured = ", ".join(f"{form} {ms:.2f} ms" for form, ms in times.ms.items())
    refused = "".join(f", {form} refused" for form in times.refused)
    return f"{times.chosen}, of {measured}{refused} on {times.runtime}"

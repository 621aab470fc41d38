"""Defines the command ``edgekit inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit._printable import plural, printable, printable_struct
from edgekit.cli.options.bundles import BUNDLE, require_signature
from edgekit.cli.options.shared import common_options, emit_json, stdout_console
from edgekit.targets.bundle_choice import Named, another_bundle, take

if TYPE_CHECKING:
    from edgekit.bundle import Bundle, CascadeSpec, Quantization
    from edgekit.bundle.signing.verification import SignatureReport
    from edgekit.measuring.operator_times import OperatorTimes
    from edgekit.measuring.peak import Peak
    from edgekit.targets.inspection import BundleReport

__all__ = ["command"]

_PLACES = {"host": "outside the model", "graph": "in the model"}
"""Words for the place of the cascade and of the decoding."""


@click.command(name="inspect")
@click.argument("bundle", type=BUNDLE, required=False)
@click.option(
    "--operators",
    is_flag=True,
    help="Run the model too, and show the time of each operator and layer, with the runtime's "
    "profiler, and the peak of this machine. edgekit bench --operators does so for several "
    "bundles, runtimes and threads.",
)
@require_signature
@common_options
def command(bundle: Named, operators: bool, require_signature: Path | None, as_json: bool) -> None:
    """Show the model, inputs, classes, files and signature of a bundle.

    BUNDLE is a folder, or 'shipped' for the shipped bundle. By default it is the newest bundle in
    artifacts/, or the shipped one if there is none. EdgeKit verifies the checksum of every file.

    Example: edgekit inspect artifacts/korsal-lite0-ucf24-onnx-fp32
    """
    from edgekit.targets.inspection import inspect_bundle

    loaded = take(
        bundle,
        what="bundle in artifacts/",
        another=another_bundle("inspect"),
        fits=lambda _: True,
        require_signature=require_signature,
    )
    report = inspect_bundle(loaded)
    profiled = None
    if operators:
        from edgekit.benchmarks.operators import profile_bundle

        profiled = profile_bundle(loaded)
    if as_json:
        more = {"profile": profiled[0], "peak": profiled[1]} if profiled else {}
        emit_json(report.to_json() | more)
        return
    _show(loaded, report)
    if profiled:
        _show_profile(*profiled)


def _show(bundle: Bundle, report: BundleReport) -> None:
    from edgekit.cli.output.tables import KEPT, print_facts
    from edgekit.cli.output.verification import lowering_line, print_verification

    manifest = printable_struct(bundle.manifest)
    made, cascade, decode, origin = (
        manifest.input,
        manifest.cascade,
        manifest.decode,
        manifest.provenance,
    )
    quantization = manifest.quantization
    quantized, loss = "", {}
    if quantization is not None:
        quantized = f", {quantization.method} on {quantization.samples} samples"
        loss = _loss(quantization)
    if report.operators is None:
        counted = f"not counted: {report.not_counted}"
    else:
        names = {printable(name): count for name, count in report.operators.items()}
        counted = ", ".join(f"{count} {name}" for name, count in names.items()) or "unknown"
    tensorrt = {}
    if report.tensorrt is not None:
        tensorrt = {"TensorRT": report.tensorrt.verdict, "trtexec": report.tensorrt.trtexec}
    opset = f", opset {manifest.opset}" if manifest.opset is not None else ""
    facts = {
        "name": f"{manifest.name} ({manifest.arch})",
        "target": f"{manifest.target}{opset}",
        **({"chip": manifest.chip} if manifest.chip else {}),
        "precision": f"{manifest.precision}{quantized}",
        **loss,
        "input": f"{made.height}x{made.width} {made.colour_order}, {made.letterbox}, "
        f"mean {_numbers(made.mean)}, std {_numbers(made.std)}",
        "cascade": f"{cascade.kind}, {_interval(cascade)}, first frame "
        f"{cascade.first_frame}, {_PLACES[cascade.place]}",
        "outputs": ", ".join(f"{out.name} {out.layout}" for out in manifest.outputs),
        "decode": f"top {decode.top_k}, stride {decode.stride}, {_PLACES[decode.place]}",
        "classes": f"{len(manifest.classes)}: "
        + ", ".join(name.replace(" ", KEPT) for name in manifest.classes),
        "operators": counted,
        **({"deformable": lowering_line(bundle)} if lowering_line(bundle) else {}),
        **tensorrt,
        "made with": ", ".join(f"{k} {v}" for k, v in manifest.converter.items()),
        "from": f"{origin.checkpoint}, SHA-256 {origin.checkpoint_sha256}, by EdgeKit "
        f"{origin.edgekit} on {origin.date}",
        "SHA-256": bundle.sha256,
        "signature": _signature(report.signature),
        "size": f"{bundle.size / 1e6:.2f} MB",
        **{f"  {entry.path}": f"{entry.size} bytes, {entry.sha256}" for entry in manifest.files},
    }
    console = stdout_console()
    print_facts(console, list(facts.items()))
    if quantization is None:
        print_verification(console, [bundle])


def _signature(found: SignatureReport | None) -> str:
    if found is None:
        return "none"
    if found.fingerprint is None:
        return f"not valid: {printable(found.reason)}"
    state = {True: "valid", False: "not valid", None: "not verified"}[found.valid]
    until = f"expires after {found.expires}" if found.expires else "does not expire"
    reason = f": {printable(found.reason)}" if found.reason else ""
    return f"{found.fingerprint}, of {found.signed}, {until}; {state}{reason}"


def _show_profile(times: OperatorTimes, peak: Peak | None) -> None:
    from edgekit.benchmarks.report.operator_tables import profile_grids
    from edgekit.cli.output.tables import print_grid

    for grid in profile_grids(times, peak, "this bundle"):
        print_grid(stdout_console(), grid)


def _loss(made: Quantization) -> dict[str, str]:
    """Returns table rows that describe the loss caused by rounding."""
    kept = ", ".join(made.kept_float) or "nothing that could be quantized"
    rows = {"stays float": kept}
    if made.check is not None:
        check = made.check
        truth = "" if check.annotated else " of the float model's own detections"
        # A model that decodes its heads itself does not show their noise.
        sqnr = ", ".join(f"{head} {decibels:.1f} dB" for head, decibels in check.sqnr.items())
        rows["loss"] = (
            f"frame-mAP@0.5{truth} {check.float_map:.4f} to {check.frame_map:.4f} on "
            f"{check.frames} {plural('frame', check.frames)}; agreement of detections "
            f"{check.agreement:.3f}"
        ) + (sqnr and f"; {sqnr}")
    if made.tubes:
        truth = "" if made.tubes.annotated else " of the float model's own tubes"
        rows["loss of tubes"] = (
            f"video-mAP@0.5{truth} {made.tubes.float_map:.4f} to {made.tubes.video_map:.4f} on "
            f"{made.tubes.tubes} {plural('tube', made.tubes.tubes)}"
        )
    return rows


def _interval(cascade: CascadeSpec) -> str:
    gap = f"frame gap {cascade.frame_gap}"
    return f"{gap} ({1e3 * cascade.interval:g} ms)" if cascade.interval else gap


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)

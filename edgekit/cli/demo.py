"""Defines the command ``edgekit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.options.bundles import BUNDLE
from edgekit.cli.options.shared import common_options, emit_json, is_quiet
from edgekit.cli.options.types import OUT
from edgekit.cli.output.outcome import INTERRUPTED
from edgekit.targets.bundle_choice import Named

if TYPE_CHECKING:
    from edgekit.demo import DemoResult
    from edgekit.running.report import SourceReport

__all__ = ["command"]


@click.command(name="demo")
@click.option(
    "-o",
    "--out",
    type=OUT,
    default=Path("demo"),
    show_default=True,
    help="Folder to write the video, the events and the picture to.",
)
@click.option(
    "--bundle",
    type=BUNDLE,
    metavar="FOLDER",
    help="Folder of the bundle to run, or 'shipped' for the shipped bundle. [default: the shipped "
    "one, which knows the actions of the clip]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="Seed for rendering another clip. [default: the embedded clip]",
)
@click.option("--force", is_flag=True, help="Replace an earlier demo in the output folder.")
@common_options
def command(out: Path, bundle: Named, seed: int | None, force: bool, as_json: bool) -> int:
    """Run a bundle on a rendered clip, and score it against the clip's known tubes.

    It needs no camera, no display and no network.

    Example: edgekit demo -o demo
    """
    from edgekit.assets import default_bundle
    from edgekit.cli.output.status_line import StatusLine
    from edgekit.cli.running.interrupt import Stopper
    from edgekit.demo import DEMO_SEED, FILES, run_demo
    from edgekit.running.report import SourceReport
    from edgekit.running.sinks import TubeTally

    tally = TubeTally()
    stopper = Stopper()
    seed = DEMO_SEED if seed is None else seed
    result = run_demo(
        bundle if isinstance(bundle, Path) else default_bundle(),
        out,
        seed=seed,
        force=force,
        sinks=lambda: [StatusLine(shown=not is_quiet()).sink(), tally],
        on_start=lambda pipeline: stopper.stopping_with(pipeline.stop),
    )
    report = SourceReport(
        source=f"puppets, seed {seed}",
        bundle=result.bundle,
        error=None,
        summary=result.summary,
        tally=tally,
        source_fps=None,
        sinks=(),
        files={kind: str(out / name) for kind, name in FILES.items()},
    )
    if as_json:
        emit_json(_json_of(report, result))
    else:
        _print(report, result)
    return INTERRUPTED.status if stopper.interrupted else 0


def _json_of(report: SourceReport, result: DemoResult) -> dict[str, object]:
    from edgekit.running.report import summary_json

    accuracy = result.accuracy
    scores = accuracy.to_dict() if accuracy else {}
    truth = [
        {"class": tube.label, "name": result.classes[tube.label], "start": tube.start,
         "end": tube.end}
        for tube in result.truth.tubes
    ]  # fmt: skip
    return {
        "source": report.source,
        "bundle": {"name": report.bundle[0], "sha256": report.bundle[1]},
        **summary_json(report.summary),
        "link": accuracy.link if accuracy else None,
        "frame_map": scores.get("frame_map"),
        "video_map": scores.get("video_map"),
        "truth": truth,
        "tubes_found": report.tally.tubes,
        "tubes": report.tally.best(),
        "files": report.files,
    }


def _print(report: SourceReport, result: DemoResult) -> None:
    from edgekit.cli.options.shared import stdout_console
    from edgekit.cli.output.tables import print_table
    from edgekit.cli.running.report import print_report

    print_report(report, to_stderr=False)
    console = stdout_console()
    print_table(
        console,
        ("truth", "first frame", "last frame"),
        [
            (result.classes[tube.label], str(tube.start), str(tube.end))
            for tube in result.truth.tubes
        ],
        title="what the clip holds",
    )
    if (accuracy := result.accuracy) is None:
        console.print("Interrupted: without the whole clip there is no accuracy.")
        return
    console.print(f"frame-mAP@0.5 {accuracy.frame_map:.3f}", soft_wrap=True)
    at = ", ".join(f"@{threshold} {value:.3f}" for threshold, value in accuracy.video_map.items())
    console.print(f"video-mAP {at} (linker {accuracy.link})", soft_wrap=True)

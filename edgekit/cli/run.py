"""Defines the command ``edgekit run``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from edgekit.cli.options.bundles import BUNDLE, require_signature
from edgekit.cli.options.config import config_option, read_again
from edgekit.cli.options.linking import (
    LINK_HELP,
    delay_options,
    misses_options,
    top_k_option,
)
from edgekit.cli.options.outputs import output_options
from edgekit.cli.options.shared import (
    FiniteRange,
    HeadedCommand,
    build,
    common_options,
    emit_json,
    headed,
    is_quiet,
    session_options,
)
from edgekit.cli.options.sources import input_options, specs_of
from edgekit.cli.options.types import LINK
from edgekit.cli.output.outcome import INTERRUPTED, failure_of
from edgekit.errors import EdgeKitError, UsageError
from edgekit.pipeline.choices import DROP_POLICIES
from edgekit.targets.bundle_choice import SHIPPED

if TYPE_CHECKING:
    from edgekit.cli.running.interrupt import Stopper
    from edgekit.running.options import RunOptions
    from edgekit.running.report import RunReport
    from edgekit.running.source_runs import SourceRuns

__all__ = ["command", "options_of"]

_LOG = logging.getLogger(__name__)


@click.command(name="run", cls=HeadedCommand)
@input_options
@headed(
    "Model",
    click.option(
        "--bundle",
        type=BUNDLE,
        metavar="FOLDER",
        help="Folder of the bundle to run, or 'shipped' for the shipped bundle. [default: the "
        "newest bundle in artifacts/ that runs on this machine, or the shipped one if there "
        "is none]",
    ),
    require_signature,
)
@session_options(
    zero_threads="0 lets the runtime choose. For live sources, and with --realtime, 0 uses the "
    "number that edgekit bench --tune saved for the bundle, unless you give --hint, "
    "--arithmetic, --runtime or --device.",
    no_hint="throughput if no source is live and --realtime is not given, else latency",
)
@headed(
    "Frames",
    click.option(
        "--drop-policy",
        type=click.Choice(DROP_POLICIES),
        help="Frames to drop if the network is slower than the source: all but the newest "
        "(latest), or none. With none, every frame that arrives is processed, and on a live "
        "source (a camera, network stream or GStreamer pipeline) EdgeKit falls behind. "
        "[default: latest for live sources, else none]",
    ),
    click.option(
        "--fps",
        type=FiniteRange(0, min_open=True),
        metavar="N",
        help="Largest number of frames per second to process of each source, taken at even "
        "intervals. The cascade still compares each processed frame with the frame that came "
        "the bundle's interval earlier (edgekit export --interval), even if that one was not "
        "processed. [default: no limit]",
    ),
    click.option(
        "--motion-gate",
        is_flag=True,
        help="Skip inference while nothing moves in a source, except for one frame every three "
        "seconds. It saves about 90% of the CPU time in a still scene, but can miss an "
        "action that changes the picture little. With --link edgekit, tubes go on during a "
        "pause; with another linker, each skipped frame counts as a frame without a "
        "detection.",
    ),
    click.option(
        "--realtime",
        is_flag=True,
        help="Play files no faster than their own frame rate. If the network is slower, the run "
        "takes longer than the file; to drop frames as with a camera, add --drop-policy "
        "latest. Without --realtime, EdgeKit processes files as fast as it can.",
    ),
)
@headed(
    "Tubes",
    click.option(
        "--score",
        type=FiniteRange(0, 1),
        default=0.3,
        show_default=True,
        help="Smallest score of the detections and tubes to report and draw. Linking also uses "
        "detections with lower scores.",
    ),
    top_k_option,
    click.option(
        "--link",
        type=LINK,
        default="edgekit",
        show_default=True,
        help=LINK_HELP,
    ),
)
@misses_options
@headed(
    "Tubes",
    click.option(
        "--min-hits",
        type=click.IntRange(1),
        default=3,
        show_default=True,
        help="Number of detections from which a tube is reported and drawn. Tubes that end with "
        "fewer are never reported.",
    ),
)
@delay_options
@output_options
@headed(
    "Limits",
    click.option(
        "--duration",
        type=FiniteRange(0, min_open=True),
        metavar="SECONDS",
        help="Stop each source after this many seconds of its own time.",
    ),
    click.option(
        "--max-frames",
        type=click.IntRange(1),
        help="Stop each source after this many processed frames.",
    ),
)
@config_option
@click.option(
    "--check",
    is_flag=True,
    help="Open the sources, the bundle and the outputs, report any error, and stop.",
)
@common_options
def command(as_json: bool, check: bool, **values: object) -> int:
    """Find action tubes in a camera, video or folder of pictures.

    CLIP is a video, picture, folder of pictures, URL or GStreamer pipeline; it is short for
    --source CLIP. All clips, sources and cameras run at the same time on one model. They are
    numbered from 0: first CLIPs, then --source, then --camera, each in the order given. Without
    any, camera 0 runs. Sources on the command line replace those in a --config file. Ctrl-C ends
    the run, and EdgeKit writes the results found so far.

    Example: edgekit run clip.mp4 --events events.jsonl --video annotated.mp4
    """
    if as_json and values["events"] == "-":
        raise UsageError(
            "--json and '--events -' both write to standard output.",
            hint="Write the events to a file: --events FILE",
        )
    options = options_of(click.get_current_context(), values)
    from edgekit.cli.running.interrupt import Stopper

    stopper = Stopper()
    with stopper.listening():
        if check:
            from edgekit.cli.running.check import print_check

            print_check(options, as_json)
            return 0
        report = _run(options, stopper)
        _show(report, as_json, to_stderr=values["events"] == "-")
    if stopper.interrupted:
        return INTERRUPTED.status
    return report.error.exit_status if report.error else 0


def options_of(context: click.Context, values: Mapping[str, object]) -> RunOptions:
    """Returns the checked options of a run.

    Args:
        context: Context of the command; its parameters name the sources.
        values: Values of the parameters, by name.

    Raises:
        UsageError: A value is out of range, or two values contradict each other.
    """
    from edgekit.media.sources.source import SourceOptions
    from edgekit.running.options import FrameOptions, RunOptions, TubeOptions
    from edgekit.running.output_options import ClipOptions, FileOptions, NetworkOptions

    keeps = cast("tuple[tuple[str, float], ...]", values["clips_keep"])
    limits: dict[str, object] = dict(keeps)
    if len(limits) < len(keeps):
        raise UsageError(
            "--clips-keep was given twice as a size, or twice as an age.",
            hint="Give it at most once as a size and once as an age.",
        )
    clips = {name: values[f"clip_{name}"] for name in ("before", "after")}
    clips = {"folder": values["clips"], **clips, **limits}
    source = context.get_parameter_source("token")
    if source is click.core.ParameterSource.ENVIRONMENT and not values["serve"]:
        values = {**values, "token": None}  # a variable may be set for all runs of a machine
    groups = {
        "sources": tuple(specs_of(context)),
        "reading": build(SourceOptions, values),
        "frames": build(FrameOptions, values),
        "tubes": build(TubeOptions, values),
        "files": build(FileOptions, {**values, "clips": build(ClipOptions, clips)}),
        "network": build(NetworkOptions, values),
    }
    return build(RunOptions, {**values, **groups})


def _run(options: RunOptions, stopper: Stopper) -> RunReport:
    """Runs until the end or a signal, and shows the progress in one line of the terminal."""
    from edgekit.cli.output.status_line import StatusLine
    from edgekit.running.run import run
    from edgekit.system.memory import share_heap

    share_heap()
    context = click.get_current_context()
    line = StatusLine(shown=not is_quiet())

    def on_start(runs: SourceRuns) -> None:
        stopper.stop_with(runs.stop, partial(_read_again, context, runs))

    say = partial(click.echo, err=True)
    return run(options, sinks=lambda: [line.sink()], on_start=on_start, say=say)


def _show(report: RunReport, as_json: bool, *, to_stderr: bool) -> None:
    """Prints the result of a run."""
    from edgekit.cli.running.report import print_report, print_reports

    if as_json:
        shown, error = report.to_json(), report.error
        emit_json({**shown, "error": failure_of(error)._asdict()} if error else shown)
    elif len(report.sources) > 1:
        print_reports(report, to_stderr=to_stderr)
    else:
        print_report(report.sources[0], report.cpu_quota, to_stderr=to_stderr)


def _read_again(context: click.Context, runs: SourceRuns) -> None:
    """Reads thresholds and bundle again; a faulty options file changes nothing."""
    from edgekit.assets import default_bundle
    from edgekit.running.options import TubeOptions

    runs.announce_reload()
    try:
        found = read_again(context, "score", "min_hits", "bundle")
        bundle = None if found is None else found.pop("bundle", None)
        folder = default_bundle() if bundle is SHIPPED else bundle
    except EdgeKitError as error:
        _LOG.warning("Nothing was changed. %s", error.message)
        return
    runs.change_bundle(folder if isinstance(folder, Path) else None)
    if found is not None:
        tubes = build(TubeOptions, found)
        runs.show_from(score=tubes.score, min_hits=tubes.min_hits)
        _LOG.warning(
            "A tube counts if its score is at least %(score)g and it has %(min_hits)d detections.",
            found,
        )

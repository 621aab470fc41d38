"""Defines the command ``edgekit run``."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from edgekit._printable import printable
from edgekit.cli.options.bundles import BUNDLE
from edgekit.cli.options.config import config_option, read_again
from edgekit.cli.options.linking import delay_options, misses_options
from edgekit.cli.options.outputs import files_of, options_of, output_options
from edgekit.cli.options.shared import (
    FiniteRange,
    HeadedCommand,
    common_options,
    emit_json,
    headed,
    session_options,
)
from edgekit.cli.options.sources import input_options, reading_of, source_files, specs_of
from edgekit.cli.options.types import LINK
from edgekit.cli.output.outcome import failure_of
from edgekit.errors import UsageError
from edgekit.targets.bundle_choice import runnable, take

if TYPE_CHECKING:
    from edgekit.cli.running.runs import Runs
    from edgekit.cli.running.sink_factory import SinkMaker
    from edgekit.media import Source
    from edgekit.targets.base import SessionOptions

__all__ = ["command"]

_LOG = logging.getLogger(__name__)


@click.command(name="run", cls=HeadedCommand)
@input_options
@headed(
    "Model",
    click.option(
        "--bundle",
        type=BUNDLE,
        metavar="FOLDER",
        help="Bundle to run, or 'shipped' for the shipped one. [default: the newest in "
        "artifacts/ that runs on this machine, else the shipped one]",
    ),
)
@session_options
@headed(
    "Frames",
    click.option(
        "--drop-policy",
        type=click.Choice(["latest", "none"]),
        help="Frames to drop if the network is slower than the source: all but the newest "
        "(latest), or none, so that every frame is processed. [default: latest for live "
        "sources, else none]",
    ),
    click.option(
        "--fps",
        type=FiniteRange(0, min_open=True),
        metavar="N",
        help="Largest number of frames per second to process of each source, taken at even "
        "intervals. The motion channels still compare each with the picture at the "
        "trained interval before it. [default: no limit]",
    ),
    click.option(
        "--motion-gate",
        is_flag=True,
        help="Pause inference while nothing moves in a source, except for one frame every "
        "three seconds; the linker edgekit keeps its tubes meanwhile. EdgeKit learns the "
        "noise of each source in its first seconds.",
    ),
    click.option(
        "--realtime",
        is_flag=True,
        help="Read files at their own frame rate, as a camera gives its frames.",
    ),
)
@headed(
    "Tubes",
    click.option(
        "--score",
        type=FiniteRange(0, 1),
        default=0.3,
        show_default=True,
        help="Smallest score of the detections and tubes to report and draw. Linking uses "
        "lower detections too.",
    ),
    click.option(
        "--top-k",
        type=click.IntRange(1),
        help="Largest number of detections per frame. [default: the bundle's own, usually 50]",
    ),
    click.option(
        "--link",
        type=LINK,
        default="edgekit",
        show_default=True,
        help="Linker that joins detections into tubes: EdgeKit's own (edgekit) or one from "
        "KORSAL's code. road is KORSAL's edit of ROAD's linker, not ROAD's original.",
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
        help="Number of detections after which a tube is reported.",
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
def command(session: SessionOptions, as_json: bool, **options: Any) -> int:
    """Find action tubes in a camera, video or folder of pictures.

    CLIP is a video, picture, folder, URL or GStreamer pipeline; it is short for --source CLIP. All
    clips, sources and cameras run at the same time on one model, numbered from 0: first clips, then
    sources, then cameras. Without any, camera 0 runs. Sources on the command line replace those in
    a --config file. Ctrl-C ends the run, and EdgeKit writes the results found so far.

    Example: edgekit run clip.mp4 --events events.jsonl --video annotated.mp4
    """
    specs = specs_of(click.get_current_context())
    of_each = [options_of(options, number, len(specs)) for number in range(len(specs))]
    _check(as_json, specs, of_each)
    from edgekit.cli.running.interrupt import Stopper
    from edgekit.cli.running.report import print_report, print_reports
    from edgekit.cli.running.runs import Runs
    from edgekit.cli.running.sink_factory import SinkMaker
    from edgekit.detector import Detector
    from edgekit.files.output_paths import refuse_unwritable
    from edgekit.media.sources.absent import AbsentSource
    from edgekit.media.sources.staged_opening import StagedOpening
    from edgekit.targets.profile import tuned_options

    asked = session
    stopper = Stopper()
    maker = SinkMaker(options, stopper.stop, sources=len(specs))
    with contextlib.ExitStack() as stack:
        stack.enter_context(stopper.listening())
        opening = stack.enter_context(
            StagedOpening(specs, reading_of(options), all_or_none=options["all_or_none"])
        )
        bundle = take(
            options["bundle"],
            what="bundle in artifacts/ that runs on this machine",
            another="--bundle FOLDER or --bundle shipped",
            fits=runnable(lambda bundle: tuned_options(bundle, asked)),
        )
        session = tuned_options(bundle, asked)
        if session.hint is None and not options["realtime"] and not opening.live:
            # A profile's number of threads is tuned for single frames.
            session = replace(session, hint="throughput", threads=asked.threads)
        detector = Detector(bundle, options=session, top_k=options["top_k"])
        stack.enter_context(detector)
        sources = opening.complete()
        for source in sources:
            if not isinstance(source, AbsentSource):
                _LOG.info("Opened %s", _facts(source))
        sampled = "--fps" if options["fps"] is not None else ""
        sampled = sampled or ("--motion-gate" if options["motion_gate"] else "")
        if detector.remembers and sampled:
            raise UsageError(
                f"{sampled} needs a bundle that says how much time lies between the two pictures "
                f"that its network compares, and {bundle.path} does not.",
                hint=f"Export the model again with this EdgeKit, or leave {sampled} out.",
            )
        if detector.remembers and any(source.live for source in sources):
            _LOG.warning(
                "The bundle %s does not say how much time lies between the two pictures that its "
                "network compares. After each dropped frame it compares with none. A bundle that "
                "this EdgeKit exports says it.",
                bundle.path,
            )
        runs = Runs(sources, detector, maker, of_each)
        if options["check"]:
            for path in (path for own in of_each for path in files_of(own).values()):
                refuse_unwritable(path)
            runs.check()
            _say_sound(as_json, sources, bundle.manifest.name)
            return 0
        stopper.stop_with(runs.stop, partial(_read_again, click.get_current_context(), runs, maker))
        for own in of_each:
            for name, path in files_of(own).items():
                _LOG.info("Writing %s to %s", name.replace("_", " "), path)
        runs.run()
        report, error = runs.report(), runs.error
    if as_json:
        emit_json({**report, "error": asdict(failure_of(error))} if error else report)
    elif "sources" in report:
        print_reports(report, to_stderr=options["events"] == "-")
    else:
        print_report(report, to_stderr=options["events"] == "-")
    return 130 if stopper.interrupted else error.exit_status if error else 0


def _say_sound(as_json: bool, sources: list[Source], bundle: str) -> None:
    from edgekit.media.sources.absent import AbsentSource

    found = [
        {
            "source": source.name,
            "width": source.width,
            "height": source.height,
            "fps": round(source.fps, 3),
            "live": source.live,
            "bundle": bundle,
            **({"error": source.error.message} if isinstance(source, AbsentSource) else {}),
        }
        for source in sources
    ]
    if as_json:
        emit_json(found[0] if len(found) == 1 else {"sources": found})
        return
    for source in sources:
        if isinstance(source, AbsentSource):
            words = (
                f"Not there: {source.name}. {source.error.message} A run would try it again while "
                "the other sources run."
            )
        else:
            words = f"Sound: {_facts(source)}, with {bundle}. Nothing was written."
        click.echo(printable(words, lines=True))


def _facts(source: Source) -> str:
    """Describes name, size and rate of a source, for messages."""
    return f"{source.name}, {source.width}x{source.height} at {source.fps:g} FPS"


def _read_again(context: click.Context, runs: Runs, maker: SinkMaker) -> None:
    """Reads the thresholds from the options file again; a faulty file changes nothing."""
    maker.service.reloaded()
    try:
        found = read_again(context, "score", "min_hits")
    except UsageError as error:
        _LOG.warning("Nothing was changed. %s", error.message)
        return
    if found is not None:
        runs.show_from(**found)
        _LOG.warning("Tubes count from score %(score)g and %(min_hits)d detections on.", found)


def _check(as_json: bool, specs: list[int | str], of_each: list[dict[str, Any]]) -> None:
    if as_json and of_each[0]["events"] == "-":
        raise UsageError(
            "--json and --events - both want standard output.",
            hint="Write the events to a file: --events FILE",
        )
    taken = source_files(specs)
    for own in of_each:
        for name, written in files_of(own).items():
            path = written.resolve()
            if path in taken:
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} {own[name]} is the source or another output already.",
                    hint="Name another file.",
                )
            taken.add(path)

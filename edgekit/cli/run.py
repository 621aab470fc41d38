"""``edgekit run``."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli._config import config_option, read_again
from edgekit.cli._inputs import input_options, reading_of, source_files, spec_of
from edgekit.cli._options import common_options, emit_json, session_options
from edgekit.cli._outputs import FILES, files_of, make_sinks, output_options
from edgekit.cli._parsing import LINK
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.media import Source
    from edgekit.runtime.pipeline import Pipeline
    from edgekit.targets.base import SessionOptions

__all__ = ["command"]

_LOG = logging.getLogger(__name__)
_LIVE_HISTORY = 9000
"""Of a tube that never ends, its event tells this many of the last frames: memory stays flat."""


@click.command(name="run")
@config_option
@click.option("--check", is_flag=True, help="Open source, bundle and outputs, and end.")
@input_options
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    help="Folder of the bundle to run. [default: the shipped one]",
)
@session_options
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Detections and tubes count from this score up.",
)
@click.option(
    "--top-k",
    type=click.IntRange(1),
    help="Detections a frame at most. [default: what the bundle says, mostly 50]",
)
@click.option(
    "--link",
    type=LINK,
    default="edgekit",
    show_default=True,
    help="How detections become tubes.",
)
@click.option(
    "--max-misses",
    type=click.IntRange(1),
    help="A tube ends after so many frames without a detection. "
    "[default: 30 with edgekit, 5 with the others]",
)
@click.option(
    "--min-hits",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="A tube is shown from so many detections on.",
)
@click.option(
    "--delay",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Finished tubes have boxes refined by so many later frames; with edgekit only.",
)
@click.option(
    "--drop-policy",
    type=click.Choice(["latest", "none"]),
    help="Keep the newest frame only, or lose none. [default: latest if live, else none]",
)
@output_options
@click.option(
    "--duration",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Stop after so many seconds of the source.",
)
@click.option("--max-frames", type=click.IntRange(1), help="Stop after so many frames.")
@click.option("--realtime", is_flag=True, help="Play a file at its own speed.")
@common_options
def command(session: SessionOptions, as_json: bool, **options: Any) -> int:
    """Find action tubes in a camera, video or folder of pictures.

    Ctrl-C ends it; what was found until then is written.

    Example: edgekit run --source clip.mp4 --events events.jsonl --video annotated.mp4
    """
    spec = spec_of(options)
    _check(as_json, options)
    from edgekit._files import refuse_unwritable
    from edgekit.assets import default_bundle
    from edgekit.benchmarks.profile import tuned_options
    from edgekit.bundle import load_bundle
    from edgekit.cli._interrupt import Stopper, on_hangup
    from edgekit.cli._run_report import print_report, summary_json
    from edgekit.cli._sinks import TubeTally
    from edgekit.detector import Detector
    from edgekit.media import open_source
    from edgekit.media.queued import QueuedSink
    from edgekit.runtime.linkers import make_linker
    from edgekit.runtime.pipeline import Pipeline

    tally = TubeTally()
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_source(spec, reading_of(options)))
        bundle = load_bundle(options["bundle"] or default_bundle())
        detector = Detector(bundle, options=tuned_options(bundle, session), top_k=options["top_k"])
        stack.enter_context(detector)
        # A shown tube has min_hits detections at least, so the linker may not drop it as too short.
        linker = make_linker(
            options["link"],
            len(detector.classes),
            max_misses=options["max_misses"],
            min_length=options["min_hits"] - 1,
            delay=options["delay"],
            history=_LIVE_HISTORY if opened.live else None,
        )
        stopper = Stopper()
        sinks = make_sinks(options, stopper.stop, live=opened.live)
        manifest = detector.bundle.manifest
        if options["check"]:
            for path in files_of(options).values():
                refuse_unwritable(path)
            _say_sound(as_json, opened, manifest.name)
            return 0
        pipeline = Pipeline(
            opened,
            detector,
            linker,
            [tally, *sinks],
            bundle=(manifest.name, detector.bundle.sha256),
            score=options["score"],
            min_hits=options["min_hits"],
            drop_policy=options["drop_policy"],
            realtime=options["realtime"],
            duration=options["duration"],
            max_frames=options["max_frames"],
            patience=options["patience"],
            overlap=True,
        )
        stopper.stop_with(partial(_stop, pipeline, opened))
        again = partial(_read_again, click.get_current_context(), pipeline)
        with stopper.listening(), on_hangup(again):
            summary = pipeline.run()
        report = {
            "source": opened.name,
            "bundle": {"name": manifest.name, "sha256": detector.bundle.sha256},
            **summary_json(summary),
            "gaps": tally.gaps,
            "reconnects": tally.reconnects,
            "tubes_found": tally.tubes,
            "tubes": tally.best(detector.classes),
            "sinks": [asdict(sink.health()) for sink in sinks if isinstance(sink, QueuedSink)],
            "files": {name: str(options[name]) for name in FILES if options[name]},
        }
    if as_json:
        emit_json(report)
    else:
        print_report(report, to_stderr=options["events"] == "-")
    if stopper.interrupted:
        return 130
    return 3 if any(sink["error"] for sink in report["sinks"]) else 0


def _say_sound(as_json: bool, source: Source, bundle: str) -> None:
    found = {
        "source": source.name,
        "width": source.width,
        "height": source.height,
        "fps": round(source.fps, 3),
        "live": source.live,
        "bundle": bundle,
    }
    if as_json:
        emit_json(found)
        return
    size = f"{source.width}x{source.height} at {source.fps:g} FPS"
    click.echo(f"Sound: {source.name}, {size}, with {bundle}. Nothing was written.")


def _read_again(context: click.Context, pipeline: Pipeline) -> None:
    """Takes the thresholds from the file of options; a file with a mistake changes nothing."""
    try:
        found = read_again(context, "score", "min_hits")
    except UsageError as error:
        _LOG.warning("Nothing was changed. %s", error.message)
        return
    if found is not None:
        pipeline.show_from(**found)
        _LOG.warning("Tubes count from score %(score)g and %(min_hits)d detections on.", found)


def _stop(pipeline: Pipeline, source: Source) -> None:
    """Ends a run, also where the source waits for a frame that does not come."""
    pipeline.stop()
    # Not in this thread: it may have been interrupted by a signal anywhere, also in the source.
    threading.Thread(target=source.close, daemon=True).start()


def _check(as_json: bool, options: dict[str, Any]) -> None:
    if as_json and options["events"] == "-":
        raise UsageError(
            "--json and --events - both want standard output.",
            mend="Write the events to a file: --events FILE",
        )
    taken = source_files(options)
    for name, written in files_of(options).items():
        path = written.resolve()
        if path in taken:
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} {options[name]} is the source or another output already.",
                mend="Name another file.",
            )
        taken.add(path)

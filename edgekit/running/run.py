"""Runs ``edgekit run`` from start to end: opens sources and bundle, runs, returns the report."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial

from edgekit._checks import as_instance, check_callable
from edgekit._parameters import parameter
from edgekit.detector import Detector
from edgekit.files.output_paths import refuse_unwritable
from edgekit.files.writing import refuse_full
from edgekit.media.sinks.sink import Sink
from edgekit.media.sources.absent import AbsentSource
from edgekit.media.sources.source import Source
from edgekit.media.sources.staged_opening import StagedOpening
from edgekit.running.detectors import check_interval, session_options
from edgekit.running.options import RunOptions
from edgekit.running.report import RunReport
from edgekit.running.sink_factory import SinkFactory
from edgekit.running.source_runs import SourceRuns
from edgekit.targets.bundle_choice import bundle_named, runnable, take
from edgekit.targets.profile import tuned_options

__all__ = ["check", "facts", "run"]

_LOG = logging.getLogger(__name__)


def run(
    options: RunOptions,
    *,
    sinks: Callable[[], list[Sink]] = list,
    on_start: Callable[[SourceRuns], None] = lambda runs: None,
    say: Callable[[str], None] | None = None,
) -> RunReport:
    """Finds action tubes in all sources until they end, reach a limit or are stopped.

    Args:
        options: Options of the run.
        sinks: Function that makes additional sinks for a source. They are called in the thread of
            the run, and an error of one ends it. Sinks of packages are in the options.
        on_start: Function that gets the run before its first frame; ``stop`` ends the run from any
            thread.
        say: Function that gets the link of the live page, with its token, as a line of text. By
            default the link is logged at level INFO.

    Raises:
        EdgeKitError: The run could not begin, or failed. With several sources, an error of one does
            not end the others, and is in the report.
    """
    as_instance("options", options, RunOptions, "edgekit.RunOptions", secret=True)
    check_callable(
        "sinks",
        sinks,
        "a function that returns sinks",
        hint="Name the sinks of packages in the options: RunOptions(sinks=...)",
    )
    check_callable("on_start", on_start, "a function that gets the run")
    if say is not None:
        check_callable("say", say, "a function that gets a line of text")
    with _prepared(options, sinks, say) as runs:
        on_start(runs)
        for number in range(len(options.sources)):
            for name, path in options.of_source(number).files.paths().items():
                _LOG.info("Writing %s to %s", name.replace("_", " "), path)
        runs.run()
        return runs.report()


def check(options: RunOptions) -> tuple[list[Source], str]:
    """Opens the sources, the bundle and the outputs, and leaves nothing behind.

    Args:
        options: Options of the run.

    Returns:
        The sources, closed, and the name of the bundle.

    Raises:
        EdgeKitError: A run with these options could not begin.
    """
    with _prepared(options, list) as runs:
        for number in range(len(options.sources)):
            for path in options.of_source(number).files.paths().values():
                refuse_unwritable(path)
                if path.is_file() or not path.exists():
                    refuse_full(path)
        runs.check()
        return [*runs.sources], runs.bundle


def facts(source: Source) -> str:
    """Describes name, size and rate of a source, for messages."""
    return f"{source.name}, {source.width}x{source.height} at {source.fps:g} FPS"


@contextlib.contextmanager
def _prepared(
    options: RunOptions,
    sinks: Callable[[], list[Sink]],
    say: Callable[[str], None] | None = None,
) -> Iterator[SourceRuns]:
    """Opens all that a run needs, and closes it after the block."""
    made: list[SourceRuns] = []

    def stop() -> None:
        for runs in made:
            runs.stop()

    tuned = cache(partial(tuned_options, options=options.session))
    factory = SinkFactory(options, sinks, stop, say)
    reading = replace(options.reading, catches_up=options.frames.drop_policy != "none")
    with StagedOpening(options.sources, reading, all_or_none=options.all_or_none) as opening:
        bundle = take(
            bundle_named(options.bundle),
            what="bundle in artifacts/ that runs on this machine",
            another=f"{parameter('bundle', 'FOLDER')} or {parameter('bundle', 'shipped')}",
            fits=runnable(tuned),
            require_signature=options.require_signature,
        )
        session = session_options(tuned(bundle), options, live=opening.live)
        with Detector(bundle, options=session, top_k=options.tubes.top_k) as detector:
            sources = opening.complete()
            for source in sources:
                if not isinstance(source, AbsentSource):
                    _LOG.info("Opened %s", facts(source))
            check_interval(detector, options.frames, live=any(each.live for each in sources))
            with SourceRuns(sources, detector, factory, options) as runs:
                made.append(runs)
                yield runs

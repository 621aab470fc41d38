"""Creates linkers by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgekit._checks import as_instance, as_number, as_size, as_whole, check_choice, unless_none
from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.linking.choices import COSTS, LINKS, PUBLISHED
from edgekit.linking.confirmation import MIN_HITS, SCORE, ConfirmedLinker
from edgekit.linking.published import TubeLinker
from edgekit.linking.tracker import MAX_MISSES, RATE, OnlineLinker

__all__ = ["make_linker"]

_PUBLISHED_MISSES = 5
_MOST_CLASSES = 1 << 16


# Long: most of it documents the arguments, once for all linkers.
def make_linker(
    link: str,
    classes: int,
    *,
    score: float = SCORE,
    min_hits: int = MIN_HITS,
    cost: str = "score",
    max_misses: int | None = None,
    max_gap: float | None = None,
    min_length: int | None = None,
    delay: int = 0,
    delay_seconds: float | None = None,
    frame_size: tuple[int, int] = (320, 240),
    history: int | None = None,
) -> ConfirmedLinker:
    """Returns a linker that gives the same tubes as ``edgekit run``.

    Its attribute ``linker`` gives all tubes, including noise, as ``edgekit eval`` scores them.

        linker = make_linker("edgekit", len(detector.classes))
        for frame in source:
            update = linker.update(detector.detect(frame.image), frame.time)
            ...  # update.live: the tubes in this frame; update.closed: those that ended
        tubes = linker.finish()  # those that were alive at the end

    Args:
        link: Name of the linker, one of ``edgekit.linking.choices.LINKS``. ``road`` is KORSAL's
            edit of ROAD's linker; see ``TubeLinker``.
        classes: Number of classes.
        score: Smallest score of tubes that count.
        min_hits: Smallest number of detections of tubes that count.
        cost: Preference of paths in a published linker, one of ``edgekit.linking.choices.COSTS``.
        max_misses: Number of consecutive frames without a detection after which a tube ends. None
            uses the linker's default: 30 for ``edgekit``, 5 for the others.
        max_gap: Seconds without a detection after which a tube ends; replaces ``max_misses``; for
            ``edgekit`` only.
        min_length: Number of entries that a tube must exceed to be kept; None is ``min_hits`` - 1.
        delay: Number of later frames that refine the boxes of finished tubes; for ``edgekit`` only.
        delay_seconds: Seconds of later frames that refine the boxes of finished tubes; replaces
            ``delay``; for ``edgekit`` only.
        frame_size: Width and height in pixels, the limits of ``korsal-motion``.
        history: Number of its newest frames that a tube remembers; None for all. For ``edgekit`` it
            also limits the time, in frames at 25 per second.

    Raises:
        UsageError: There is no such linker, or an argument has a wrong type, is out of range or
            does not apply to the linker.
    """
    as_instance("link", link, str, "the name of a linker")
    check_choice("link", link, LINKS, hint=f"For example: {parameter('link', LINKS[0])}")
    check_choice("cost", cost, COSTS)
    classes = as_whole("classes", classes, least=1, most=_MOST_CLASSES)
    max_misses = unless_none(as_whole, "max_misses", max_misses, least=1)
    max_gap = unless_none(as_number, "max_gap", max_gap, least=0)
    delay = as_whole("delay", delay, least=0)
    delay_seconds = unless_none(as_number, "delay_seconds", delay_seconds, least=0)
    frame_size = as_size("frame_size", frame_size)
    history = unless_none(as_whole, "history", history, least=1)
    renew: Callable[[int], OnlineLinker | TubeLinker]
    if link == "edgekit":
        _check_no_cost(cost)
        misses = _in_frames("max_misses", max_misses, "max_gap", max_gap)
        if max_gap is not None and misses is not None:
            misses = max(1.0, misses)  # a gap shorter than a frame ends at the first miss
        renew = partial(
            OnlineLinker,
            max_misses=MAX_MISSES if misses is None else misses,
            delay=_in_frames("delay", delay or None, "delay_seconds", delay_seconds) or 0,
            history=history,
        )
    else:
        _check_published(link, delay=delay or None, delay_seconds=delay_seconds, max_gap=max_gap)
        renew = partial(
            TubeLinker,
            link=link,
            cost=cost,
            max_misses=_PUBLISHED_MISSES if max_misses is None else max_misses,
            frame_size=frame_size,
            history=history,
        )
    return ConfirmedLinker(
        renew(classes),
        score=as_number("score", score, least=0),
        min_hits=as_whole("min_hits", min_hits, least=1),
        min_length=unless_none(as_whole, "min_length", min_length, least=0),
        renew=renew,
    )


def _check_no_cost(cost: str) -> None:
    """Raises if a cost is given to EdgeKit's linker, which has none."""
    if cost != "score":
        raise UsageError(
            f"{parameter('cost', cost)} works only with the linkers {', '.join(PUBLISHED)}; "
            f"{parameter('link')} is 'edgekit'.",
            hint=f"Leave out {parameter('cost')}, or add {parameter('link', PUBLISHED[0])}.",
        )


def _check_published(link: str, **given: float | None) -> None:
    """Raises if a published linker is given an option that only EdgeKit's linker has."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"{parameter(name, value)} works only with the linker 'edgekit'; "
                f"{parameter('link')} is '{link}'.",
                hint=f"Leave out {parameter(name)}, or use {parameter('link', 'edgekit')}.",
            )


def _in_frames(
    name: str, frames: int | None, other: str, seconds: float | None
) -> float | int | None:
    """Returns the option that is given, in frames at 25 per second; None if neither is."""
    if seconds is None:
        return frames
    if frames is not None:
        raise UsageError(
            f"{parameter(name, frames)} and {parameter(other, seconds)} cannot be used together: "
            "they set one limit, in frames and in seconds.",
            hint=f"Leave out {parameter(name)} or {parameter(other)}.",
        )
    return seconds * RATE

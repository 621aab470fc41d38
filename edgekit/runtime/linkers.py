"""All linkers by name."""

from __future__ import annotations

from edgekit.errors import UsageError
from edgekit.runtime.online import MAX_MISSES, OnlineLinker
from edgekit.runtime.tubes import PUBLISHED, TubeLinker

__all__ = ["LINKS", "make_linker"]

LINKS = ("edgekit", *PUBLISHED)
_PUBLISHED_MISSES = 5


def make_linker(
    link: str,
    classes: int,
    *,
    cost: str = "score",
    max_misses: int | None = None,
    min_length: int = 5,
    delay: int = 0,
    frame_size: tuple[int, int] = (320, 240),
    history: int | None = None,
) -> OnlineLinker | TubeLinker:
    """The linker of that name; see ``OnlineLinker`` and ``TubeLinker`` for the arguments.

    Args:
        link: One of ``LINKS``.
        classes: Number of classes.
        cost: Of the published linkers; ``edgekit`` has one of its own.
        max_misses: None stands for the linker's own: 30 for ``edgekit``, 5 for the others.
        min_length: Tubes of no more entries are dropped.
        delay: Frames; for ``edgekit`` only.
        frame_size: Of the published linkers.
        history: How many of its newest frames a tube remembers; None for all.

    Raises:
        UsageError: There is no such linker, or an argument is out of range or of another linker.
    """
    if link == "edgekit":
        if cost != "score":
            raise UsageError(
                f"--cost {cost} is for the published linkers, and --link is 'edgekit'.",
                mend=f"Leave --cost out, or add --link {PUBLISHED[0]}.",
            )
        return OnlineLinker(
            classes,
            max_misses=MAX_MISSES if max_misses is None else max_misses,
            min_length=min_length,
            delay=delay,
            history=history,
        )
    if link not in LINKS:
        raise UsageError(
            f"--link is '{link}', expected one of {', '.join(LINKS)}.",
            mend=f"Choose one of them, for example --link {LINKS[0]}.",
        )
    if delay:
        raise UsageError(
            f"--delay {delay} is for the linker 'edgekit', and --link is '{link}'.",
            mend="Leave --delay out, or use --link edgekit.",
        )
    return TubeLinker(
        classes,
        link=link,
        cost=cost,
        max_misses=_PUBLISHED_MISSES if max_misses is None else max_misses,
        min_length=min_length,
        frame_size=frame_size,
        history=history,
    )

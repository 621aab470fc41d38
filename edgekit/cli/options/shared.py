"""Defines the options of all commands, ``--json``, ``-v`` and ``-q``, and where output goes."""

from __future__ import annotations

import functools
import logging
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import click

from edgekit.cli.options.types import OUT_FOLDER, RUNTIME
from edgekit.cli.output.log_format import PrintableFormatter
from edgekit.cli.output.outcome import Outcome
from edgekit.errors import UsageError
from edgekit.targets.choices import ARITHMETICS, HINTS
from edgekit.targets.registry import TARGETS

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Decorator",
    "F",
    "FiniteRange",
    "HeadedCommand",
    "build",
    "common_options",
    "emit_json",
    "headed",
    "is_quiet",
    "session_options",
    "split_option",
    "stdout_console",
]


class FiniteRange(click.FloatRange):
    """A range of numbers that excludes "nan" and "inf"."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Converts a word to a finite number."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return found


F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


class Decorator(Protocol):
    """Type of the value of ``click.option``, which adds an option to a command's function."""

    def __call__(self, function: F, /) -> F:
        """Returns the function with the option."""


def build(kind: type[T], values: Mapping[str, object]) -> T:
    """Returns a dataclass of options, made of the values that are named like its fields.

    Args:
        kind: The dataclass; it checks types and ranges itself.
        values: Values of the command's parameters, by name.

    Raises:
        UsageError: A value has the wrong type or is out of range.
    """
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass, as said
    return kind(**{name: value for name, value in values.items() if name in names})


class HeadedCommand(click.Command):
    """A command whose help lists its options under headings, as set by ``headed``."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a section for each heading, in option order; options without one come last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        for option in sorted(options, key=lambda one: not hasattr(one, "heading")):
            if record := option.get_help_record(ctx):
                sections.setdefault(getattr(option, "heading", "General"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


split_option = click.option(
    "--split",
    type=click.IntRange(1, 3),
    default=1,
    show_default=True,
    help="Number of the published split to read, for layouts that have several.",
)
"""Option with the number of a dataset's split."""


def headed(heading: str, *options: Decorator) -> Callable[[F], F]:
    """Adds options to a command, under a heading in the help of a ``HeadedCommand``.

    Args:
        heading: Title of the section.
        options: Results of ``click.option``, in the order of the help.
    """

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
            vars(function)["__click_params__"][-1].heading = heading
        return function

    return add


def common_options(function: F) -> F:
    """Adds ``--json`` (parameter ``as_json``), ``-v`` and ``-q`` to a command."""
    function = click.option(
        "-q",
        "--quiet",
        is_flag=True,
        expose_value=False,
        callback=_set_verbosity,
        help="Print only errors and the result.",
    )(function)
    function = click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_set_verbosity,
        help="Print progress and details on standard error.",
    )(function)
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON object on standard output. Everything else goes to standard error.",
    )(function)


def session_options(*, zero_threads: str, no_hint: str) -> Callable[[F], F]:
    """Adds the options of inference; the command gets one ``SessionOptions``, as ``session``.

    Args:
        zero_threads: Sentence of the help that says what 0 threads mean to the command.
        no_hint: Hint of the command if none is given, for the help.
    """

    def add(function: F) -> F:
        @functools.wraps(function)
        def command(*args: object, **given: object) -> object:
            from edgekit.targets.base import SessionOptions

            names = ("runtime", "threads", "device", "hint", "arithmetic", "cache")
            session = build(SessionOptions, {name: given.pop(name) for name in names})
            return function(*args, session=session, **given)

        return cast(F, headed("Model", *_session(zero_threads, no_hint))(command))

    return add


def _several_runtimes() -> str:
    """Describes the targets that leave a choice: ``jetson (tensorrt or onnxruntime) and ...``."""
    given = [(name, TARGETS[name].runtimes) for name in TARGETS.own]
    *most, last = [f"{name} ({' or '.join(many)})" for name, many in given if len(many) > 1]
    return f"{', '.join(most)} and {last}"


def _session(zero_threads: str, no_hint: str) -> tuple[Decorator, ...]:
    return (
        click.option(
            "--runtime",
            type=RUNTIME,
            help="Inference runtime for the bundle. The bundle's target fixes it, except for "
            f"{_several_runtimes()}. [default: the first of them]",
        ),
        click.option(
            "--threads",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help=f"Number of threads for inference. {zero_threads}",
        ),
        click.option(
            "--device",
            metavar="NAME",
            help="Device of OpenVINO to run on: CPU, GPU, NPU, AUTO, or one of several, such as "
            "GPU.1 (openvino only). [default: CPU]",
        ),
        click.option(
            "--hint",
            type=click.Choice(HINTS),
            help="Optimize for latency (all threads work on one frame) or for throughput (several "
            "frames are in the network at once: more per second, but each waits longer). "
            f"[default: {no_hint}]",
        ),
        click.option(
            "--arithmetic",
            type=click.Choice(ARITHMETICS),
            help="Type that the runtime computes in (openvino and ncnn only). [default: f32; for "
            "fp16 bundles on openvino, OpenVINO's choice]",
        ),
        click.option(
            "--cache",
            type=OUT_FOLDER,
            help="Folder to keep compiled models in, so that the next start is faster (openvino "
            "and tensorrt only). It is not the work cache that `edgekit cache` empties. [default: "
            "engines/ in the bundle for tensorrt; openvino keeps none]",
        ),
    )


_LEVEL = "edgekit.level"
_LEVELS = {"verbose": logging.INFO, "quiet": logging.ERROR}


def _set_verbosity(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        assert parameter.name is not None
        if _LEVEL in context.meta:
            raise UsageError(
                "--verbose and --quiet cannot be used together.",
                hint="Leave one of them out.",
            )
        context.meta[_LEVEL] = _LEVELS[parameter.name]
    level = context.meta.get(_LEVEL, logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler], level=level)
    logging.getLogger("edgekit").setLevel(level)


def is_quiet() -> bool:
    """Returns whether the command prints only errors and the result."""
    context = click.get_current_context(silent=True)
    return context is not None and context.meta.get(_LEVEL) == logging.ERROR


def emit_json(value: object) -> None:
    """Stores one object, which is printed on standard output at the end of the command."""
    outcome = click.get_current_context().find_object(Outcome)
    assert outcome is not None  # ``edgekit.cli.main`` provides it
    outcome.result = value


def stdout_console(*, to_stderr: bool = False) -> Console:
    """Returns the console for results.

    Args:
        to_stderr: Whether to print on standard error, because standard output is in use.
    """
    from edgekit.cli.output.console import Console

    return Console(stderr=to_stderr)

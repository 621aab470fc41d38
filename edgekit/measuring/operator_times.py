"""Measures how long each operator of a model takes, with the profiler of its runtime."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from edgekit.errors import EdgeKitError

if TYPE_CHECKING:
    from edgekit.runtime.types import Array

__all__ = ["OperatorProfiler", "OperatorTime", "OperatorTimes", "measure_operators"]

_WARM_UP = 3


class OperatorTime(msgspec.Struct, frozen=True, kw_only=True):
    """Time of one operator in one inference, and its work.

    Attributes:
        name: Name of the layer, as the runtime gives it.
        type: Type of the operator, as the runtime gives it.
        ms: Milliseconds in an inference.
        macs: Number of multiply-adds of convolutions and matrix products, 0 for other operators;
            None if the runtime does not tell the sizes of its tensors.
        bytes: Bytes of all tensors that it reads and writes, weights included; None as for
            ``macs``.
    """

    name: str
    type: str
    ms: float
    macs: int | None = None
    bytes: int | None = None


class OperatorTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Times of all operators of a model: means over the fastest half of the inferences.

    A runtime that counts only sums over all inferences gives means over all of them.

    Attributes:
        session_ms: Milliseconds of an inference without the profiler, in turn with the others.
        profiled_ms: Milliseconds of an inference with the profiler.
        operators: Operators that were executed, in order.
    """

    session_ms: float
    profiled_ms: float
    operators: list[OperatorTime]

    @property
    def outside_ms(self) -> float:
        """Milliseconds of an inference with the profiler that belong to no operator."""
        return self.profiled_ms - sum(operator.ms for operator in self.operators)


class OperatorProfiler(abc.ABC):
    """Runs a model with the profiler of its runtime."""

    @abc.abstractmethod
    def run(self, inputs: Mapping[str, Array]) -> None:
        """Runs the model once, on checked inputs."""

    def read(self) -> None:  # noqa: B027 (few runtimes need it)
        """Reads counters that the next run overwrites; the measured time does not include it."""

    @abc.abstractmethod
    def finish(self, skipped: int) -> list[list[OperatorTime]]:
        """Returns the operators of every run, in order; nothing runs afterwards.

        Args:
            skipped: Number of runs at the start that are left out.

        Returns:
            A list for each of the other runs, or a single list of means over them.
        """


def measure_operators(
    infer: Callable[[], object],
    profiler: OperatorProfiler,
    inputs: Mapping[str, Array],
    rounds: int,
) -> OperatorTimes:
    """Runs a model with and without the profiler in turn.

    Args:
        infer: Function that runs the model once without the profiler.
        profiler: Profiler of the same model.
        inputs: Inputs for the profiler.
        rounds: Number of measured inferences of each, at least 1, after the warm-up.

    Raises:
        EdgeKitError: The profile is empty or incomplete.
    """
    plain: list[float] = []
    profiled: list[float] = []
    for _ in range(_WARM_UP + rounds):
        plain.append(_milliseconds(infer))
        profiled.append(_milliseconds(lambda: profiler.run(inputs)))
        profiler.read()
    runs = profiler.finish(_WARM_UP)
    if len(runs) not in (1, rounds) or not all(runs):
        count = sum(map(bool, runs))
        raise EdgeKitError(
            f"Expected the runtime's profile of {rounds} inferences; found {count} with "
            "operators in them.",
            hint="Measure again. If it fails again, this version of the runtime has no such times.",
        )
    del plain[:_WARM_UP], profiled[:_WARM_UP]
    kept = list(range(rounds))
    if len(runs) == rounds:
        kept = sorted(kept, key=lambda place: profiled[place])[: (rounds + 1) // 2]
        runs = [runs[place] for place in kept]
    return OperatorTimes(
        session_ms=round(_mean(sorted(plain)[: len(kept)]), 4),
        profiled_ms=round(_mean([profiled[place] for place in kept]), 4),
        operators=_means(runs),
    )


def _milliseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - begin)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _means(runs: Sequence[Sequence[OperatorTime]]) -> list[OperatorTime]:
    """Returns the mean of each operator over some runs; operators of one name are added up."""
    sums: dict[tuple[str, str], float] = {}
    last: dict[tuple[str, str], OperatorTime] = {}
    for run in runs:
        for operator in run:
            key = (operator.name, operator.type)
            sums[key] = sums.get(key, 0.0) + operator.ms
            last[key] = operator
    return [
        msgspec.structs.replace(last[key], ms=round(total / len(runs), 5))
        for key, total in sums.items()
    ]

"""Measures joules: by the counters of Intel and AMD, the sensors of a Jetson, or a command."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.errors import BadInputError

__all__ = ["Meter", "find_meter"]

_RAPL = "class/powercap/intel-rapl:[0-9]*"
_INA3221 = "bus/i2c/drivers/ina3221/*/hwmon/hwmon*"
_WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")
_PERIOD = 0.05
_PATIENCE = 10.0


class Meter:
    """Measures all energy that a sensor reports over a period, idle power included.

    Args:
        name: Name of the sensor, for display.
        read: Function that returns joules since some moment, or current watts; it raises OSError or
            ValueError.
        counts: Whether ``read`` returns joules.
        wraps: Value at which the counter of joules restarts from 0.

    Attributes:
        name: Name of the sensor, for display.
        trouble: Description of the last failure; empty if there was none.
    """

    def __init__(
        self, name: str, read: Callable[[], float], *, counts: bool, wraps: float = math.inf
    ) -> None:
        self.name = name
        self._read = read
        self._counts = counts
        self._wraps = wraps
        self._begin = 0.0
        self._samples: list[tuple[float, float]] = []
        self._failed = False
        self.trouble = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins the period."""
        self._failed = False
        if self._counts:
            self._begin = self._try() or 0.0
            return
        self._samples = []
        self._stop.clear()
        self._thread = threading.Thread(target=self._sample, name="edgekit-power", daemon=True)
        self._thread.start()

    def stop(self) -> float | None:
        """Ends the period; returns its joules, or None if the sensor failed in between."""
        if self._counts:
            end = self._try()
            if self._failed or end is None:
                return None
            used = end - self._begin
            return used if used >= 0 else used + self._wraps if self._wraps < math.inf else None
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        return None if self._failed else _integral(self._samples)

    def _sample(self) -> None:
        while True:
            watts = self._try()
            if watts is None:
                return
            self._samples.append((time.monotonic(), watts))
            if self._stop.wait(_PERIOD) and len(self._samples) > 1:
                return

    def _try(self) -> float | None:
        try:
            return self._read()
        except (OSError, ValueError, BadInputError) as error:
            self._failed = True
            self.trouble = error.message if isinstance(error, BadInputError) else str(error)
            return None


def _integral(samples: Sequence[tuple[float, float]]) -> float | None:
    pairs = list(itertools.pairwise(samples))
    if not pairs:
        return None
    return sum((t1 - t0) * (w0 + w1) / 2 for (t0, w0), (t1, w1) in pairs)


def find_meter(command: str | None, root: Path = Path("/sys")) -> tuple[Meter | None, str]:
    """Finds the best way to measure energy on this machine.

    Args:
        command: Command that prints joules since some moment (``5021.5 J``) or watts (``12.5 W``).
        root: Folder in which the kernel shows its sensors.

    Returns:
        The meter and its description; or None and the reason why there is none.

    Raises:
        BadInputError: The command fails, or its output cannot be read.
    """
    if command is not None:
        _, unit = _ask(command)
        kind = "joules" if unit == "J" else "watts"
        meter = Meter(
            f"{kind} of the command '{command}'", lambda: _ask(command)[0], counts=unit == "J"
        )
        return meter, meter.name
    for found, words in (_jetson(root), _rapl(root)):
        if words:
            return found, words
    return None, (
        "not measured: this machine shows no power sensor; "
        f"{parameter('energy', 'COMMAND')} can stand in"
    )


def _ask(command: str) -> tuple[float, str]:
    hint = "The command must print joules or watts, for example '5021.5 J' or '12.5 W'."
    try:
        words = shlex.split(command)
        if not words:
            raise ValueError("it is empty")
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=_PATIENCE)
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())[-200:]
        raise BadInputError(
            f"The command of {parameter('energy')} ended with status {error.returncode}"
            f"{f': {said}' if said else ''}.",
            hint=hint,
        ) from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(
            f"The command of {parameter('energy')} cannot be run: {reason}.", hint=hint
        ) from error
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*([JW])\s*", done.stdout)
    if found is None:
        raise BadInputError(
            f"Expected the command of {parameter('energy')} to print a number and J or W; it "
            f"printed {done.stdout[:80]!r}.",
            hint=hint,
        )
    return float(found[1]), found[2]


def _rapl(root: Path) -> tuple[Meter | None, str]:
    """Finds the energy counters of all processor packages together."""
    packages = []
    for folder in sorted(root.glob(_RAPL)):
        with contextlib.suppress(OSError):
            if (folder / "name").read_text().startswith("package"):
                packages.append(folder)
    if not packages:
        return None, ""

    def read() -> float:
        return sum(int((folder / "energy_uj").read_text()) for folder in packages) / 1e6

    try:
        read()
        wraps = [int((folder / "max_energy_range_uj").read_text()) / 1e6 for folder in packages]
    except PermissionError:
        path = packages[0] / "energy_uj"
        return None, f"not measured: no permission to read {path}; run it as root"
    except (OSError, ValueError):
        return None, "not measured: the processor's counters cannot be read"
    meter = Meter("the processor's own counters (RAPL)", read, counts=True, wraps=min(wraps))
    return meter, meter.name


def _jetson(root: Path) -> tuple[Meter | None, str]:
    """Finds the sensor at the power input of the whole board."""
    for label in sorted(root.glob(f"{_INA3221}/in*_label")):
        try:
            rail = label.read_text().strip()
        except OSError:
            continue
        if rail not in _WHOLE_BOARD:
            continue
        number = label.name.removeprefix("in").removesuffix("_label")
        volts, amperes = (label.parent / f"{kind}{number}_input" for kind in ("in", "curr"))

        def read(volts: Path = volts, amperes: Path = amperes) -> float:
            return int(volts.read_text()) * int(amperes.read_text()) / 1e6

        try:
            read()
        except (OSError, ValueError) as error:
            return None, f"not measured: the sensor {rail} cannot be read ({error})"
        meter = Meter(f"the board's sensor {rail}", read, counts=False)
        return meter, meter.name
    return None, ""

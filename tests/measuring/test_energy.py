from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgekit.errors import BadInputError
from edgekit.measuring import energy
from edgekit.measuring.energy import Meter, find_meter
from tests.waiting import wait_until


def command(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


@pytest.fixture
def rapl(tmp_path):
    """A machine of two packages; the parts of a package and the whole board do not count."""

    def write(folder: str, name: str, joules: int) -> None:
        place = tmp_path / "class" / "powercap" / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "name").write_text(f"{name}\n")
        (place / "energy_uj").write_text(f"{joules * 10**6}\n")
        (place / "max_energy_range_uj").write_text(f"{1000 * 10**6}\n")

    write("intel-rapl:0", "package-0", 100)
    write("intel-rapl:1", "package-1", 200)
    write("intel-rapl:0:0", "core", 50)
    write("intel-rapl:2", "psys", 999)
    return write


def test_the_packages_of_a_processor_are_added(rapl, tmp_path):
    meter, words = find_meter(None, tmp_path)
    assert "RAPL" in words
    meter.start()
    rapl("intel-rapl:0", "package-0", 103)
    rapl("intel-rapl:1", "package-1", 204)
    assert meter.stop() == pytest.approx(7)


def test_a_counter_that_starts_again_is_seen(rapl, tmp_path):
    meter, _ = find_meter(None, tmp_path)
    rapl("intel-rapl:0", "package-0", 995)
    meter.start()
    rapl("intel-rapl:0", "package-0", 5)
    assert meter.stop() == pytest.approx(10)


def test_a_counter_that_fails_meanwhile_gives_nothing(rapl, tmp_path):
    meter, _ = find_meter(None, tmp_path)
    meter.start()
    assert meter.trouble == ""
    (tmp_path / "class/powercap/intel-rapl:0/energy_uj").unlink()
    assert meter.stop() is None
    assert "No such file" in meter.trouble


def test_no_permission_is_said(rapl, tmp_path, monkeypatch):
    read = Path.read_text

    def forbidden(path, *arguments, **options):
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", forbidden)
    meter, words = find_meter(None, tmp_path)
    assert meter is None
    assert "no permission to read" in words


def test_a_jetsons_power_is_that_of_the_whole_board(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(energy, "time", clock)
    folder = tmp_path / "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    folder.mkdir(parents=True)
    for number, rail in ((1, "VDD_IN"), (2, "VDD_CPU_GPU_CV")):
        (folder / f"in{number}_label").write_text(f"{rail}\n")
        (folder / f"in{number}_input").write_text("5000\n")
        (folder / f"curr{number}_input").write_text(f"{number * 1000}\n")
    meter, words = find_meter(None, tmp_path)
    assert "VDD_IN" in words
    meter.start()
    wait_until(lambda: meter._samples)
    clock.now += 2
    wait_until(lambda: meter._samples[-1][0] == clock.now)
    assert meter.stop() == pytest.approx(5.0 * 2)


def test_a_machine_without_sensors_says_so(tmp_path):
    meter, words = find_meter(None, tmp_path)
    assert meter is None
    assert words.startswith("not measured")


def test_a_command_may_count_joules(tmp_path):
    counter = tmp_path / "joules"
    counter.write_text("5.5 J\n")
    meter, words = find_meter(f"cat {counter}")
    assert "joules" in words
    meter.start()
    counter.write_text("8 J")
    assert meter.stop() == pytest.approx(2.5)
    meter.start()
    counter.unlink()
    assert meter.stop() is None


def test_a_command_may_give_watts(monkeypatch):
    monkeypatch.setattr(energy, "_PATIENCE", 120.0)
    meter, words = find_meter(command('print("12.5 W")'))
    assert "watts" in words
    begin = time.monotonic()
    meter.start()
    joules = meter.stop()
    assert 0 < joules <= 12.5 * (time.monotonic() - begin)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no-such-program-here", "cannot be run"),
        ("'", "cannot be run"),
        ("", "it is empty"),
        (command('import sys; sys.exit("broken sensor")'), "status 1: broken sensor"),
        (command('print("12.5")'), "printed '12.5"),
        (command('print("-3 W")'), "printed '-3 W"),
    ],
)
def test_a_command_that_is_no_good_is_bad_input(text, words):
    with pytest.raises(BadInputError, match=words) as caught:
        find_meter(text)
    assert "5021.5 J" in caught.value.hint


def test_a_counter_without_a_known_end_that_falls_gives_nothing():
    values = iter([5.0, 3.0])
    meter = Meter("odd", lambda: next(values), counts=True)
    meter.start()
    assert meter.stop() is None

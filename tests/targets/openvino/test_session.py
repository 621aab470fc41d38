"""Tests OpenVINO sessions: devices, arithmetic, cache, invalid models."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from edgekit.bundle import Bundle, load_bundle, save_bundle
from edgekit.errors import BundleError, MissingDependencyError, OutputError, UsageError
from edgekit.files.checksums import ENDING, proven_file
from edgekit.targets.base import SessionOptions
from edgekit.targets.openvino import importing
from edgekit.targets.openvino.session import OpenVinoSession


@pytest.fixture(scope="module")
def half(checkpoint: Path, export: Callable[..., Bundle]) -> Bundle:
    return export(checkpoint, "openvino", precision="fp16")


def changed(bundle: Bundle, tmp_path: Path, **contents: bytes | None) -> Bundle:
    """A bundle whose files are others, and whose checksums are right."""
    files = {}
    for name in ("model.xml", "model.bin"):
        old = (bundle.path / name).read_bytes()
        new = contents.get(name.partition(".")[2], old)
        if new is not None:
            (tmp_path / name).write_bytes(new)
            files[name] = tmp_path / name
    return save_bundle(tmp_path / "changed", bundle.manifest, files)


def test_says_what_runs_and_what_is_left_of_it(written: Bundle) -> None:
    with OpenVinoSession(written, SessionOptions(threads=1)) as session:
        told = session.describe()
    assert (told["runtime"], told["arithmetic"], told["threads"]) == ("openvino", "f32", "1")
    assert openvino.__version__.startswith(told["version"])
    assert told["device"].startswith("CPU (")
    assert session.describe() == told | {"device": "", "arithmetic": "", "threads": ""}


def test_openvino_of_an_archive_which_has_no_metadata(
    written: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_name(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", staticmethod(from_name))
    options = SessionOptions(cache=tmp_path / "cache", threads=1)
    with OpenVinoSession(written, options) as session:
        assert session.describe()["version"] == openvino.__version__


@pytest.mark.parametrize("device", ["AUTO", "AUTO:CPU"])
def test_device_that_openvino_chooses(written: Bundle, tensor: Any, device: str) -> None:
    with OpenVinoSession(written, SessionOptions(device=device, threads=1)) as session:
        assert session.infer({"input": tensor})["hm"].shape == (1, 3, 16, 24)
        described = session.describe()
    assert described["device"].startswith("CPU (")
    assert (described["arithmetic"], described["threads"]) == ("f32", "1")


@pytest.mark.parametrize("device", ["TPU", "GPU.7", "AUTO:TPU,CPU", ""])
def test_device_that_is_not_there(written: Bundle, device: str) -> None:
    with pytest.raises(UsageError, match=r"no device .* it finds CPU"):
        OpenVinoSession(written, SessionOptions(device=device))


def test_device_whose_precision_cannot_be_set(
    written: Bundle, tensor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OtherDevice(openvino.Core):
        """Says of the CPU what OpenVINO says of devices that are not here."""

        def get_property(self, device: str, name: str) -> Any:
            if name == "SUPPORTED_PROPERTIES":
                return {"INFERENCE_PRECISION_HINT": "RO"}
            return super().get_property(device, name)

    monkeypatch.setattr(importing, "_CORES", [OtherDevice()])
    with OpenVinoSession(written) as session:
        assert session.infer({"input": tensor})["hm"].shape == (1, 3, 16, 24)
    with pytest.raises(UsageError, match="not support threads on the device CPU; found 1"):
        OpenVinoSession(written, SessionOptions(threads=1))
    with pytest.raises(UsageError, match="OpenVINO does not support arithmetic"):
        OpenVinoSession(written, SessionOptions(arithmetic="f16"))


SIGNALLED = """
import signal, sys, threading
from edgekit.bundle import load_bundle
from edgekit.targets.openvino.session import OpenVinoSession

sessions = [OpenVinoSession(load_bundle(sys.argv[1]))]
thread = threading.Thread(target=sessions.clear)
thread.start()
thread.join()
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
signal.raise_signal(signal.SIGUSR1)
"""


def test_a_signal_is_handled_after_another_thread_dropped_the_session(written: Bundle) -> None:
    command = [sys.executable, "-c", SIGNALLED, str(written.path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


@pytest.mark.parametrize("arithmetic", ["f32", "f16", "bf16", None])
def test_arithmetic_is_said_as_it_runs(half: Bundle, tensor: Any, arithmetic: Any) -> None:
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    possible = {"f32"} | {
        name for name, flag in (("f16", "FP16"), ("bf16", "BF16")) if flag in able
    }
    with OpenVinoSession(half, SessionOptions(arithmetic=arithmetic)) as session:
        told = session.describe()["arithmetic"].split(", ")
        found = session.infer({"input": tensor})
    assert set(told) <= possible
    if arithmetic == "f32":
        assert told == ["f32"]
    with OpenVinoSession(half, SessionOptions(arithmetic="f32")) as session:
        expected = session.infer({"input": tensor})
    for name, value in found.items():
        assert np.abs(value - expected[name]).max() <= 2e-2 * np.abs(expected[name]).max()


def blobs(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.blob"))


def test_cache_is_used(written: Bundle, tensor: Any, tmp_path: Path) -> None:
    options = SessionOptions(cache=tmp_path / "new" / "cache", threads=1)
    found = []
    for _ in range(2):
        with OpenVinoSession(written, options) as session:
            found.append(session.infer({"input": tensor})["hm"])
            assert session.describe()["arithmetic"] == "f32"
            assert session.describe()["threads"] == "1"
        (blob,) = blobs(tmp_path)
        os.utime(blob, (1_700_000_000, 1_700_000_000))
    assert blob.stat().st_mtime == 1_700_000_000  # it was not written again
    np.testing.assert_array_equal(found[1], found[0])


def _zero(content: bytes) -> bytes:
    begin = len(content) // 5
    return content[:begin] + bytes(len(content) // 12) + content[begin + len(content) // 12 :]


DAMAGES = {
    "no blob": lambda content: b"no blob",
    "zeros, as after a power cut": _zero,
    "one bit": lambda content: content[:-5000] + bytes([content[-5000] ^ 1]) + content[-4999:],
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("ending", ["", ENDING])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_made_anew(
    written: Bundle, tensor: Any, tmp_path: Path, damage: str, ending: str
) -> None:
    options = SessionOptions(cache=tmp_path / "cache", threads=1)
    with OpenVinoSession(written, options) as session:
        expected = session.infer({"input": tensor})
    (blob,) = blobs(tmp_path)
    size = blob.stat().st_size
    file = blob.with_name(blob.name + ending)
    if ending and damage.startswith(("one bit", "zeros")):
        file.write_bytes(file.read_bytes()[:-9] + b"00000000\n")
    else:
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with OpenVinoSession(written, options) as session:
        for name, value in session.infer({"input": tensor}).items():
            np.testing.assert_array_equal(value, expected[name])
    assert proven_file(blob, json.loads(proof_of(blob).read_bytes())["identity"])
    # OpenVINO stores a few bytes more or fewer each time.
    assert blob.stat().st_size == pytest.approx(size, rel=0.01)


def test_a_compiled_model_that_came_with_a_bundle_is_not_used(
    written: Bundle, tensor: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SessionOptions(cache=written.path / "cache", threads=1)
    for user in ("author", "author", "reader"):
        monkeypatch.setenv("XDG_STATE_HOME", str(written.path.parent / user))
        with OpenVinoSession(written, options) as session:
            session.infer({"input": tensor})
        assert ("another user wrote it" in caplog.text) == (user == "reader")


def proof_of(blob: Path) -> Path:
    return blob.with_name(blob.name + ENDING)


def test_entries_that_were_swapped_are_made_anew(
    written: Bundle, tensor: Any, tmp_path: Path
) -> None:
    weights = bytearray((written.path / "model.bin").read_bytes())
    weights[: len(weights) // 2] = bytes(len(weights) // 2)
    other = changed(written, tmp_path, bin=bytes(weights))
    options = SessionOptions(cache=tmp_path / "cache", threads=1)
    expected = []
    for bundle in (written, other):
        with OpenVinoSession(bundle, options) as session:
            expected.append(session.infer({"input": tensor})["hm"])
    one, two = blobs(tmp_path)
    for first, second in ((one, two), (proof_of(one), proof_of(two))):
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
        for bundle, right in zip((written, other), expected, strict=True):
            with OpenVinoSession(bundle, options) as session:
                np.testing.assert_array_equal(session.infer({"input": tensor})["hm"], right)


_ON_A_FULL_DISK = """
import sys
from pathlib import Path
from edgekit.bundle import load_bundle
from edgekit.targets.base import SessionOptions
from edgekit.targets.openvino import importing
from edgekit.targets.openvino.session import OpenVinoSession
with OpenVinoSession(load_bundle(Path(sys.argv[1])), SessionOptions(cache=Path(sys.argv[2]))):
    pass
"""


def test_a_cache_on_a_full_disk_is_done_without(
    written: Bundle, tensor: Any, small_disk: Path
) -> None:
    (small_disk / "filler").write_bytes(bytes(250 << 10))
    with OpenVinoSession(written) as session:
        expected = session.infer({"input": tensor})["hm"]
    with OpenVinoSession(written, SessionOptions(cache=small_disk / "cache")) as session:
        np.testing.assert_array_equal(session.infer({"input": tensor})["hm"], expected)
    words = [sys.executable, "-c", _ON_A_FULL_DISK, str(written.path), str(small_disk / "cache")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "compiles it at every start" in done.stderr
    assert list((small_disk / "cache").iterdir()) == []


def test_a_cache_that_may_only_be_read_is_read(
    written: Bundle, tensor: Any, small_disk: Path, tmp_path: Path
) -> None:
    """As root a folder's mode forbids nothing: the file system itself may only be read."""
    results = []
    for _ in range(2):
        with OpenVinoSession(written, SessionOptions(cache=small_disk, threads=1)) as session:
            results.append(session.infer({"input": tensor})["hm"])
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    np.testing.assert_array_equal(results[0], results[1])


def test_processes_that_share_a_cache_at_once(written: Bundle, tmp_path: Path) -> None:
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from edgekit.bundle import load_bundle\n"
        "from edgekit.targets.base import SessionOptions\n"
        "from edgekit.targets.openvino.session import OpenVinoSession\n"
        "given = {'input': np.ones((1, 6, 64, 96), np.float32)}\n"
        "options = SessionOptions(cache=Path(sys.argv[2]), threads=1)\n"
        "for _ in range(3):\n"
        "    with OpenVinoSession(load_bundle(Path(sys.argv[1])), options) as session:\n"
        "        print(session.infer(given)['hm'].sum())"
    )
    command = [sys.executable, "-c", script, str(written.path), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].split() for process in both]
    assert len({*said[0], *said[1]}) == 1
    assert [len(words) for words in said] == [3, 3]


def test_cache_is_never_taken_for_another_bundle(
    written: Bundle, tensor: Any, tmp_path: Path
) -> None:
    weights = bytearray((written.path / "model.bin").read_bytes())
    weights[: len(weights) // 2] = bytes(len(weights) // 2)
    other = changed(written, tmp_path, bin=bytes(weights))
    place = tmp_path / "place"
    results = []
    for source in (written, other):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(source.path, place)
        for file in place.iterdir():
            os.utime(file, (1_700_000_000, 1_700_000_000))
        moved = Bundle(place, source.manifest, source.sha256)
        with OpenVinoSession(moved, SessionOptions(cache=tmp_path / "cache")) as session:
            results.append(session.infer({"input": tensor})["hm"])
    assert np.abs(results[0] - results[1]).max() > 1e-3
    assert len(blobs(tmp_path / "cache")) == 2


def test_cache_that_cannot_be(written: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        OpenVinoSession(written, SessionOptions(cache=tmp_path / "file"))


@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
def test_a_file_that_is_changed_after_the_check_is_not_read(
    written: Bundle, tmp_path: Path, name: str
) -> None:
    shutil.copytree(written.path, tmp_path / "copy")
    bundle = load_bundle(tmp_path / "copy")
    content = bytearray((bundle.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle.path / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} has changed since"):
        OpenVinoSession(bundle)


@pytest.mark.parametrize(
    ("ending", "cut"), [("xml", 3000), ("xml", 40000), ("bin", 0), ("bin", 300_000), ("bin", -4)]
)
def test_model_that_was_cut(written: Bundle, tmp_path: Path, ending: str, cut: int) -> None:
    content = (written.path / f"model.{ending}").read_bytes()[:cut]
    with pytest.raises(BundleError, match=r"OpenVINO 20\S+ refuses .* on CPU: ") as caught:
        OpenVinoSession(changed(written, tmp_path, **{ending: content}))
    assert "edgekit export CHECKPOINT --target openvino" in caught.value.hint
    assert ".cpp" not in caught.value.message


def test_weights_that_are_missing(written: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="Incorrect weights in bin file"):
        OpenVinoSession(changed(written, tmp_path, bin=None))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('type="Convolution"', 'type="Warp"', "doesn't contain the operation with type: Warp"),
        ('shape="1,6,64,96"', 'shape="1,6,?,96"', r"input float32 \(1, 6, -1, 96\)"),
        ('names="wh"', 'names="size"', "outputs hm, size, reg, not"),
    ],
)
def test_model_that_was_edited(
    written: Bundle, tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = written.model_path.read_text()
    assert old in text
    with pytest.raises(BundleError, match=message):
        OpenVinoSession(changed(written, tmp_path, xml=text.replace(old, new).encode()))


def test_missing_runtime(written: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match="needs the package that provides 'openvino'"):
        OpenVinoSession(written)


def test_nothing_is_reported_to_anybody(written: Bundle, tmp_path: Path) -> None:
    script = (
        "import sys; from edgekit.targets.registry import open_session\n"
        "from edgekit.bundle import load_bundle; from pathlib import Path\n"
        "open_session(load_bundle(Path(sys.argv[1]))).close()\n"
        "import openvino.tools.ovc.telemetry_utils as told\n"
        "assert told.tm.__name__.endswith('telemetry_stub'), told.tm\n"
        "assert not {'openvino_telemetry', 'torch', 'onnx'} & set(sys.modules)\n"
    )
    home_alone = dict.fromkeys(("XDG_CACHE_HOME", "XDG_STATE_HOME"), "")
    environment = {**os.environ, **home_alone, "HOME": str(tmp_path)}
    command = [sys.executable, "-c", script, str(written.path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


_ALL_AT_ONCE = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from edgekit.bundle import load_bundle
from edgekit.targets.base import SessionOptions
from edgekit.targets.openvino import importing
from edgekit.targets.openvino.session import OpenVinoSession
bundle, given = load_bundle(Path(sys.argv[1])), np.zeros((1, 6, 64, 96), np.float32)
sessions = [OpenVinoSession(bundle, SessionOptions(threads=1)) for _ in range(4)]
together = threading.Barrier(len(sessions))
sys.setswitchinterval(1e-6)

def infer(session):
    together.wait()
    return session.infer({"input": given})["hm"]

with ThreadPoolExecutor(len(sessions)) as pool:
    for heatmap in pool.map(infer, sessions):
        print(heatmap.shape)
"""


def test_first_inferences_at_once_do_not_wait_for_each_other_for_ever(written: Bundle) -> None:
    # Without care, half of the processes hang: each has one chance.
    for _ in range(3):
        words = [sys.executable, "-c", _ALL_AT_ONCE, str(written.path)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
        assert done.stdout == "(1, 3, 16, 24)\n" * 4

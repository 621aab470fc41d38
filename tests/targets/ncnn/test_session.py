"""Tests bundles on ncnn, and files that would crash it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.errors import BundleError, EdgeKitError, MissingDependencyError, UsageError
from edgekit.system.installation import install_line
from edgekit.targets.base import SessionOptions
from edgekit.targets.ncnn.model import MODEL, WEIGHTS
from edgekit.targets.ncnn.session import NcnnSession

ONE = SessionOptions(threads=1)

FORKED = """
import multiprocessing, sys
import numpy as np
from edgekit.bundle import load_bundle
from edgekit.errors import EdgeKitError
from edgekit.targets.base import SessionOptions
from edgekit.targets.ncnn.session import NcnnSession

def work(threads):
    try:
        with NcnnSession(bundle, SessionOptions(threads=threads)) as session:
            session.infer(inputs)
        print("computed", flush=True)
    except EdgeKitError as error:
        print(error.message, flush=True)

bundle = load_bundle(sys.argv[1])
inputs = {"input": np.zeros((1, 6, 64, 96), np.float32)}
work(2)
for threads in (1, 2):
    child = multiprocessing.get_context("fork").Process(target=work, args=(threads,))
    child.start()
    child.join()
"""

FUZZED = """
import sys
from pathlib import Path
import numpy as np
from edgekit.bundle import load_bundle, save_bundle
from edgekit.errors import EdgeKitError
from edgekit.targets.base import SessionOptions
from edgekit.targets.ncnn.session import NcnnSession

good, work = load_bundle(Path(sys.argv[1])), Path(sys.argv[2])
text = good.model_path.read_text().splitlines()
weights = (good.path / "model.bin").read_bytes()
random = np.random.default_rng(int(sys.argv[3]))
words = ["0", "1", "-1", "2", "64", "65536", "2147483647", "-2147483648", "101", "0.5", "x"]
ran = refused = 0
for number in range(int(sys.argv[4])):
    lines = [line.split() for line in text]
    content = weights
    for _ in range(random.integers(1, 4)):
        line = lines[random.integers(len(lines))]
        place = random.integers(len(line))
        word = line[place]
        new = words[random.integers(len(words))]
        line[place] = f"{word.partition('=')[0]}={new}" if "=" in word else new
        kind = random.integers(6)
        if kind == 0:
            lines.pop(random.integers(len(lines)))
        elif kind == 1:
            lines.insert(random.integers(len(lines)), lines[random.integers(len(lines))])
        elif kind == 2:
            line.append(f"{random.integers(40)}={new}")
        elif kind == 3:
            content = content[: random.integers(len(content))]
        elif kind == 4:
            place = random.integers(len(content) - 4)
            content = content[:place] + random.bytes(4) + content[place + 4 :]
    lines[1] = [str(len(lines) - 2), lines[1][-1]] if len(lines) > 2 and lines[1] else []
    (work / "model.param").write_text("\\n".join(map(" ".join, lines)) + "\\n")
    (work / "model.bin").write_bytes(content)
    files = {name: work / name for name in ("model.param", "model.bin")}
    bundle = save_bundle(work / "bundle", good.manifest, files, force=True)
    try:
        with NcnnSession(bundle, SessionOptions(threads=1)) as session:
            session.infer({"input": np.ones(session._inputs["input"][0], np.float32)})
            ran += 1
    except EdgeKitError:
        refused += 1
print(ran, refused)
"""


def test_says_what_runs(paired: Bundle) -> None:
    with NcnnSession(paired, ONE) as session:
        told = session.describe()
    assert told.pop("version").startswith("1.")
    assert told == {"runtime": "ncnn", "device": "CPU", "arithmetic": "fp32", "threads": "1"}


def test_deformable_convolutions(moved: Bundle) -> None:
    tensor = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    with NcnnSession(moved, ONE) as session:
        found = session.infer({"input": tensor})
    assert found["hm"].shape == (1, 2, 16, 16)
    assert np.isfinite(found["hm"]).all()


def test_bfloat16_is_used_if_it_is_asked_for(paired: Bundle, tensor: Any) -> None:
    with NcnnSession(paired, ONE) as session:
        expected = session.infer({"input": tensor})
    with NcnnSession(paired, SessionOptions(threads=1, arithmetic="bf16")) as session:
        found = session.infer({"input": tensor})
        assert session.describe()["arithmetic"] == "bf16, weights fp32"
    for name, value in expected.items():
        difference = np.abs(found[name] - value).max() / np.abs(value).max()
        assert 1e-5 < difference < 0.2


def test_float16_needs_a_processor_that_has_it(
    paired: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ncnn

    monkeypatch.setattr(ncnn, "cpu_support_arm_asimdhp", lambda: 0)
    with pytest.raises(UsageError, match="only on ARM processors") as caught:
        NcnnSession(paired, SessionOptions(arithmetic="f16"))
    assert caught.value.hint == "Leave out arithmetic."


def test_missing_runtime(paired: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(MissingDependencyError, match="ncnn") as caught:
        NcnnSession(paired)
    assert caught.value.hint == f"Run: {install_line('ncnn')}"


def test_input_is_not_changed_where_the_first_layer_writes_in_place(
    paired: Bundle, changed: Callable[..., Bundle]
) -> None:
    text = b"7767517\n2 2\nInput i 0 1 input 0=96 1=64 2=6\nReLU r 1 1 input hm\n"
    outputs = paired.manifest.outputs[:1]
    bundle = changed(paired, text, b"", outputs=outputs)
    tensor = np.full((1, 6, 64, 96), -1, np.float32)
    with NcnnSession(bundle, ONE) as session, pytest.raises(BundleError, match="of shape"):
        session.infer({"input": tensor})
    assert (tensor == -1).all()


@pytest.mark.parametrize("model", [b"", b"7767517\n", b"\xff" * 99, 200])
def test_model_that_is_none(
    paired: Bundle, changed: Callable[..., Bundle], model: bytes | int
) -> None:
    if isinstance(model, int):
        model = paired.model_path.read_bytes()[:model]
    with pytest.raises(BundleError, match=rf"{MODEL} is not a valid ncnn model") as caught:
        NcnnSession(changed(paired, model), ONE)
    assert "Export it again" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Convolution ", "LSTM "),
        (" 0=32 ", " 0=33 "),
        (" 6=1728", " 6=17280"),
        (" 3=2 ", " 3=0 "),
        ("2=6\n", "2=600\n"),
        ("2=6\n", "2=6 30=1\n"),
        ("Split ", "ReLU "),
    ],
)
def test_layer_that_would_make_ncnn_leave_its_memory(
    paired: Bundle, changed: Callable[..., Bundle], old: str, new: str
) -> None:
    text = paired.model_path.read_text()
    wrong = text.replace(old, new, 1)
    assert wrong != text
    with pytest.raises(BundleError, match=r"not a valid ncnn model: layer .* \(\w+\): "):
        NcnnSession(changed(paired, wrong.encode()), ONE)


def test_integers_that_are_announced_and_not_there(
    paired: Bundle, changed: Callable[..., Bundle]
) -> None:
    text = paired.model_path.read_bytes().replace(b" 5=1 ", b" 5=1 8=1 ", 1)
    with pytest.raises(BundleError, match=r"weights of stem\.0 have the type float32"):
        NcnnSession(changed(paired, text), ONE)


def test_weights_that_do_not_fit(paired: Bundle, changed: Callable[..., Bundle]) -> None:
    weights = (paired.path / WEIGHTS).read_bytes()
    for wrong in (b"", weights[:-4], weights + bytes(4), b"\1" + weights[1:]):
        with pytest.raises(BundleError, match=rf"{WEIGHTS} is not a valid ncnn model"):
            NcnnSession(changed(paired, weights=wrong), ONE)


def test_weights_that_the_manifest_does_not_list(paired: Bundle, tmp_path: Path) -> None:
    bundle = save_bundle(tmp_path / "b", paired.manifest, {MODEL: paired.model_path})
    with pytest.raises(BundleError, match="does not list this file"):
        NcnnSession(bundle, ONE)


def test_outputs_that_the_manifest_does_not_have(
    paired: Bundle, changed: Callable[..., Bundle]
) -> None:
    text = paired.model_path.read_bytes().replace(b" hm ", b" heat ")
    with pytest.raises(BundleError, match="does not match the manifest: it has outputs"):
        NcnnSession(changed(paired, text), ONE)


def test_failing_run(paired: Bundle, tensor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with NcnnSession(paired, ONE) as session:
        monkeypatch.setattr(session, "_outputs", ("nothing",))
        with pytest.raises(EdgeKitError, match="ended with status -1 before the output nothing"):
            session.infer({"input": tensor})


def test_a_forked_process_does_not_wait_for_threads_of_the_other(paired: Bundle) -> None:
    command = [sys.executable, "-c", FORKED, str(paired.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    *computed, refused = done.stdout.splitlines()
    assert computed == ["computed", "computed"]
    assert refused.startswith("ncnn cannot compute with several threads in a process that was")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("which", ["paired", "moved"])
def test_no_bundle_ends_the_process(
    request: pytest.FixtureRequest, tmp_path: Path, which: str, seed: int
) -> None:
    bundle = request.getfixturevalue(which)
    command = [sys.executable, "-c", FUZZED, str(bundle.path), str(tmp_path), str(seed), "150"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    ran, refused = map(int, done.stdout.split()[-2:])
    assert ran + refused == 150
    assert refused > 50

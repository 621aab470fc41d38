"""Tests that NVIDIA's own packages have the names that EdgeKit calls.

The bindings of TensorRT are imported with empty libraries. Names, enumerations and signatures are
therefore real, but nothing can be computed. ``EDGEKIT_TENSORRT_BINDINGS`` names a folder with
other bindings to compare with, for example those of TensorRT 10.3, which JetPack 6.1 has:

    pip install --no-deps --target DIR tensorrt-cu12-bindings==10.3.0
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

import edgekit.targets.jetson
from edgekit.errors import EdgeKitError
from edgekit.targets.jetson.cuda import Cuda

SOURCES = sorted(Path(edgekit.targets.jetson.__file__).parent.glob("*.py"))
FOLDER = os.environ.get("EDGEKIT_TENSORRT_BINDINGS", "")
LIBRARIES = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")
SYMBOLS = (
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL"),
    *("createInferRuntime_INTERNAL", "createNvOnnxParserRefitter_INTERNAL"),
    *("createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry", "getNvOnnxParserVersion"),
    *("getPluginRegistry", "initLibNvInferPlugins"),
)

SURFACE = """
import sys, json
sys.path.insert(0, {folder!r})
import tensorrt_bindings as trt

def shown(value):
    if hasattr(value, "__members__"):
        return {{name: "" for name in value.__members__}}
    if isinstance(value, type):
        return {{name: shown(getattr(value, name)) for name in dir(value) if name[0] != "_"}}
    return value.__doc__ or ""

print(json.dumps({{name: shown(getattr(trt, name)) for name in dir(trt) if name[0] != "_"}}))
"""

ALIVE = """
import sys
sys.path.insert(0, {folder!r})
import tensorrt_bindings
sys.modules["tensorrt"] = tensorrt_bindings
from edgekit.errors import EdgeKitError
from edgekit.targets.jetson.builder import _monitor
from edgekit.targets.jetson.library import created, make_log, said, tensorrt
from edgekit.targets.jetson.profiler import _reporting_to

trt = tensorrt()
log = make_log(trt)
log.log(trt.ILogger.Severity.WARNING, "a warning")
log.log(trt.ILogger.Severity.ERROR, "an error")
assert said(log) == "  an error", said(log)
told = []
monitor = _monitor(trt, lambda *words: told.append(words))
assert isinstance(monitor, trt.IProgressMonitor)
monitor.phase_start("a", None, 3)
assert monitor.step_complete("a", 0)
assert told == [("a", 0, 3), ("a", 1, 3)], told
layers = []
profiler = _reporting_to(trt, layers)
assert isinstance(profiler, trt.IProfiler)
profiler.report_layer_time("stem/Conv", 0.5)
assert layers[0].ms == 0.5
for kind in (trt.Builder, trt.Runtime):
    try:
        created(log, kind, log)
    except EdgeKitError as error:
        assert "TensorRT cannot start" in str(error), error
    else:
        raise AssertionError(kind)
print(trt.__version__)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One in which the bindings load."""
    if not FOLDER and importlib.util.find_spec("tensorrt_bindings") is None:
        pytest.skip("the package tensorrt-cu13-bindings is not installed")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("making empty libraries needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("libraries")
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in SYMBOLS))
    subprocess.run(
        [compiler, "-shared", "-fPIC", str(source), "-o", str(folder / "empty.so")], check=True
    )
    for library in LIBRARIES:
        for version in (10, 11):
            shutil.copy(folder / "empty.so", folder / f"{library}.so.{version}")
    return os.environ | {"LD_LIBRARY_PATH": str(folder)}


def output_of(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code.format(folder=FOLDER)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def real(environment: dict[str, str]) -> dict[str, Any]:
    """Every public name of the bindings, with those inside it, and its docstring."""
    found: dict[str, Any] = json.loads(output_of(SURFACE, environment))
    return found


def parameters(docstring: str, name: str) -> list[list[str]]:
    """Names of the parameters of each overload that pybind11's docstring tells of."""
    found = []
    for line in docstring.splitlines():
        match = re.search(rf"\b{name}\((.*)\) -> ", line)
        if match:
            plain = re.sub(r"<[^<>]*>|\[[^\[\]]*\]", "", match[1])
            names = [part.split(":")[0].strip() for part in plain.split(",")]
            found.append([part for part in names if part not in ("self", "")])
    return found


def compare(name: str, ours: Any, real: Any) -> None:
    if isinstance(ours, type) and issubclass(ours, IntEnum):
        assert set(ours.__members__) <= set(real), name
    elif isinstance(ours, type):
        for part, value in vars(ours).items():
            if not part.startswith("_"):
                assert part in real, f"{name}.{part}"
                compare(f"{name}.{part}", value, real[part])
    elif callable(ours):
        expected = [part for part in inspect.signature(ours).parameters if part != "self"]
        overloads = parameters(real, name.rsplit(".", 1)[-1])
        assert any(found[: len(expected)] == expected for found in overloads), (name, overloads)


def test_stand_in_has_nothing_that_tensorrt_lacks(stand_in: Any, real: dict[str, Any]) -> None:
    ours = vars(stand_in.tensorrt_of(stand_in.Machine()))
    for name, value in ours.items():
        if not name.startswith("_"):
            assert name in real
            compare(name, value, real[name])
    assert len(ours) > 15


def test_every_name_that_is_used_is_there(real: dict[str, Any]) -> None:
    used = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute):
                name = ast.unparse(node)
                if re.fullmatch(r"trt(\.[A-Za-z]\w*)+", name):
                    used.add(name.removeprefix("trt."))
    assert {"Builder", "BuilderFlag.TF32", "DataType.UINT8"} <= used
    for name in used:
        found: Any = real
        for part in name.split("."):
            assert part in found, name
            found = found[part]


def test_classes_derived_from_tensorrts_own_work(environment: dict[str, str]) -> None:
    assert re.match(r"1\d\.", output_of(ALIVE, environment))


def test_stand_in_has_nothing_that_cuda_lacks(stand_in: Any) -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    for name, value in vars(stand_in.cuda_of(stand_in.Machine())).items():
        real = getattr(runtime, name)
        if isinstance(value, type):
            for member in value:
                assert int(getattr(real, member.name)) == member.value
        elif callable(value):
            expected = list(inspect.signature(value).parameters)
            assert list(inspect.signature(real).parameters) == expected, name
        else:
            assert int(real) == value
    properties = runtime.cudaDeviceProp
    assert all(hasattr(properties, part) for part in ("name", "major", "minor", "integrated"))


def test_cuda_without_a_gpu_says_so() -> None:
    pytest.importorskip("cuda.bindings.runtime")
    try:
        assert Cuda().gpu().name
    except EdgeKitError as error:
        assert re.match(r"cudaGetDevice failed: .+ \(cudaError\w+\)\.", error.message)  # noqa: PT017
        assert "runtime='onnxruntime'" in error.hint  # noqa: PT017

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.cli import main as run
from edgekit.media.sources.opencv.gstreamer import has_gstreamer
from edgekit.system import installation
from edgekit.system.installation import install_line
from edgekit.targets.registry import TARGETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


def test_json_has_the_machine_and_the_installation(capsys):
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["system"]["python"] == sys.version.split()[0]
    assert found["cpu"]["cores"] >= 1
    versions = {part["name"]: part["version"] for part in found["packages"]}
    assert versions["numpy"]
    assert versions["onnxruntime"]
    assert "CPUExecutionProvider" in found["providers"]
    assert isinstance(found["cameras"], list)
    assert "av" in versions
    assert ("GSTREAMER" in found["opencv"]["backends"]) == has_gstreamer()


def test_it_reports_without_a_home_folder(monkeypatch, tmp_path, capsys):
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cache"] is None
    (problem,) = (text for text in found["problems"] if "home folder" in text)
    assert "XDG_CACHE_HOME" in problem


def test_cameras_have_names_formats_and_sizes(capsys, monkeypatch):
    from edgekit.media.sources.cameras import v4l2

    formats = (
        v4l2.Format("MJPG", ((1920, 1080), (640, 480)), ((30.0,), (60.0, 30.0))),
        *(v4l2.Format(name, ((640, 480),)) for name in ("YUYV", "NV12")),
        v4l2.Format("H264", ()),
    )
    camera = v4l2.Camera("/dev/video2", "HD [Webcam]", "uvcvideo", formats)
    monkeypatch.setattr(v4l2, "cameras", lambda: [camera])
    assert run(["doctor", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["cameras"]
    assert (found["device"], found["driver"]) == ("/dev/video2", "uvcvideo")
    assert found["formats"][0] == {
        "name": "MJPG",
        "sizes": [[1920, 1080], [640, 480]],
        "rates": [[30.0], [60.0, 30.0]],
    }
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert (
        "Cameras  /dev/video2 (HD [Webcam])\n"
        "           MJPG: 1920x1080 (30 FPS), 640x480 (60, 30 FPS)\n"
        "           YUYV, NV12: 640x480\n"
        "           H264: it does not tell its sizes\n"
    ) in said


def test_a_camera_of_many_formats_fits_the_screen_and_none_is_left_out(capsys, monkeypatch):
    from edgekit.media.sources.cameras import v4l2

    sizes = tuple((160 * n, 120 * n) for n in range(12, 0, -1))
    rates = tuple((60.0, 30.0, 15.0) for _ in sizes)
    names = [f"F{n:03}" for n in range(40)]
    formats = tuple(v4l2.Format(name, sizes, rates) for name in names)
    monkeypatch.setattr(v4l2, "cameras", lambda: [v4l2.Camera("/dev/video0", "V", "v", formats)])
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("Cameras"))
    end = next(n for n, line in enumerate(lines) if line.startswith("Runtime"))
    assert max(map(len, lines[begin:end])) <= 80
    text = " ".join(" ".join(lines[begin:end]).split())
    assert all(name in text for name in names)
    assert all(f"{width}x{height} (60," in text for width, height in sizes)


def test_a_camera_that_the_user_may_not_open_is_listed_with_what_helps(capsys, monkeypatch):
    from edgekit.media.sources.cameras import v4l2

    camera = v4l2.Camera("/dev/video0", "HD Webcam", "", (), v4l2.NOT_PERMITTED)
    monkeypatch.setattr(v4l2, "cameras", lambda: [camera])
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "/dev/video0 (HD Webcam) may not be opened by this user" in said
    assert "sudo usermod -aG video $USER" in said


@pytest.mark.parametrize(
    ("content", "gpus"),
    [("", []), ("# R36 (release), REVISION: 4.0\n# x\n", ["R36 (release), REVISION: 4.0"])],
)
def test_a_jetson_has_the_release_of_its_software_and_an_empty_file_is_none(
    capsys, monkeypatch, tmp_path, content, gpus
):
    from edgekit.doctor import system

    file = tmp_path / "nv_tegra_release"
    file.write_text(content)
    monkeypatch.setattr(system, "_TEGRA_RELEASE", file)
    monkeypatch.setenv("PATH", str(tmp_path))  # without nvidia-smi
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gpus"] == gpus


def test_every_target_has_a_state_and_an_install_line(capsys, monkeypatch):
    import importlib.metadata

    version = importlib.metadata.version

    def without_converters(name):
        if name in ("litert-torch", "ai-edge-quantizer", "tensorrt"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_converters)
    assert run(["doctor", "--json"]) == 0
    states = {state["name"]: state for state in json.loads(capsys.readouterr().out)["targets"]}
    assert set(states) == set(TARGETS)
    assert all(target.hardware and target.runs_with for target in TARGETS.own.values())
    assert states["onnx"]["runs"]
    assert states["onnx"]["exports"]
    assert states["onnx"]["install"] == states["onnx"]["missing"] == []
    assert states["tflite"]["runs"]
    assert not states["tflite"]["exports"]
    assert states["tflite"]["missing"] == ["litert-torch", "ai-edge-quantizer"]
    assert states["tflite"]["install"] == [install_line("tflite-host")]
    assert not states["jetson"]["runs"]
    assert run(["doctor"]) == 0
    assert install_line("tflite-host") in capsys.readouterr().out


def test_every_package_that_a_command_can_use_is_listed(capsys):
    assert run(["doctor", "--json"]) == 0
    packages = {part["name"]: part for part in json.loads(capsys.readouterr().out)["packages"]}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {
        name: lines
        for name, lines in declared["optional-dependencies"].items()
        if name not in ("dev", "docs", "mutation", "release", "all")
    }
    for extra, lines in {"": declared["dependencies"], **extras}.items():
        for line in lines:
            if "python_version" in line:
                continue
            name = re.split("[<>=;]", line)[0]
            part = packages[name]
            assert not part["purpose"].startswith("the extra"), name
            is_here = "aarch64" not in line or platform.machine() == "aarch64"
            expected = install_line(*filter(None, [part["extra"]])) if is_here else ""
            assert part["install"] == expected
            assert (part["extra"] or "") == extra or name in str(extras[part["extra"]])
    for target in TARGETS.own.values():
        assert packages.keys() >= {*target.runs_with, *target.exports_with}
    assert packages["tensorrt"]["install"] == "sudo apt install python3-libnvinfer"


def test_the_table_keeps_every_name_whole_at_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["doctor", "--json"]) == 0
    names = [part["name"] for part in json.loads(capsys.readouterr().out)["packages"]]
    assert run(["doctor"]) == 0
    words = capsys.readouterr().out.split()
    assert set(names) <= set(words)


def test_what_is_not_installed_is_read_from_the_checkout(monkeypatch):
    told = installation.requirements()
    monkeypatch.setattr(installation, "_owner", lambda: None)
    assert sorted(installation.requirements()) == sorted(told)


def test_people_get_the_line_that_installs_what_is_missing(capsys, monkeypatch):
    import importlib.metadata

    version = importlib.metadata.version

    def without_torch(name):
        if name in ("torch", "onnxruntime"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_torch)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert install_line("host") in text
    assert "onnxruntime is missing" in text


@pytest.mark.skipif(platform.machine() == "aarch64", reason="a package for this machine")
def test_a_package_for_other_machines_has_no_line(capsys):
    assert run(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (target,) = (each for each in report["targets"] if each["name"] == "rknn")
    assert not target["runs"]
    assert "rknn-toolkit-lite2" in target["missing"]
    assert not any("[rknn]" in line for line in target["install"])
    assert run(["doctor"]) == 0
    assert "Not available for this machine and Python: rknn-toolkit-lite2" in (
        capsys.readouterr().out.replace("\n", " ")
    )


@pytest.mark.parametrize("missing", ["onnxruntime", "cv2"])
def test_it_works_where_a_package_is_missing(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from edgekit.cli import main as run\nsys.exit(run(['doctor', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["edgekit"]


LIBRARY = "libGL.so.1: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("module", "failure", "reason", "line"),
    [
        ("cv2", f"ImportError({LIBRARY!r})", LIBRARY, "sudo apt install libgl1 libglib2.0-0"),
        ("cv2", "SyntaxError('null bytes')", "SyntaxError: null bytes", "opencv-python"),
        ("numpy", "RuntimeError('made for X86_V2')", "RuntimeError: made for X86_V2", "numpy"),
        ("onnxruntime", "OSError('libx.so')", "OSError: libx.so", "onnxruntime"),
        ("msgspec", "ImportError('bad magic number')", "bad magic number", "msgspec"),
        ("paho", "SyntaxError('null bytes')", "SyntaxError: null bytes", "paho-mqtt"),
        ("openvino", f"ImportError({LIBRARY!r})", LIBRARY, "openvino, or install that library"),
        ("ncnn", "RuntimeError('made for X86_V2')", "RuntimeError: made for X86_V2", "ncnn"),
    ],
)
def test_a_package_that_is_there_and_cannot_be_imported_is_a_problem(
    tmp_path, module, failure, reason, line
):
    (tmp_path / f"{module}.py").write_text(f"raise {failure}\n")
    command = [sys.executable, "-m", "edgekit", "doctor"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "120"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    (problem,) = (text for text in done.stdout.splitlines() if text.startswith("! "))
    assert "is there, but cannot be imported" in problem
    assert reason in problem
    assert problem.endswith(line)
    assert "Everything that edgekit run needs is here" not in done.stdout
    able = re.search(r"│ onnx +│ (yes|no)", done.stdout)
    assert able
    assert (able[1] == "no") == (module in ("numpy", "onnxruntime"))
    if module in ("openvino", "ncnn"):
        assert re.search(rf"│ {module} +│ no", done.stdout)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"raise ImportError({LIBRARY!r})", LIBRARY),
        ("raise RuntimeError('made for X86_V2')", "RuntimeError: made for X86_V2"),
        ("x = (", "SyntaxError: '(' was never closed (cv2.py, line 1)"),
        ("from spot_part import part", "RuntimeError: a part"),
    ],
)
def test_a_package_that_cannot_be_imported_is_no_fault_of_edgekit(
    tmp_path, spot_bundle, content, reason
):
    (tmp_path / "cv2.py").write_text(content)
    (tmp_path / "spot_part.py").write_text("def part():\n    raise RuntimeError('a part')\npart()")
    command = [sys.executable, "-m", "edgekit", "run", "clip.mp4", "--bundle", str(spot_bundle)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 4
    assert done.stderr == (
        f"Error: A package that EdgeKit needs is missing, or cannot be imported: {reason}.\n"
        "See what helps: edgekit doctor. If it names no problem, install that package again.\n"
    )


def test_what_a_package_raises_when_it_is_called_is_unexpected(tmp_path, spot_bundle):
    (tmp_path / "spot_sink.py").write_text("def call():\n    raise RuntimeError('at work')\n")
    code = (
        "import sys, spot_sink, edgekit.running.run\nfrom edgekit.cli import main\n"
        "edgekit.running.run.run = lambda *_, **__: spot_sink.call()\nsys.exit(main())"
    )
    command = [sys.executable, "-c", code, "run", "clip.mp4", "--bundle", str(spot_bundle)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "This is a fault of EdgeKit" in done.stderr


def test_it_loads_no_host_library():
    code = (
        "from edgekit.cli import main as run; run(['doctor'])\n"
        "import sys; assert not {'torch', 'onnx', 'onnxscript'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0

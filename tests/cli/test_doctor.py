from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgekit._installed import install_line
from edgekit.cli import main as run
from edgekit.media.gstreamer import has_gstreamer
from edgekit.targets.registry import TARGETS


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


def test_cameras_have_names_formats_and_sizes(capsys, monkeypatch):
    from edgekit.media import v4l2

    formats = (v4l2.Format("MJPG", ((1920, 1080), (640, 480))), v4l2.Format("YUYV", ()))
    camera = v4l2.Camera("/dev/video2", "HD [Webcam]", "uvcvideo", formats)
    monkeypatch.setattr(v4l2, "cameras", lambda: [camera])
    assert run(["doctor", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["cameras"]
    assert (found["device"], found["driver"]) == ("/dev/video2", "uvcvideo")
    assert found["formats"][0] == {"name": "MJPG", "sizes": [[1920, 1080], [640, 480]]}
    assert run(["doctor"]) == 0
    assert "/dev/video2 (HD [Webcam]): MJPG to 1920x1080, YUYV" in capsys.readouterr().out


def test_every_target_has_a_state_and_a_mend(capsys, monkeypatch):
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


def test_people_get_the_line_that_installs_what_is_missing(capsys, monkeypatch):
    import importlib.metadata

    version = importlib.metadata.version

    def without_torch(name):
        if name in ("torch", "onnxruntime", "onnxruntime-gpu"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_torch)
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert install_line("host") in text
    assert "onnxruntime is missing" in text


@pytest.mark.parametrize("missing", ["onnxruntime", "cv2"])
def test_it_works_where_a_package_is_missing(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from edgekit.cli import main as run\nsys.exit(run(['doctor', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["edgekit"]


def test_it_loads_no_host_library():
    code = (
        "from edgekit.cli import main as run; run(['doctor'])\n"
        "import sys; assert not {'torch', 'onnx', 'onnxscript'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0

"""Tests that the wheels for a device are downloaded from a package index, here one on loopback."""

from __future__ import annotations

import http.server
import json
import threading
from functools import partial
from pathlib import Path

import pytest

from edgekit.cli import main

pytestmark = pytest.mark.long


@pytest.fixture
def index(tmp_path, wheels, monkeypatch):
    """Serves the wheels as a package index does; returns the paths that were asked for."""
    asked: list[str] = []
    for wheel in (each for each in wheels.glob("*.whl") if "edgekit" not in each.name):
        page = tmp_path / "simple" / wheel.name.split("-")[0].lower().replace("_", "-")
        page.mkdir(parents=True)
        (page / wheel.name).write_bytes(wheel.read_bytes())
        (page / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            asked.append(self.path)

    handler = partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("EDGEKIT_NO_KERNEL", "1")  # its wheel is made in seconds
        yield asked
        server.shutdown()


@pytest.fixture
def deploy_from_index(service_file, spot_bundle, capsys):
    def call(host: str) -> tuple[int, dict]:
        words = ["--service", "none", "--bench-frames", "0", "--config", service_file()[0]]
        status = main(["deploy", "--json", host, str(spot_bundle), *map(str, words)])
        return status, json.loads(capsys.readouterr().out)["hosts"][0]

    return call


def test_what_a_device_lacks_is_downloaded_here(start_device, index, deploy_from_index):
    device = start_device("device-a", systemd="none")
    status, result = deploy_from_index("device-a")
    assert (status, result["outcome"]) == (0, "deployed"), result
    assert any(path.startswith("/simple/onnxruntime/") for path in index)
    assert any(path.startswith("/simple/pip/") for path in index)
    (venv,) = (device.root / "venvs").iterdir()
    assert (venv / "bin/edgekit").exists()
    assert list(Path(venv).glob("lib/*/site-packages/edgekit_vision-*.dist-info"))


def test_a_package_without_wheels_for_the_device(start_device, index, deploy_from_index, tmp_path):
    device = start_device("device-a", systemd="none")
    page = tmp_path / "simple/onnxruntime"
    for wheel in page.glob("*.whl"):
        other = wheel.name.replace("none-any", "none-win_amd64")
        (page / "index.html").write_text(f'<a href="{other}">{other}</a>')
    status, result = deploy_from_index("device-a")
    assert (status, result["outcome"], result["copied"]) == (3, "failed", 0)
    assert "Expected wheels of EdgeKit's packages for device-a, " in result["state"]
    assert "No matching distribution found for onnxruntime" in result["state"]
    assert "--wheels FOLDER" in result["hint"]
    assert not (device.root / "services/edgekit/releases").exists()

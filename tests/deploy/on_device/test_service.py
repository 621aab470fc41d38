"""Tests how a service is controlled and judged; programs stand in for sudo and systemd."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socketserver
import threading
import urllib.request
from pathlib import Path

import pytest

from edgekit.deploy.on_device.connection import DeviceError
from edgekit.deploy.on_device.facts import user_name
from edgekit.deploy.on_device.service import Health, Service
from edgekit.deploy.on_device.unit import unit_text


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes programs that are found first; this user is not root."""
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def write(**texts: str) -> None:
        for name, text in texts.items():
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)

    return write


def test_what_needs_root_goes_through_sudo(programs, tmp_path: Path) -> None:
    programs(
        sudo=f'echo "$*" | head -n 1 >>{tmp_path}/asked; shift; exec "$@"',
        systemctl='[ "$1" = show ] && echo ActiveState=active; exit 0',
    )
    service = Service("system", "door")
    assert service.path == Path("/etc/systemd/system/door.service")
    assert service.trial_path == Path("/run/systemd/system/door.service.d/edgekit-trial.conf")
    assert service.show() == {"ActiveState": "active"}
    assert not (tmp_path / "asked").exists(), "everybody may read the state"
    service.control("restart", "--no-block", service.unit)
    unit = tmp_path / "units/door.service"
    service.write(unit, "[Service]\n")
    assert unit.read_text() == "[Service]\n"
    service.write(unit, "")
    assert not unit.parent.exists()
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == "-n systemctl restart --no-block door.service"
    assert all(each.startswith("-n ") for each in asked[:1] + asked[-1:])
    assert service.stays_after_logout()


def test_sudo_that_asks_for_a_password(programs, tmp_path: Path) -> None:
    programs(sudo='echo "sudo: a password is required" >&2; exit 1', systemctl="exit 0")
    service = Service("system", "door")
    for step in (
        lambda: service.control("daemon-reload"),
        lambda: service.write(tmp_path / "door.service", "[Service]\n"),
    ):
        with pytest.raises(DeviceError, match="sudo: a password is required") as caught:
            step()
        assert caught.value.hint == "Deploy as root, or let the user call sudo without a password."


def test_a_unit_of_somebody_else(programs, tmp_path: Path) -> None:
    unit = tmp_path / "door.service"
    unit.write_text("[Service]\n")
    programs(systemctl=f"echo FragmentPath={unit}")
    with pytest.raises(DeviceError, match="which somebody else wrote") as caught:
        Service("system", "door").refuse_unusable()
    assert f"sudo systemctl disable --now door.service; sudo rm {unit}" in caught.value.hint


def test_a_system_unit_of_another_user(programs, tmp_path: Path) -> None:
    unit = tmp_path / "door.service"
    programs(systemctl=f"echo FragmentPath={unit}")
    service = Service("system", "door")
    for user in (user_name(), "somebody"):
        places = (Path("/home/current"), Path("/home/data"))
        text = unit_text("door", *places, notifies=True, signed=False, user=user)
        unit.write_text(text)
        if user == user_name():
            service.refuse_unusable()
    with pytest.raises(DeviceError, match="which another user of this device deployed") as caught:
        service.refuse_unusable()
    assert f"sudo systemctl disable --now door.service; sudo rm {unit}" in caught.value.hint


def test_an_output_that_fails_is_named_though_the_device_has_a_proxy(
    programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "_opener", None)  # the first call keeps the proxies
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    sinks = [{"error": None}, {"error": "No connection to the MQTT broker door:1883."}]
    source = {"rate": 10.04, "error": None, "sinks": sinks}
    body = json.dumps({"status": "degraded", "sources": [source]}).encode()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    programs(systemctl="echo ActiveState=active")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/health"
        words = "degraded, 10.0 frames/s: No connection to the MQTT broker door:1883."
        assert Service("system", "door").health(address) == Health("degraded", 10.04, words)
        server.shutdown()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.0 503 No\r\n\r\n" + b"[" * 100_000,
        b'HTTP/1.0 200 OK\r\n\r\n{"status":"ok","sources":[{"rate":1,"sinks":["x"]}]}',
        b'HTTP/1.0 200 OK\r\n\r\n{"status":"ok","sources":[{"rate":1' + b"0" * 400 + b"}]}",
        b'HTTP/1.0 200 OK\r\n\r\n["' + b"x" * (1 << 21) + b'"]',
    ],
)  # fmt: skip
def test_another_program_at_the_address_of_the_health_page(programs, answer: bytes) -> None:
    class Other(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.recv(65536)
                self.request.sendall(answer)

    programs(systemctl="echo ActiveState=active")
    with socketserver.TCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/health"
        health = Service("system", "door").health(address)
        assert health.level == "silent"
        assert address in health.words
        server.shutdown()

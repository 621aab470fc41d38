"""Tests what a deployment installs for the options of a service, and where its health is."""

from __future__ import annotations

import json

import pytest

from edgekit.cli.deploy import _service_options


@pytest.mark.parametrize(
    ("options", "extras"),
    [
        ({"camera": 0}, ()),
        ({"source": "rtsp://camera/stream"}, ("video",)),
        ({"source": ["a.mp4", "b.mp4"]}, ("video",)),
        ({"camera": 0, "video": "out.mp4"}, ("video",)),
        ({"camera": 0, "clips": "clips"}, ("video",)),
        ({"camera": 0, "serve": "8080"}, ("serve",)),
        ({"camera": 0, "mqtt": "mqtt://broker/door"}, ("mqtt",)),
        ({"camera": 0, "metrics": "9000"}, ("metrics",)),
        ({"camera": 0, "require-signature": "keys"}, ("sign",)),
    ],
)
def test_extras(tmp_path, options: dict[str, object], extras: tuple[str, ...]) -> None:
    path = tmp_path / "door.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items()))
    assert _service_options(path).extras == extras


@pytest.mark.parametrize(
    ("serve", "health"),
    [
        ("8080", "http://127.0.0.1:8080/health"),
        ("0.0.0.0:81", "http://127.0.0.1:81/health"),
        ("192.0.2.1:8080", ""),
        ("0", ""),
    ],
)
def test_health(tmp_path, serve: str, health: str) -> None:
    path = tmp_path / "door.toml"
    path.write_text(f'camera = 0\nserve = "{serve}"\n')
    assert _service_options(path).health == health

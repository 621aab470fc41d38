"""Tests what a deployment installs for the options of a service, and where its health is."""

from __future__ import annotations

import json

import pytest

from edgekit.cli import main
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rotate": "1MB"}, "--rotate works only with --events or --video."),
        ({"source": "clip.mp4", "camera-size": "640x480"}, "--camera-size works only with cameras"),
        ({"link": "road", "max-gap": 3}, "--max-gap 3.0 works only with the linker 'edgekit'"),
        ({"serve": "8080", "metrics": "8080"}, "name the same port"),
        ({"camera": [0, 0]}, "The camera 0 was given twice."),
        ({"events": "/there/e", "video": "/there/e"}, "already in use"),
        ({"clips": "/there/clips", "clips-keep": ["1GB", "2GB"]}, "twice as a size"),
    ],
)
def test_options_that_contradict_each_other_are_found_before_anything_is_copied(
    tmp_path, capsys, options: dict[str, object], words: str
) -> None:
    path = tmp_path / "door.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items()))
    assert main(["deploy", "nowhere.invalid", "shipped", "--config", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"Error: {path}: ")
    assert words in said


def test_outputs_may_go_to_folders_that_only_the_device_has(tmp_path) -> None:
    path = tmp_path / "door.toml"
    path.write_text('camera = 0\nvideo = "/there/v.mkv"\nevents = "/there/e.jsonl"\nclips = "/x/y"')
    assert _service_options(path).extras == ("video",)

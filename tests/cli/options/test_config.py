"""Tests options from a file."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import pytest

from edgekit.cli import main
from edgekit.cli.options.config import read
from edgekit.cli.run import command
from tests.waiting import wait_until


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "edgekit.toml"
        path.write_text(text)
        return path

    return write


def taken(path):
    return read(path, click.Context(command))


def test_a_run_takes_its_options_from_a_file(written, spot_bundle, spot_video, tmp_path, capsys):
    events = tmp_path / "events.jsonl"
    path = written(
        f"""
        # A comment.
        source = "{spot_video(12)}"
        bundle = '{spot_bundle}'
        score = 0.25
        max-frames = 5
        realtime = false
        events = "{events}"
        """
    )
    assert main(["run", "--config", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 5
    assert events.is_file()


def test_a_file_of_an_editor_on_windows_is_read(tmp_path):
    path = tmp_path / "edgekit.toml"
    path.write_bytes(b'\xef\xbb\xbfscore = 0.25\r\nsource = "a.mp4"\r\n')
    assert taken(path) == {"score": "0.25", "sources": ["a.mp4"]}


def test_the_command_line_goes_before_the_file(written, spot_bundle, spot_video, capsys):
    path = written(f'source = "/nowhere"\nbundle = "{spot_bundle}"\nmax_frames = 5\n')
    words = ["--source", str(spot_video(12)), "--max-frames", "3", "--json"]
    assert main(["run", *words, "--config", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 3


def test_all_that_run_takes_can_stand_in_a_file(written):
    texts = {
        option.opts[-1].lstrip("-"): "true" if option.is_flag else '"0"'
        for option in command.params
        if isinstance(option, click.Option)
        and option.name not in ("config", "check", "as_json", "verbose", "quiet", "rotate")
    }
    of_choice = {"link": "road", "drop-policy": "none", "runtime": "onnxruntime", "hint": "latency"}
    of_choice |= {"arithmetic": "f32", "raw-format": "nv12", "rtsp-transport": "udp"}
    of_choice |= {"clips-keep": "2GB"}
    of_choice |= dict.fromkeys(("raw-size", "camera-size"), "64x48") | {"camera-format": "mjpg"}
    texts |= {key: f'"{value}"' for key, value in of_choice.items()}
    texts |= dict.fromkeys(("raw-fps", "camera-fps", "fps", "patience", "duration"), "2.5")
    texts |= dict.fromkeys(("top-k", "max-misses", "min-hits", "max-frames"), "2")
    found = taken(written("".join(f"{key} = {value}\n" for key, value in texts.items())))
    assert len(found) == len(texts)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('source = "a"\n\nscroe = 0.3\n', 3, "Did you mean score?"),
        ('source = "a"\nscore = 1.5\n', 2, "1.5"),
        ('source = "a"\nscore = "much"\n', 2, "much"),
        ("# one\nshow = 1\n", 2, "true or false"),
        ("score = true\n", 1, "number"),
        ("\n[source]\nurl = 1\n", 2, "table"),
        ("max-frames = 2\nmax_frames = 3\n", 2, "twice"),
        ("json = true\n", 1, "no option"),
        ('config = "other.toml"\n', 1, "no option"),
        (f"fps = 0x{'f' * 9000}\n", 1, "too many digits"),
        (f"source = [[0x{'f' * 9000}]]\n", 1, "too many digits"),
        ('events = "\\u0000"\n', 1, "events has a NUL character"),
        ('\nsource = ["a", "b\\u0000"]\n', 2, "source has a NUL character"),
        ('source = "a"\nbundle = ""\n', 2, "bundle is empty"),
        ('source = ["a", ""]\n', 1, "source is empty"),
        ('mqtt = ["mqtt://user:secret@broker"]\n', 1, "mqtt takes text or a number, not a list."),
    ],
)
def test_what_is_wrong_is_said_with_its_line(written, text, line, said, capsys):
    path = written(text)
    assert main(["run", "--config", str(path)]) == 2
    words = capsys.readouterr().err
    assert f"{path}, line {line}:" in words
    assert said in words


@pytest.mark.parametrize(
    "content", [b"score = \n", b"score 0.3", b"\xff\xfe", b"fps = 1" + b"0" * 5000, None]
)
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, content, capsys):
    path = tmp_path / "edgekit.toml"
    if content is not None:
        path.write_bytes(content)
    assert main(["run", "--config", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


@contextlib.contextmanager
def denying_broker():
    """The port of a broker that refuses every user name and password, in MQTT 5."""

    def serve(listening):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                with peer:
                    peer.recv(1 << 12)
                    peer.sendall(bytes([0x20, 3, 0, 0x86, 0]))  # CONNACK: bad user or password
                    peer.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]


def test_a_check_opens_all_and_writes_nothing(written, spot_bundle, spot_video, tmp_path, capsys):
    out = tmp_path / "events.jsonl"
    path = written(f'source = "{spot_video(3)}"\nbundle = "{spot_bundle}"\nevents = "{out}"\n')
    assert main(["run", "--config", str(path), "--check"]) == 0
    assert "128x96 at 25 FPS, with spot" in capsys.readouterr().out
    assert not out.exists()
    assert main(["run", "--config", str(path), "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["width"] == 128


def test_a_check_finds_a_place_that_cannot_be_written(spot_bundle, spot_video, tmp_path, capsys):
    video = spot_video(3)
    words = ["run", "--source", str(video), "--bundle", str(spot_bundle), "--check"]
    assert main([*words, "--events", str(video / "events.jsonl")]) == 3
    assert "not a folder" in capsys.readouterr().err
    assert main([*words, "--events", str(tmp_path)]) == 3
    assert main([*words[:2], "/nowhere.mp4", "--check"]) == 3


@pytest.mark.parametrize(
    "outputs",
    [
        ("--clips", "{file}/clips"),
        ("--mqtt", "mqtt://127.0.0.1:1/x", "--mqtt-buffer", "{file}/b.db"),
        ("--mqtt", "mqtt://127.0.0.1:1/x", "--mqtt-buffer", "{file}"),
        ("--metrics", "{port}"),
        ("--serve", "{port}"),
        ("--serve", "{free}", "--metrics", "{free}"),
        ("--mqtt", "mqtt://127.0.0.1:1/x", "--mqtt-buffer", "b" * 250),
        ("--mqtt", "mqtt://a:b@127.0.0.1:{broker}/x", "--mqtt-buffer", "{folder}/b.db"),
    ],
)
def test_a_check_refuses_what_the_run_would(spot_bundle, spot_video, tmp_path, capsys, outputs):
    pytest.importorskip("paho.mqtt.client")
    pytest.importorskip("prometheus_client")
    pytest.importorskip("aiohttp")
    (tmp_path / "plain").write_text("no folder, and no buffer")
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.socket() as free,
        denying_broker() as broker,
    ):
        free.bind(("127.0.0.1", 0))
        places = {"file": tmp_path / "plain", "port": taken.getsockname()[1]}
        places |= {"broker": broker, "folder": tmp_path}
        places["free"] = free.getsockname()[1]
        free.close()
        words = ["run", str(spot_video(3)), "--bundle", str(spot_bundle)]
        words += [word.format(**places) for word in outputs]
        errors = []
        for more in (["--check"], []):
            # One port for two services is wrong usage, whatever is on this machine.
            assert main([*words, *more]) == (2 if "{free}" in outputs else 3)
            errors.append(capsys.readouterr().err)
    assert errors[0]
    assert errors[0] in errors[1]


@pytest.mark.parametrize(
    "outputs",
    [
        ("--events", "{disk}/e.jsonl"),
        ("--video", "{disk}/v.mp4"),
        ("--save-detections", "{disk}/d.json"),
        ("--clips", "{disk}/clips"),
        ("--mqtt", "mqtt://127.0.0.1:1/x", "--mqtt-buffer", "{disk}/b.db"),
    ],
)
def test_a_check_finds_a_full_disk_and_leaves_nothing_there(
    spot_bundle, spot_video, small_disk, capsys, outputs
):
    pytest.importorskip("paho.mqtt.client")
    words = ["run", str(spot_video(3)), "--bundle", str(spot_bundle), "--check"]
    words += [word.format(disk=small_disk) for word in outputs]
    assert main(words) == 0
    assert list(small_disk.iterdir()) == []
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    assert main(words) == 3
    assert "No space left on device" in capsys.readouterr().err
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


@pytest.mark.parametrize("size", [(1, 50), (17_000, 4)])
def test_a_check_refuses_frames_that_the_video_would(spot_bundle, spot_folder, capsys, size):
    words = ["run", str(spot_folder([size])), "--bundle", str(spot_bundle), "--video", "v.mp4"]
    errors = []
    for more in (["--check"], []):
        assert main([*words, *more]) == 3
        errors.append(capsys.readouterr().err)
    assert f"A video of {size[0]}x{size[1]} pixels cannot be written" in errors[0]
    assert errors[0] in errors[1]


def test_a_check_of_sound_outputs_leaves_ports_and_places_as_they_are(
    spot_bundle, spot_video, tmp_path, capsys
):
    pytest.importorskip("paho.mqtt.client")
    words = ["run", str(spot_video(3)), "--bundle", str(spot_bundle), "--check"]
    words += ["--clips", str(tmp_path / "clips"), "--mqtt", "mqtt://127.0.0.1:1/x"]
    words += ["--mqtt-buffer", str(tmp_path / "b.db"), "--serve", "0", "--metrics", "0"]
    before = sorted(tmp_path.iterdir())
    assert main(words) == 0
    assert "Ready: " in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_while_a_source_is_opened_a_hangup_ends_nothing_and_other_signals_end_the_run(
    written, spot_bundle, end
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        path = written(f'source = "rtsp://127.0.0.1:{port}/x"\nbundle = "{spot_bundle}"\n')
        command = [sys.executable, "-m", "edgekit", "run", "--config", str(path)]
        silent.settimeout(120)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
            peer, _ = silent.accept()
            run.send_signal(signal.SIGHUP)
            # Time enough to end by it, as it did once; that it does not is asked below.
            time.sleep(0.2)
            run.send_signal(end)
            _, said = run.communicate(timeout=120)
        peer.close()
    assert run.returncode == 130
    assert "Traceback" not in said


def test_the_file_in_the_docs_is_sound(written):
    text = (Path(__file__).parents[3] / "docs" / "service.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert taken(written(example))["serve"] == "8080"


def test_a_hangup_reads_the_thresholds_again(written, spot_bundle, spot_video, tmp_path):
    events, lines = tmp_path / "events.jsonl", f'bundle = "{spot_bundle}"\nmin-hits = 1\n'
    path = written(lines + "score = 1.0\n")
    words = [
        "run",
        "--source",
        spot_video(3000),
        "--realtime",
        "--events",
        events,
        "--config",
        path,
    ]
    command = [sys.executable, "-m", "edgekit", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as run:
        wait_until(lambda: events.is_file() and events.read_bytes().count(b"\n") > 5)
        for text in ("score = much\n", lines + "score = 0.2\n"):
            path.write_text(text)
            run.send_signal(signal.SIGHUP)
            assert run.stderr.readline()
        wait_until(lambda: b'"observed"' in events.read_bytes())
        run.terminate()
        run.wait(120)
    frames = [json.loads(line) for line in events.read_bytes().splitlines()]
    frames = [event for event in frames if event["type"] == "frame"]
    assert not frames[0]["detections"]
    assert frames[-1]["detections"]

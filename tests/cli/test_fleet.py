"""Tests ``edgekit fleet`` with a real broker and real runs."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from edgekit.benchmarks.suites.support.broker import Mosquitto
from edgekit.cli import main
from edgekit.errors import MissingDependencyError
from tests.waiting import LIMIT, wait_until


@pytest.fixture
def mosquitto(tmp_path):
    pytest.importorskip("paho.mqtt.client")
    with contextlib.ExitStack() as stack:

        def make(*lines):
            try:
                return stack.enter_context(Mosquitto(tmp_path, *lines))
            except MissingDependencyError as error:
                pytest.skip(str(error))

        yield make


@pytest.fixture
def publish():
    """Publishes retained messages."""
    paho = pytest.importorskip("paho.mqtt.client")

    def send(broker, *messages):
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        for topic, payload in messages:
            client.publish(topic, payload, qos=1, retain=True).wait_for_publish(LIMIT)
        client.disconnect()
        client.loop_stop()

    return send


def status(**values):
    usual = {"state": "online", "run": "a", "health": "ok", "host": "board", "every": 3600}
    date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    return json.dumps({**usual, "date": date, **values})


def table(capsys, *words):
    assert main(["fleet", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return found, {device["name"]: device for device in found["devices"]}


def test_runs_report_their_state_until_they_end_or_are_killed(
    mosquitto, start_run, spot_video, tmp_path, capsys
):
    broker = mosquitto()
    url = f"mqtt://127.0.0.1:{broker.port}/site"
    words = ("--source", spot_video(3000), "--realtime")
    runs = {
        name: start_run(*words, "--mqtt", f"{url}/{name}", "--mqtt-buffer", tmp_path / f"{name}.db")
        for name in ("door", "yard")
    }

    def well():
        _, devices = table(capsys, url, "--wait", "0.5")
        return len(devices) == 2 and all(d["state"] == "ok" for d in devices.values()) and devices

    devices = wait_until(well)
    door = devices["door"]
    assert door["bundle"]["name"] == "spot"
    assert (door["target"], door["runtime"], door["health"]) == ("onnx", "onnxruntime", "ok")
    assert door["host"] == socket.gethostname()
    assert door["rate"] > 0
    assert door["taken"] == 1.0
    runs["door"].send_signal(signal.SIGTERM)
    runs["yard"].kill()

    def over():
        _, devices = table(capsys, url, "--wait", "0.5")
        return (devices["door"]["state"], devices["yard"]["state"]) == ("ended", "dead")

    wait_until(over)
    assert main(["fleet", url, "--once", "--wait", "0.5"]) == 0
    shown = capsys.readouterr().out
    assert "1 dead, 1 ended" in shown
    assert "x dead" in shown
    for run in runs.values():
        run.communicate(timeout=LIMIT)


def test_hostile_and_foreign_messages_break_neither_table_nor_json(mosquitto, publish, capsys):
    broker = mosquitto()
    publish(
        broker,
        ("lamp/status", "ON"),
        ("evil/status", status(host="\x1b[2J\n[red]x", run="r\u202e", refused="\x07" * 900)),
        ("e[bold]/status", status(bundle={"name": "b" * 5000, "sha256": "\x1b" * 99}, rate=1e308)),
        ("deep/status", "[" * 60000),
        (f"{'long' * 900}/status", status()),
        ("a/b/c/d/e/status", status()),
        ("a/b/c/d/e/f/g/h/status", status()),
    )
    url = f"mqtt://127.0.0.1:{broker.port}"
    found, devices = table(capsys, url, "--wait", "1")
    assert found["ignored"] >= 1
    assert {"evil", "e[bold]", "a/b/c/d/e"} < devices.keys()
    assert "a/b/c/d/e/f/g/h" not in devices
    assert main(["fleet", url, "--once", "--wait", "1"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "e[bold]" in shown
    assert "that were ignored" in shown
    assert re.search(r"^evil +! degraded ", shown, re.M), "one line for each device"


def test_only_devices_below_the_prefix_are_shown(mosquitto, publish, capsys, caplog):
    broker = mosquitto()
    publish(broker, ("site/door/status", status()), ("other/status", status()))
    publish(broker, ("site/status", status(host="alone")), ("site/yard/1/status", status()))
    _, devices = table(capsys, f"mqtt://127.0.0.1:{broker.port}/site", "--wait", "1", "-v")
    assert devices.keys() == {"door", "alone", "yard/1"}
    assert "by MQTT 5" in caplog.text


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://h", "not the address of an MQTT broker"),
        ("mqtt://h/a/+/b", "contains # or ?, or +"),
        ("mqtt://h/a/%23", "contains # or ?, or +"),
        ("mqtt://h:port", "cannot be read"),
    ],
)
def test_addresses_that_cannot_be_are_refused(address, words, capsys):
    pytest.importorskip("paho.mqtt.client")
    assert main(["fleet", address, "--once"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "BROKER mqtt" not in said


def test_a_broker_that_is_not_there_or_does_not_answer_is_named(capsys):
    pytest.importorskip("paho.mqtt.client")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up():
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert main(["fleet", f"mqtt://127.0.0.1:{port}", "--once"]) == 3
        assert "does not answer as an MQTT broker" in capsys.readouterr().err
        listener.shutdown(socket.SHUT_RDWR)
    assert main(["fleet", f"mqtt://127.0.0.1:{port}", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert "Connection refused" in found["error"]["message"]


def test_a_wrong_password_is_reported_and_never_shown(mosquitto, tmp_path, capsys):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "me", "right"], check=True)
    passwords.chmod(0o644)
    broker = mosquitto("allow_anonymous false", f"password_file {passwords}")
    url = f"mqtt://me:{{}}@127.0.0.1:{broker.port}"
    assert main(["fleet", url.format("s3cret"), "--once"]) == 3
    said = capsys.readouterr().err
    assert "refuses the user name or password" in said
    assert "s3cret" not in said
    assert main(["fleet", url.format("right"), "--once", "--wait", "0.2"]) == 0


def test_topics_that_may_not_be_read_are_reported(mosquitto, tmp_path, capsys):
    rules = tmp_path / "acl"
    rules.write_text("topic write #\n")
    rules.chmod(0o644)
    broker = mosquitto("allow_anonymous true", f"acl_file {rules}")
    status = main(["fleet", f"mqtt://127.0.0.1:{broker.port}/site", "--once", "--wait", "0.5"])
    said = capsys.readouterr()
    # Some versions of the broker only hold the messages back.
    assert status == 0 or "does not let this user read" in said.err


def test_the_live_table_is_renewed_in_place_until_it_is_interrupted(mosquitto, publish):
    broker = mosquitto()
    publish(broker, ("site/door/status", status()))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edgekit", "fleet", f"mqtt://127.0.0.1:{broker.port}/site"]
    surroundings = {**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=surroundings
    )
    os.close(theirs)
    seen = bytearray()

    def read():
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 4096):
                seen.extend(chunk)

    threading.Thread(target=read, daemon=True).start()
    wait_until(lambda: b"1 device at" in seen)
    publish(broker, ("site/yard/status", status(run="b", health="lost")))
    wait_until(lambda: b"2 devices at" in seen and b"degraded" in seen)
    broker.kill()
    wait_until(lambda: b"tries again" in b" ".join(seen.split()))
    broker.start()
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT) == 130
    os.close(ours)
    assert b"Traceback" not in seen
    assert re.search(rb"\x1b\[\d*A", seen)  # it goes up to renew the table


def test_topics_of_up_to_eight_levels_are_found(mosquitto, publish, capsys):
    broker = mosquitto()
    names = ["a", "a/b/c/d/e/f/g"]
    publish(broker, *((f"{name}/status", status()) for name in names))
    for prefix, found in (("", names), ("/a", ["board", "b/c/d/e/f/g"])):
        _, devices = table(capsys, f"mqtt://127.0.0.1:{broker.port}{prefix}", "--wait", "1")
        assert sorted(devices) == sorted(found)

"""Measures which tubes arrive when the MQTT broker is killed under load and comes back.

Run it as ``python -m edgekit.benchmarks.suites.faults.broker_away [--away 60]``. ``edgekit run``
reads a loopback camera that repeats a rendered clip, and sends its tubes to a real mosquitto. The
broker is killed while tubes begin and end, and started again after a minute. What a listener
received is compared with the events file of that run. It prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekit._closing import Closing
from edgekit.benchmarks.suites.faults.power_cut import camera_on_loopback
from edgekit.benchmarks.suites.support.broker import Mosquitto
from edgekit.errors import MissingDependencyError
from edgekit.measuring.timing import machine
from edgekit.synthetic.clip import render_clip

__all__ = ["Arrived", "main", "play"]

_SEED = 9100
_PATIENCE = 60.0
_TOPIC = "home/door"


class Arrived(NamedTuple):
    """Messages of a run that a listener received.

    Attributes:
        tubes: Number of ended tubes in the events file.
        once: Number of tubes whose end arrived exactly once.
        started: Number of tubes whose start arrived exactly once, before the end.
        order: Whether all messages arrived in the order of their numbers.
        missing: Number of message numbers, up to the last, that never arrived.
        twice: Number of messages that arrived again.
        waited: Number of tubes that ended while the broker was away.
    """

    tubes: int
    once: int
    started: int
    order: bool
    missing: int
    twice: int
    waited: int


class _Listener(Closing):
    """Records the messages below the topic; reconnects by itself."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.connected = threading.Event()
        version = CallbackAPIVersion.VERSION2
        self._client = mqtt.Client(version, client_id="listener", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self.connected.set()
        self._client.on_disconnect = lambda *_: self.connected.clear()
        self._client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, json.loads(message.payload))
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self.connected.wait(_PATIENCE)

    def _subscribe(self, client: Any, *_: object) -> None:
        client.subscribe(f"{_TOPIC}/tube/#", qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def play(away: float, folder: Path, before: float = 10.0, after: float = 45.0) -> Arrived:
    """Runs, kills the broker for some seconds, and compares what arrived with the events.

    Args:
        away: Seconds without a broker.
        folder: Empty folder for the run's files.
        before: Seconds of the run before the broker is killed.
        after: Seconds of the run after the broker is back.
    """
    events, buffer = folder / "events.jsonl", folder / "buffer"
    clip = list(render_clip(_SEED))
    with (
        camera_on_loopback(clip) as camera,
        Mosquitto(folder) as broker,
        _Listener(broker.port) as listener,
    ):
        broker.save(_TOPIC)  # so that it knows the listener after the kill
        url = f"mqtt://127.0.0.1:{broker.port}/{_TOPIC}"
        command = [sys.executable, "-m", "edgekit", "run", "--source", camera]
        command += ["--events", str(events), "--mqtt", url, "--mqtt-buffer", str(buffer)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            _wait(lambda: bool(listener.heard), run)
            time.sleep(before)
            broker.kill()
            sooner = _ended(events)
            time.sleep(away)
            waited = _ended(events) - sooner
            broker.start()
            _wait(listener.connected.is_set, run)
            time.sleep(after)
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=_PATIENCE)
        time.sleep(1)
        return _compared(events, listener.heard, waited)


def _wait(condition: Callable[[], bool], run: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition():
        if run.poll() is not None or time.monotonic() > end:
            run.kill()
            raise SystemExit(b"".join(run.communicate()).decode() or "Nothing was sent.")
        time.sleep(0.02)


def _ended(events: Path) -> int:
    return events.read_bytes().count(b'"type":"tube"')


def _compared(events: Path, heard: Sequence[tuple[str, dict[str, Any]]], waited: int) -> Arrived:
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    tubes = [line["id"] for line in lines if line["type"] == "tube"]
    numbers = [said["seq"] for _, said in heard]
    places: dict[str, dict[int, list[int]]] = {"start": {}, "end": {}}
    for topic, number, tube in {(topic, said["seq"], said["id"]) for topic, said in heard}:
        kind = topic.rpartition("/")[2]
        if kind in places:
            places[kind].setdefault(tube, []).append(number)
    starts = [places["start"].get(tube, []) for tube in tubes]
    ends = [places["end"].get(tube, []) for tube in tubes]
    return Arrived(
        len(tubes),
        sum(len(end) == 1 for end in ends),
        sum(len(start) == 1 and start < end[:1] for start, end in zip(starts, ends, strict=True)),
        list(dict.fromkeys(numbers)) == sorted(set(numbers)),
        len(set(range(min(numbers), max(numbers) + 1)) - set(numbers)),
        len(numbers) - len(set(numbers)),
        waited,
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Stops and restarts an MQTT broker during a run.")
    parser.add_argument("--away", type=float, default=60.0, help="seconds without the broker")
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    print(
        "\n| broker away, s | tubes that ended | meanwhile | end arrived once "
        "| start once, before it | in order | missing | sent again |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for _ in range(arguments.times):
        try:
            with tempfile.TemporaryDirectory() as folder:
                found = play(arguments.away, Path(folder))
        except MissingDependencyError as error:
            raise SystemExit(str(error)) from error
        print(
            f"| {arguments.away:g} | {found.tubes} | {found.waited} | {found.once} "
            f"| {found.started} | {'yes' if found.order else 'no'} | {found.missing} "
            f"| {found.twice} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.suites.support.broker import Mosquitto
from edgekit.cli import main
from edgekit.errors import MissingDependencyError, OutputError, UsageError
from edgekit.linking.published import LiveTube
from edgekit.media.sinks.mqtt import _delivery, _link
from edgekit.media.sinks.mqtt import sink as mqtt_sink
from edgekit.media.sinks.mqtt._outbox import Outbox, QueuedMessage
from edgekit.media.sinks.mqtt.sink import Broker, MqttSink, default_buffer
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary
from edgekit.runtime.types import Detections, Frame, Tube
from edgekit.system import backoff
from edgekit.system.installation import install_line
from tests.waiting import LIMIT, wait_until

INFO = RunInfo("camera 0", 64, 48, 25.0, None, ("walk", "run"))
SUMMARY = RunSummary(1, 0, 1.0, {})
IMAGE = np.zeros((48, 64, 3), np.uint8)
SECRET = "s3cret/&@"


def result_of(index, ids=()):
    tubes = [LiveTube(id, id % 2, 0.8, [1.0, 2.0, 30.0, 40.0], 0, 0, 9) for id in ids]
    return FrameResult(Frame(index, index / 25, IMAGE), Detections.empty(2), tubes)


def tube_of(id, start, end):
    length = end - start + 1
    boxes = np.tile([1.0, 2, 3, 4], (length, 1))
    return Tube(id, id % 2, 0.8, start, end, boxes, np.ones(length), np.ones(length, bool))


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch):
    """A starved machine takes longer than the seconds that a run grants the broker."""
    monkeypatch.setattr(mqtt_sink, "_FIRST_TRY_SECONDS", LIMIT)
    monkeypatch.setattr(mqtt_sink, "_LAST_SECONDS", LIMIT)
    monkeypatch.setattr(_link, "_CONNECT_SECONDS", LIMIT)


class Broking(Mosquitto):
    @contextlib.contextmanager
    def frozen(self):
        """Keeps the broker from doing anything inside the block."""
        self._process.send_signal(signal.SIGSTOP)
        yield
        self._process.send_signal(signal.SIGCONT)

    def reload(self):
        """Lets the broker read its rules again."""
        self._process.send_signal(signal.SIGHUP)

    def url(self, user="", scheme="mqtt"):
        return f"{scheme}://{user}127.0.0.1:{self.port}/home/door"


@pytest.fixture
def mosquitto(tmp_path):
    with contextlib.ExitStack() as stack:

        def make(*lines):
            try:
                return stack.enter_context(Broking(tmp_path, *lines))
            except MissingDependencyError as error:
                pytest.skip(str(error))

        yield make


@pytest.fixture
def listener():
    """Makes subscribers; gives the (topic, content) that each has got so far."""
    paho = pytest.importorskip("paho.mqtt.client")
    with contextlib.ExitStack() as stack:

        def make(broker, topic="home/door/tube/#"):
            client = paho.Client(
                paho.CallbackAPIVersion.VERSION2, client_id=topic, clean_session=False
            )
            found, subscribed = [], []
            client.on_connect = lambda *_: client.subscribe(topic, qos=1)
            client.on_subscribe = lambda *_: subscribed.append(1)
            client.on_message = lambda _c, _d, message: found.append(
                (message.topic.removeprefix("home/door/"), json.loads(message.payload))
            )
            client.reconnect_delay_set(1, 1)
            client.connect("127.0.0.1", broker.port)
            client.loop_start()
            stack.callback(client.loop_stop)
            stack.callback(client.disconnect)
            wait_until(lambda: subscribed)
            # What is published before the client is back after a kill is then kept for it.
            broker.save(topic)
            return found

        yield make


@pytest.fixture
def started(tmp_path, monkeypatch):
    pytest.importorskip("paho.mqtt.client")
    monkeypatch.setattr(backoff, "_FIRST", 0.1)
    monkeypatch.setattr(backoff, "_LONGEST", 0.3)
    with contextlib.ExitStack() as stack:

        def make(url, ca=None, **options):
            sink = MqttSink(Broker.parse(url, ca), buffer=tmp_path / "m.db", **options)
            stack.callback(sink.close)
            sink.start(INFO)
            return sink

        yield make


def give_tubes(sink, numbers):
    """One tube after the other, each alive for 30 frames."""
    for number in numbers:
        for index in range(30 * number, 30 * number + 30):
            sink.frame(result_of(index, [number]))
        sink.tube(tube_of(number, 30 * number, 30 * number + 29))


def once(found):
    """Without repeats, in the order of arrival."""
    return list({content["seq"]: (topic, content) for topic, content in found}.values())


def test_every_tube_arrives_once_and_in_order_though_the_broker_is_killed(
    mosquitto, listener, started
):
    broker = mosquitto()
    found = listener(broker)
    sink = started(broker.url())
    give_tubes(sink, range(10))
    broker.kill()
    wait_until(lambda: sink.trouble)
    assert re.search(r"messages wait|1 message waits", sink.trouble)
    # What the broker has acknowledged is its own to lose: killed, it may not have passed it on.
    first = 30 - len(sink._outbox)
    give_tubes(sink, range(10, 30))
    broker.start()
    give_tubes(sink, range(30, 40))
    wait_until(lambda: sink.trouble is None)
    sink.end(SUMMARY)
    sink.close()
    # A start, an update after a second, an end.
    wait_until(lambda: {content["seq"] for _, content in found} >= set(range(first, 120)))
    kinds = ["tube/start", "tube/update", "tube/end"]
    got = [(topic, content["seq"], content["id"]) for topic, content in once(found)]
    numbers = [number for _, number, _ in got]
    assert numbers == sorted(numbers)
    assert got == [(kinds[n % 3], n, n // 3) for n in numbers]
    assert len({content["run"] for _, content in found}) == 1


def test_a_tube_whose_frames_were_lost_has_a_start_before_its_end(mosquitto, listener, started):
    broker = mosquitto()
    found = listener(broker)
    sink = started(broker.url())
    sink.frame(result_of(50, [3]))
    sink.tube(tube_of(7, 20, 49))
    sink.tube(tube_of(3, 40, 50))
    sink.end(SUMMARY)
    wait_until(lambda: len(found) == 4)
    got = [(topic, content["seq"], content["id"]) for topic, content in once(found)]
    assert got == [
        ("tube/start", 0, 3),
        ("tube/start", 1, 7),
        ("tube/end", 2, 7),
        ("tube/end", 3, 3),
    ]
    content = found[1][1]
    assert (content["index"], content["time"], content["box"]) == (20, 20 / 25, [1, 2, 3, 4])


def test_tubes_whose_end_was_lost_take_no_memory(started):
    sink = started("mqtt://127.0.0.1:1")
    for index in range(60):
        sink.frame(result_of(index, [index // 3]))
    assert sink._begun <= {18, 19}


def test_what_a_run_leaves_the_next_one_sends(mosquitto, listener, started):
    broker = mosquitto()
    found = listener(broker)
    broker.kill()
    sink = started(broker.url())
    give_tubes(sink, range(3))
    sink.end(SUMMARY)
    sink.close()
    broker.start()
    sink = started(broker.url())
    give_tubes(sink, range(2))
    sink.end(SUMMARY)
    sink.close()
    wait_until(lambda: len({(content["run"], content["seq"]) for _, content in found}) == 15)
    runs = list(dict.fromkeys(content["run"] for _, content in found))
    ids = [[c["id"] for t, c in found if t == "tube/end" and c["run"] == run] for run in runs]
    assert ids == [[0, 1, 2], [0, 1]]


def test_another_bundle_loses_no_message_and_looks_like_no_outage(mosquitto, listener, started):
    broker = mosquitto()
    found, status = listener(broker), listener(broker, "home/door/status")
    sink = started(broker.url())
    for number in range(4):
        give_tubes(sink, [number])
        sink.bundle(BundleChange(f"bundle {number}", "22", 30 * number + 30, INFO.classes))
        wait_until(lambda: status and status[-1][1]["bundle"]["name"] == f"bundle {number}")  # noqa: B023
    sink.end(SUMMARY)
    sink.close()
    wait_until(lambda: {content["seq"] for _, content in found} == set(range(12)))
    wait_until(lambda: status[-1][1]["state"] == "offline")
    assert [content.get("reason") for _, content in status if "reason" in content] == ["ended"]


def test_the_last_status_says_what_error_ended_the_run(mosquitto, listener, started):
    broker = mosquitto()
    status = listener(broker, "home/door/status")
    sink = started(broker.url())
    sink.end(replace(SUMMARY, error="The file is damaged."))
    sink.close()
    wait_until(lambda: status and status[-1][1]["state"] == "offline")
    last = status[-1][1]
    assert (last["reason"], last["error"]) == ("failed", "The file is damaged.")


def test_the_broker_says_so_when_a_run_vanishes(mosquitto, listener, tmp_path):
    """It also names the bundle that ran at last."""
    broker = mosquitto()
    status = listener(broker, "home/door/status")
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from edgekit.media.sinks.mqtt import sink as mqtt\n"
        "from edgekit.media.sinks.mqtt.sink import Broker, MqttSink\n"
        "from edgekit.pipeline.bundle_change import BundleChange\n"
        "from edgekit.pipeline.results import RunInfo\n"
        f"mqtt._FIRST_TRY_SECONDS = {LIMIT}\n"
        "sink = MqttSink(Broker.parse(sys.argv[1]), buffer=Path(sys.argv[2]))\n"
        "sink.start(RunInfo('x', 1, 1, 25.0, None, (), bundle='one'))\n"
        "sink.bundle(BundleChange('two', '22', 1, ()))\n"
        f"end, link = time.monotonic() + {LIMIT}, sink._link\n"
        "def renewed(): return link._connected and link._willed['name'] == 'two'\n"
        "while not renewed() and time.monotonic() < end: time.sleep(0.01)\n"
        "os._exit(0 if sink.trouble is None else 1)\n"
    )
    arguments = [broker.url(), str(tmp_path / "m.db")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    wait_until(lambda: status and status[-1][1]["state"] == "offline")
    assert status[-1][1]["reason"] == "lost"
    assert status[-1][1]["bundle"]["name"] == "two"


def test_a_refused_password_is_said_and_never_shown(mosquitto, started, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    broker = mosquitto("allow_anonymous false", f"password_file {passwords}")
    with pytest.raises(OutputError, match="refuses the name or password") as caught:
        started(broker.url("me:s3cret%2F%26%40@"))
    assert "s3cret" not in str(caught.value) + caplog.text


def test_a_password_that_fits_is_used(mosquitto, started, tmp_path):
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("needs mosquitto_passwd: apt-get install mosquitto")
    passwords = tmp_path / "passwords"
    subprocess.run([tool, "-c", "-b", str(passwords), "me", SECRET], check=True)
    broker = mosquitto("allow_anonymous false", f"password_file {passwords}")
    assert started(broker.url("me:s3cret%2F%26%40@")).trouble is None


# paho-mqtt leaves it to Python to close the socket of a handshake that fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_trusts_the_named_certificate_and_no_other(mosquitto, started, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    for name in ("own", "other"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")),
            ],
            check=True,
            capture_output=True,
        )
    lines = [f"certfile {tmp_path}/own.pem", f"keyfile {tmp_path}/own.key"]
    broker = mosquitto("allow_anonymous true", *lines)
    sink = started(broker.url(scheme="mqtts"), tmp_path / "own.pem")
    assert sink.trouble is None
    sink.close()
    assert "certificate" in started(broker.url(scheme="mqtts"), tmp_path / "other.pem").trouble


def test_a_full_disk_is_said_and_nothing_is_numbered_twice(small_disk, tmp_path):
    pytest.importorskip("paho.mqtt.client")
    sink = MqttSink(Broker.parse("mqtt://127.0.0.1:1"), buffer=small_disk / "m.db")
    with contextlib.closing(sink):
        sink.start(INFO)
        with pytest.raises(OutputError, match="full"):
            give_tubes(sink, range(10_000))
        with pytest.raises(OutputError, match="No space"):
            sink.reopen()


def test_sources_of_one_run_have_topics_of_their_own(mosquitto, listener, spotter, spots, tmp_path):
    broker = mosquitto()
    found = listener(broker, "home/door/#")
    videos = [spots / "spot0.avi", spots / "spot1.avi"]
    words = [word for video in videos for word in ("--source", str(video))]
    words += ["--bundle", str(spotter.path), "--mqtt", broker.url()]
    assert main(["run", *words, "--mqtt-buffer", str(tmp_path / "m.db"), "--json"]) == 0
    wait_until(lambda: sum(content.get("reason") == "ended" for _, content in found) == 2)
    for number, video in enumerate(videos):
        own = [(topic, content) for topic, content in found if topic.startswith(f"{number}/")]
        assert {content["source"] for _, content in own} == {str(video)}
        tubes = [(topic, content) for topic, content in own if "/tube/" in topic]
        assert [content["seq"] for _, content in tubes] == list(range(len(tubes)))
        assert tubes[0][0] == f"{number}/tube/start"
        assert tubes[-1][0] == f"{number}/tube/end"
        assert (tmp_path / f"m-{number}.db").exists()


def test_two_runs_do_not_share_a_buffer(started, tmp_path):
    started("mqtt://127.0.0.1:1")
    with pytest.raises(OutputError, match="in use by another run"):
        started("mqtt://127.0.0.1:1")


@settings(max_examples=30, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["start", "update", "end"]), max_size=60),
    most=st.integers(1, 400),
)
def test_the_bound_costs_updates_first_and_keeps_the_order(tmp_path_factory, kinds, most):
    with Outbox(tmp_path_factory.mktemp("outbox") / "m.db", most) as box:
        for number, kind in enumerate(kinds):
            box.add([QueuedMessage("t", b"%10d" % number, kind)])
        left = [int(payload) for _, _, payload in box.after(0, 1000)]
        assert len(box) == len(left)
    assert left == sorted(left)
    assert 10 * len(left) <= max(most, 10)
    lost = [kinds[number] for number in range(len(kinds)) if number not in left]
    assert box.dropped == {kind: lost.count(kind) for kind in ("start", "update", "end")}
    gone = [n for n, kind in enumerate(kinds) if kind != "update" and n not in left]
    assert not any(kinds[n] == "update" and gone and n < gone[-1] for n in left)
    assert bool(left) == bool(kinds)


def test_a_removal_that_the_full_disk_refuses_counts_nothing(small_disk):
    with Outbox(small_disk / "m.db", 1 << 30) as box:
        box.add([QueuedMessage("t", bytes(500), "end")] * 100)
        numbers = [number for number, _, _ in box.after(0, 200)]
        with contextlib.suppress(OSError), (small_disk / "filler").open("wb", 0) as filler:
            while True:
                filler.write(bytes(1024))
        with pytest.raises(OutputError):
            box.remove(numbers)
        assert len(box) == len(box.after(0, 200)) == 100
        (small_disk / "filler").unlink()
        box.remove(numbers)
        assert len(box) == len(box.after(0, 200)) == 0
        assert box._bytes == 0


def test_messages_outlive_the_file_being_closed(tmp_path):
    path = tmp_path / "m.db"
    with Outbox(path, 1000) as box:
        box.add([QueuedMessage("a", b"1", "start"), QueuedMessage("b", b"2", "end")])
        ((first, *_), _) = box.after(0, 9)
        box.remove([first, first])
    with Outbox(path, 1000) as box:
        assert [row[1:] for row in box.after(0, 9)] == [("b", b"2")]
        assert len(box) == 1


def test_messages_that_begin_or_end_a_tube_are_synced_at_once_and_updates_once_a_second(tmp_path):
    """Else a power cut loses half a minute; make vm shows the effect."""
    statements = []
    with Outbox(tmp_path / "m.db", 1000) as box:
        box._base.set_trace_callback(statements.append)
        for kind in ("update", "update", "start", "update", "end"):
            box.add([QueuedMessage("t", b"1", kind)])
        box._synced -= 1.1
        box.add([QueuedMessage("t", b"1", "update")])
    modes = [each.rpartition(" ")[2] for each in statements if "synchronous" in each]
    assert modes == ["FULL", "NORMAL", "FULL", "NORMAL", "FULL", "FULL"]


def test_messages_outlive_a_killed_process(tmp_path):
    path = tmp_path / "m.db"
    code = (
        "import os, pathlib, signal, sys\n"
        "from edgekit.media.sinks.mqtt._outbox import Outbox, QueuedMessage\n"
        "box = Outbox(pathlib.Path(sys.argv[1]), 10_000)\n"
        "for number in range(100):\n"
        "    box.add([QueuedMessage('t', b'%d' % number, 'end')])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with Outbox(path, 10_000) as box:
        assert [int(payload) for _, _, payload in box.after(0, 1000)] == list(range(100))


def test_a_damaged_buffer_is_set_aside_and_a_new_one_begins(tmp_path, caplog):
    path = tmp_path / "m.db"
    with Outbox(path, 1 << 20) as box:
        for number in range(100):
            box.add([QueuedMessage("t", bytes(1000), "end" if number % 2 else "update")])
    content = path.read_bytes()
    page = int.from_bytes(content[16:18], "big")
    for place in range(page, len(content), page):
        path.write_bytes(content[:place] + b"\xff" * 64 + content[place + 64 :])
        with Outbox(path, 1 << 20) as box:
            box.add([QueuedMessage("t", b"1", "end")])
            if len(box) < 100:  # some pages have nothing but payload at their start
                assert [payload for *_, payload in box.after(0, 9)] == [b"1"]
                kept = tmp_path / "m.db.damaged"
                assert kept.read_bytes()[place : place + 64] == b"\xff" * 64
                assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        path.unlink()
    assert f"The buffer {path} is damaged" in caplog.text
    assert f"it is {path}.damaged now" in caplog.text


def test_a_check_leaves_a_damaged_buffer_where_it_is(tmp_path, caplog):
    path = tmp_path / "m.db"
    with Outbox(path, 1 << 20) as box:
        box.add([QueuedMessage("t", bytes(1000), "end")] * 50)
    content = path.read_bytes()
    damaged = content[:4096] + b"\xff" * (len(content) - 4096)
    path.write_bytes(damaged)
    MqttSink("mqtt://127.0.0.1:9/door", buffer=path).check()
    assert path.read_bytes() == damaged
    assert [file.name for file in tmp_path.iterdir()] == ["m.db"]
    assert f"A run would rename it to {path}.damaged" in caplog.text


def test_a_buffer_of_anything_else_is_refused(tmp_path):
    path = tmp_path / "m.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(OutputError, match="not a database"):
        Outbox(path, 1000)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "http://u:s3cret@h",
        "mqtt://",
        "mqtt://u:s3cret@h:99999",
        "mqtt://u:s3cret@h:x/y",
        "mqtt://u:s3cret@[::1/y",
        "mqtt://u:s3cret@h/a/#",
        "mqtt://u:s3cret@h/a?b",
    ],
)
def test_an_address_that_is_none_is_not_repeated(url):
    with pytest.raises(UsageError, match="mqtt") as caught:
        Broker.parse(url)
    assert "s3cret" not in str(caught.value)


def test_a_file_without_a_certificate_is_refused_at_once(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(UsageError, match="holds no certificate"):
        Broker.parse("mqtts://host/x", tmp_path / "ca.pem")


def test_an_address_is_read_whole(tmp_path):
    broker = Broker.parse("mqtts://me:s3cret%2F%26%40@Host:99/a/b/", None)
    assert (broker.host, broker.port, broker.prefix, broker.tls) == ("host", 99, "a/b", True)
    assert (broker.user, broker.password) == ("me", SECRET)
    assert "s3cret" not in repr(broker)
    plain = Broker.parse("mqtt://[::1]")
    assert (plain.host, plain.port, plain.prefix, plain.user) == ("::1", 1883, "edgekit", None)
    assert (plain.place, broker.place) == ("[::1]:1883", "host:99")
    assert default_buffer(plain) != default_buffer(broker)
    with pytest.raises(UsageError, match="mqtts://"):
        Broker.parse("mqtt://h", tmp_path)
    with pytest.raises(UsageError, match="no file"):
        Broker.parse("mqtts://h", tmp_path / "ca.pem")


def test_without_the_extra_its_pip_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    with pytest.raises(MissingDependencyError, match=re.escape(install_line("mqtt"))):
        MqttSink(Broker.parse("mqtt://h"))


@contextlib.contextmanager
def answering(answer):
    """The address of a broker that has each connection answered by a function."""

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                answer(peer)

    pytest.importorskip("paho.mqtt.client")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"mqtt://127.0.0.1:{listener.getsockname()[1]}/home"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_broker_that_hangs_up_at_once_is_asked_ever_more_rarely(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(backoff, "_FIRST", LIMIT)
    monkeypatch.setattr(backoff, "_LONGEST", 4 * LIMIT)
    monkeypatch.setattr(backoff.Backoff, "scattered", lambda self: 0.0)
    served = []

    def hang_up(peer):
        peer.recv(1 << 12)
        peer.sendall(bytes([0x20, 3, 0, 0, 0]))  # CONNACK: welcome
        peer.recv(1 << 12)
        served.append(1)

    with (
        answering(hang_up) as url,
        contextlib.closing(MqttSink(Broker.parse(url), buffer=tmp_path / "m.db")) as sink,
    ):
        sink.start(INFO)
        wait_until(lambda: len(served) > 4)
    waits = re.findall(r"tried again in about (\d+) seconds", caplog.text)
    # One for each time that the wait has grown.
    assert waits == ["120", "240", "480"]


@pytest.mark.parametrize(
    "rest",
    [b"\x40\x01\x00", b"\x40\x04\x00\x01\x10\xff", b"\x30\x02\x00\xff", b"\xf0\x00", b"\xff" * 9],
)
def test_a_broker_that_breaks_the_protocol_is_reported_and_asked_again(tmp_path, monkeypatch, rest):
    monkeypatch.setattr(backoff, "_FIRST", 0.01)
    monkeypatch.setattr(backoff, "_LONGEST", 0.02)
    served = []

    def babble(peer):
        peer.recv(1 << 12)
        peer.sendall(bytes([0x20, 3, 0, 0, 0]) + rest)
        with contextlib.suppress(OSError):
            peer.recv(1 << 12)
        served.append(1)

    with (
        answering(babble) as url,
        contextlib.closing(MqttSink(Broker.parse(url), buffer=tmp_path / "m.db")) as sink,
    ):
        sink.start(INFO)
        wait_until(lambda: len(served) > 3)
        wait_until(lambda: sink.trouble is not None)
        assert sink._link._thread.is_alive()


def test_what_the_rules_of_the_broker_forbid_is_reported_and_counted(
    mosquitto, started, tmp_path, caplog
):
    rules = tmp_path / "rules"
    rules.write_text("topic write home/door/status\ntopic write home/door/tube/start\n")
    rules.chmod(0o644)
    # Without limits Mosquitto 2.0.11 hangs up where it refuses a message.
    limits = ("max_queued_messages 1000", "max_inflight_messages 20")
    lines = (*limits, "allow_anonymous true", f"acl_file {rules}")
    sink = started(mosquitto(*lines).url())
    give_tubes(sink, range(3))
    # A start of each, an update and an end.
    wait_until(lambda: sink.dropped >= 6)
    assert re.search(r"refuses home/door/tube/(update|end): Not authorized", sink.trouble)
    sink.end(SUMMARY)
    assert sink.dropped == 6
    assert caplog.text.count("Refused messages are lost") == 1


def test_a_broker_that_hangs_is_reported_during_the_run_and_at_its_end(
    mosquitto, started, monkeypatch
):
    monkeypatch.setattr(_delivery, "_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(mqtt_sink, "_LAST_SECONDS", 0.2)
    broker = mosquitto()
    sink = started(broker.url())
    give_tubes(sink, range(1))
    wait_until(lambda: len(sink._outbox) == 0)
    assert sink.trouble is None
    with broker.frozen():
        give_tubes(sink, range(1, 2))
        wait_until(lambda: sink.trouble is not None)
        assert "does not acknowledge messages" in sink.trouble
        monkeypatch.setattr(_delivery, "_ANSWER_SECONDS", LIMIT)
        sink.end(SUMMARY)
        assert "did not answer at the end. 3 messages wait." in sink.trouble


def test_a_topic_that_the_broker_allows_later_is_no_trouble_any_more(mosquitto, started, tmp_path):
    rules = tmp_path / "rules"
    status = "topic write home/door/status\n"
    rules.write_text(status)
    rules.chmod(0o644)
    limits = ("max_queued_messages 1000", "max_inflight_messages 20")
    broker = mosquitto(*limits, "allow_anonymous true", f"acl_file {rules}")
    sink = started(broker.url())
    give_tubes(sink, range(1))
    wait_until(lambda: sink.dropped >= 2)
    assert "Not authorized" in sink.trouble
    rules.write_text(f"{status}topic write home/door/tube/#\n")
    broker.reload()
    given = itertools.count(1)

    def is_well():
        give_tubes(sink, [next(given)])
        return sink.trouble is None

    wait_until(is_well)
    assert sink.dropped >= 2


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x02\x00\x84", b""])
def test_a_broker_that_does_not_know_mqtt_5_is_spoken_to_in_3_1_1(tmp_path, answer):
    levels, statuses = [], []
    over = threading.Event()

    def speak_3_1_1(peer):
        connect = peer.recv(1 << 12)
        levels.append(connect[connect.index(b"MQTT") + 4])
        if levels[-1] == 5:
            peer.sendall(answer)
            return
        peer.sendall(bytes([0x20, 2, 0, 0]))
        statuses.append(peer.recv(1 << 12))
        over.wait(LIMIT)

    with (
        answering(speak_3_1_1) as url,
        contextlib.closing(MqttSink(Broker.parse(url), buffer=tmp_path / "m.db")) as sink,
    ):
        sink.start(INFO)
        wait_until(lambda: statuses)
        assert sink.trouble is None
        over.set()
    assert levels == [5, 4]
    assert b"home/status" in statuses[0]


def test_what_waits_to_be_sent_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "queue.db"
    path.write_bytes(b"")
    path.chmod(0o666)
    with Outbox(path, 1000) as outbox:
        outbox.add([QueuedMessage("topic", b"payload", "start")])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "queue.db-wal" in modes


def test_the_folder_of_the_queue_is_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "edgekit").mkdir(0o755)
    assert default_buffer(Broker.parse("mqtt://127.0.0.1")).parent == tmp_path / "edgekit"
    assert stat.S_IMODE((tmp_path / "edgekit").stat().st_mode) == 0o700


ENDLESS = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT COUNT(*) FROM r"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (f"CREATE TRIGGER t AFTER INSERT ON message BEGIN {ENDLESS}; END", "found 't'"),
        (f"CREATE VIEW v AS {ENDLESS}", "found 'v'"),
        ("CREATE TABLE notes (a)", "found 'notes'"),
        ("INSERT INTO message (topic, payload, kind) VALUES (1, NULL, 'end')", "found 1 rows"),
        ("INSERT INTO message (topic, payload, kind) VALUES ('t', 'text', 'end')", "found 1 rows"),
        ("INSERT INTO message (topic, payload, kind) VALUES ('a/#', x'00', 'end')", "found 1 rows"),
        ("INSERT INTO message (topic, payload, kind) VALUES ('', x'00', 'end')", "found 1 rows"),
        (
            "INSERT INTO message (topic, payload, kind) VALUES ('t', zeroblob(100000000), 'end')",
            "up to 100000000 bytes in one",
        ),
    ],
)
def test_a_queue_with_anything_but_messages_is_refused(tmp_path, change, found):
    path = tmp_path / "queue.db"
    with Outbox(path, 1000) as box:
        box.add([QueuedMessage("t", b"x", "start")])
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute(change)
    with pytest.raises(OutputError, match=found):
        Outbox(path, 1000)


def test_another_database_is_refused_and_stays_as_it_was(tmp_path):
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE message (a)")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="to hold messages that EdgeKit has queued; found 'mess"):
        Outbox(path, 1000)
    assert path.read_bytes() == before

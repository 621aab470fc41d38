"""Tests sinks of packages in a run, and errors that name their package."""

from __future__ import annotations

import json

import pytest

import edgekit
from edgekit.cli import main

MODULE = """\
import json
from pathlib import Path
from edgekit.errors import UsageError
from edgekit.media.sinks.sink import Sink


class Calls(Sink):
    \"\"\"Writes the names of its calls.\"\"\"

    def __init__(self, argument, source_index):
        if not argument:
            raise UsageError("Expected sink=calls:FILE; found no file.")
        self.path, self.names, self.index = Path(argument), [], source_index

    def start(self, info):
        self.names.append("start")

    def frame(self, result):
        self.names.append("frame")

    def end(self, summary):
        path = self.path if self.index is None else self.path.with_suffix(f".{self.index}")
        path.write_text(json.dumps([*self.names, "end"]))


class Faulty(Sink):
    \"\"\"Raises in the method that its value names.\"\"\"

    def __init__(self, argument, source_index):
        self._where, _, self._how = argument.partition(":")
        self._pass("make")

    def _pass(self, where):
        if where == self._where:
            if self._how == "exit":
                raise SystemExit(0)
            raise RuntimeError("no ink")

    def check(self):
        self._pass("check")

    def start(self, info):
        self._pass("start")

    def frame(self, result):
        self._pass("frame")

    def tube(self, tube):
        self._pass("tube")

    def end(self, summary):
        self._pass("end")

    def close(self):
        self._pass("close")

    @property
    def dropped(self):
        self._pass("dropped")
        return 0

    @property
    def trouble(self):
        self._pass("trouble")

    @property
    def codec(self):
        return 5 if self._where == "codec" else None


def no_sink(argument, source_index):
    return argument
"""
ENTRIES = """\
calls = ink_parts:Calls
faulty = ink_parts:Faulty
no-sink = ink_parts:no_sink
absent = ink_parts:Absent
"""
FAILED = "The plug-in 'faulty' in edgekit.sinks of ink 1.2 failed: RuntimeError: no ink."


@pytest.fixture
def ink(add_package):
    add_package("ink", "edgekit.sinks", ENTRIES, MODULE)


@pytest.fixture
def run(spot_bundle, spot_video, capfd):
    """Runs ``edgekit run --json`` on a short video; returns status, JSON and standard error."""

    def call(*words) -> tuple[int, dict, str]:
        capfd.readouterr()
        clip = [] if "--source" in words else [spot_video(12)]
        arguments = ["run", *clip, "--bundle", spot_bundle, *words, "--json"]
        status = main([*map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return status, json.loads(out), err

    return call


def test_sinks_of_packages_get_the_results(ink, run, tmp_path):
    one, two = tmp_path / "one.json", tmp_path / "two:2.json"
    status, report, _ = run("--sink", f"calls:{one}", "--sink", f"calls:{two}")
    assert status == 0
    for path in (one, two):
        assert json.loads(path.read_text()) == ["start", *["frame"] * 12, "end"]
    names = [sink["name"] for sink in report["sinks"]]
    assert names == ["sink calls", "sink calls 2"]
    assert [sink["lost"] for sink in report["sinks"]] == [0, 0]
    assert report["sinks"][0]["written"] >= 12


def test_each_source_has_its_own_sink(ink, run, spot_video, tmp_path):
    out = tmp_path / "calls.json"
    status, report, _ = run(spot_video(5, "other.mp4"), "--sink", f"calls:{out}")
    assert status == 0
    assert [source["sinks"][0]["name"] for source in report["sources"]] == ["sink calls"] * 2
    frames = [json.loads(out.with_suffix(f".{n}").read_text()).count("frame") for n in range(2)]
    assert sorted(frames) == [5, 12]


def test_a_configuration_file_names_sinks(ink, run, tmp_path):
    (tmp_path / "run.toml").write_text(f'sink = ["calls:{tmp_path / "calls.json"}"]\n')
    assert run("--config", tmp_path / "run.toml")[0] == 0
    assert (tmp_path / "calls.json").exists()


def test_python_names_sinks_in_the_options(ink, spots, spotter, tmp_path):
    options = edgekit.RunOptions(
        sources=(str(spots / "spot0.avi"),),
        bundle=spotter.path,
        sinks=(f"calls:{tmp_path / 'calls.json'}",),
    )
    report = edgekit.run(options)
    assert report.sources[0].sinks[0].name == "sink calls"
    assert json.loads((tmp_path / "calls.json").read_text())[-1] == "end"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["nothing:x"], 2, "--sink names the sink 'nothing'; expected one of absent, calls"),
        (["calls"], 2, "Expected sink=calls:FILE; found no file."),
        (["calls:x", "calls:x"], 2, "--sink names the same sink with the same value twice."),
        (["faulty:make"], 3, FAILED),
        (["no-sink"], 1, "failed: TypeError: expected a Sink; found str."),
        (["absent"], 1, "cannot be imported from ink_parts:Absent: AttributeError"),
    ],
)
@pytest.mark.parametrize("check", [[], ["--check"]], ids=["run", "check"])
def test_a_sink_that_cannot_be_made_is_refused(ink, run, words, status, said, check):
    sinks = [word for name in words for word in ("--sink", name)]
    found, report, _ = run(*sinks, *check)
    assert found == status
    assert said in report["error"]["message"]
    assert "frames" not in report


def test_without_packages_no_sink_has_a_name(run):
    status, report, _ = run("--sink", "calls:x")
    assert status == 2
    assert report["error"]["message"] == (
        "--sink names the sink 'calls', and no installed package adds a sink."
    )
    assert "--events" in report["error"]["hint"]


def test_names_are_checked_before_sources(ink, run):
    status, report, _ = run("--source", "rtsp://127.0.0.1:1/none", "--sink", "nothing")
    assert status == 2
    assert "'nothing'" in report["error"]["message"]


@pytest.mark.parametrize("where", ["check", "close"])
def test_a_check_asks_the_sinks(ink, run, where):
    status, report, _ = run("--sink", f"faulty:{where}", "--check")
    assert status == 3
    assert report["error"]["message"] == FAILED
    assert run("--sink", "faulty:start", "--check")[0] == 0


@pytest.mark.parametrize("where", ["start", "frame", "tube", "end", "close"])
@pytest.mark.parametrize("how", ["", ":exit"], ids=["raises", "exits"])
def test_a_sink_that_fails_ends_a_run_over_a_file(ink, run, tmp_path, where, how):
    events = tmp_path / "events.jsonl"
    status, report, _ = run("--sink", f"faulty:{where}{how}", "--events", events)
    assert status == 3
    assert report["error"]["code"] == "output"
    assert report["error"]["message"].startswith("The plug-in 'faulty' in edgekit.sinks of ink 1.2")
    assert "--sink" in report["error"]["hint"]
    assert json.loads(events.read_text().splitlines()[-1])["type"] == "end"


@pytest.mark.parametrize(("where", "lost"), [("frame", True), ("end", False), ("close", False)])
def test_a_live_run_goes_on_without_a_sink_that_fails(ink, run, mjpeg_server, where, lost, caplog):
    mjpeg_server.start()
    words = ["--source", mjpeg_server.url, "--drop-policy", "none", "--max-frames", "20"]
    status, report, _ = run(*words, "--sink", f"faulty:{where}")
    assert (status, report["frames"]) == (3, 20)
    (sink,) = report["sinks"]
    assert (sink["name"], sink["error"]) == ("sink faulty", FAILED)
    assert bool(sink["lost"]) == lost
    loss = f"{sink['lost']} of " if sink["lost"] else "The plug-in 'faulty'"
    assert report["error"]["message"].startswith(f"sink faulty: {loss}")
    assert FAILED in report["error"]["message"]
    assert f"sink faulty: {FAILED} The run goes on without it." in caplog.text


def test_a_live_run_does_not_start_without_its_sinks(ink, run, mjpeg_server):
    mjpeg_server.start()
    status, report, _ = run("--source", mjpeg_server.url, "--sink", "faulty:start")
    assert status == 3
    assert report["error"]["message"] == FAILED


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("dropped", "RuntimeError: no ink"),
        ("trouble", "RuntimeError: no ink"),
        ("codec", "TypeError: expected codec as str; found 5"),
    ],
)
def test_a_property_that_fails_is_reported_as_trouble(ink, run, where, said):
    status, report, _ = run("--sink", f"faulty:{where}")
    assert status == 3
    assert report["frames"] == 12
    assert said in report["sinks"][0]["error"]


def test_a_value_is_not_shown(ink, run):
    for words in (["--sink", "faulty:start:s3cret"], ["--sink", "nothing:s3cret"]):
        status, report, err = run(*words)
        assert status in (2, 3)
        assert "s3cret" not in json.dumps(report) + err
    assert "s3cret" not in repr(edgekit.RunOptions(sinks=("calls:s3cret",)))

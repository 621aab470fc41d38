"""Tests that control characters in names never reach the terminal."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.bundle import Bundle, load_bundle, save_bundle
from edgekit.cli import main
from edgekit.cli.output.log_format import PrintableFormatter

EVIL = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e\r\n[/x]"
SHOWN = r"\x1b]0;title\x07\x1b[2J\x9b31m\u202e\x0d\x0a[/x]"


@pytest.fixture
def evil_bundle(spot_bundle: Path, tmp_path: Path) -> Bundle:
    """Has such a name wherever a manifest has one, and in the operators of its model."""
    import msgspec
    import onnx

    bundle = load_bundle(spot_bundle)
    manifest = bundle.manifest
    replace = msgspec.structs.replace
    manifest = replace(
        manifest,
        name=EVIL,
        arch=EVIL,
        classes=(EVIL, *manifest.classes[1:]),
        converter={EVIL: EVIL},
        outputs=tuple(replace(output, layout=EVIL) for output in manifest.outputs),
        provenance=replace(manifest.provenance, checkpoint=EVIL, edgekit=EVIL, date=EVIL),
    )
    model = onnx.load(str(bundle.model_path))
    model.graph.node[0].name = EVIL
    onnx.save(model, str(tmp_path / "model.onnx"))
    return save_bundle(
        tmp_path / "evil", manifest, {bundle.manifest.model: tmp_path / "model.onnx"}
    )


def is_clean(text: str) -> bool:
    return not set(text) & set("\x1b\x07\x9b\u202e\r")


def test_inspect(evil_bundle, capsys):
    assert main(["inspect", str(evil_bundle.path)]) == 0
    shown = capsys.readouterr()
    assert is_clean(shown.out + shown.err)
    assert shown.out.count(r"\x1b]0;title") >= 6
    assert main(["inspect", str(evil_bundle.path), "--json"]) == 0
    out = capsys.readouterr().out
    assert is_clean(out)
    assert json.loads(out)["manifest"]["classes"][0] == EVIL


def test_run(evil_bundle, spot_video, tmp_path, capsys):
    video = spot_video(frames=12)
    hostile = video.rename(tmp_path / "clip\x1b[2J\x9b.mp4")
    command = ["run", str(hostile), "--bundle", str(evil_bundle.path), "-v"]
    assert main([*command, "--min-hits", "1"]) == 0
    shown = capsys.readouterr()
    assert is_clean(shown.out + shown.err)
    assert r"\x1b]0;title" in shown.out
    assert main(["run", str(hostile), str(hostile), "--bundle", str(evil_bundle.path)]) == 0
    shown = capsys.readouterr()
    assert is_clean(shown.out + shown.err)
    assert r"clip\x1b[2J\x9b.mp4" in shown.out
    assert main(["run", str(hostile), "--bundle", str(evil_bundle.path), "--check"]) == 0
    assert is_clean(capsys.readouterr().out)


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    "command",
    [
        ["run", f"no{EVIL}.mp4"],
        ["run", f"http://{EVIL}"],
        ["run", "--source", "clip.mp4", "--bundle", f"no{EVIL}"],
        ["run", f"--{EVIL}"],
        ["run", "--score", EVIL],
        ["inspect", f"no{EVIL}"],
        ["eval", "--detections", f"no{EVIL}"],
        ["bench", f"no{EVIL}"],
        [f"no{EVIL}"],
    ],
)
def test_errors(command, as_json, capsys):
    assert main([*command, *as_json]) in (2, 3)
    shown = capsys.readouterr()
    assert is_clean(shown.out + shown.err)
    assert shown.err


def test_annotations(tmp_path, spot_bundle, capsys):
    video = {"width": 8, "height": 8, "frames": 1, "tubes": []}
    tube = {"label": 0, "start": 0, "end": 1, "boxes": [[0, 0, 4, 4]]}
    for content in (
        {"classes": ["spot"], "videos": {EVIL: video}},
        {"classes": [EVIL], "videos": {"a.mp4": {**video, "tubes": [tube]}}},
        {"classes": ["spot"], "videos": {"a.mp4": {**video, EVIL: EVIL, "frames": EVIL}}},
    ):
        (tmp_path / "annotations.json").write_text(json.dumps(content))
        command = ["eval", str(spot_bundle), "--dataset", "json", "--root", str(tmp_path)]
        assert main(command) == 3
        assert is_clean(capsys.readouterr().err)


def test_messages_of_the_log():
    record = logging.LogRecord("a", 30, "", 0, "Skipped %s: %s", (Path(EVIL), f"x{EVIL}"), None)
    shown = PrintableFormatter("%(message)s").format(record)
    assert is_clean(shown)
    assert f"Skipped {SHOWN}: " in shown


def test_an_error_that_is_not_known(monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(EVIL)

    monkeypatch.setattr("edgekit.bundle.load_bundle", fail)
    assert main(["inspect", "shipped"]) == 1
    shown = capsys.readouterr()
    assert is_clean(shown.out + shown.err)


def test_the_labels_of_the_metrics(spot_video, evil_bundle):
    from edgekit.benchmarks.suites.support.streams import free_ports

    port = free_ports(1)
    code = (
        "import sys, threading, time, urllib.request\n"
        "from edgekit.cli import main\n"
        f"url = 'http://127.0.0.1:{port}/metrics'\n"
        "found = []\n"
        "def ask():\n"
        "    while not found:\n"
        "        try: found.append(urllib.request.urlopen(url).read())\n"
        "        except OSError: time.sleep(0.01)\n"
        "asking = threading.Thread(target=ask, daemon=True); asking.start()\n"
        f"main(sys.argv[1:])\n"
        "asking.join(1)\n"
        "sys.stdout.buffer.write(found[0])\n"
    )
    command = ["run", str(spot_video(frames=60)), "--bundle", str(evil_bundle.path), "-q"]
    command += ["--metrics", str(port), "--threads", "1", "--events", "/dev/null"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, check=True)
    assert is_clean(done.stdout.decode())
    assert rb"\\x1b]0;title" in done.stdout

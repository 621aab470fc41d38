"""Tests ``edgekit cache``: what it prints, deletes and keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.calibration.store import Store, key_of
from edgekit.cli import main


def _proof(kind: str, key: str, file: str) -> int:
    """Bytes of the proof of a piece with one file."""
    return len(json.dumps({"identity": f"{kind}-{key}", "sha256": {file: "0" * 64}})) + 1


ACTIVATIONS = 300 + _proof("activations", key_of(1), "a")
CHECK = 700 + _proof("check", key_of(2), "below/b")
ALL = ACTIVATIONS + CHECK + 50


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache folder, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "edgekit"


@pytest.fixture
def run(capsys):
    def call(*words, status=0):
        assert main(["cache", *map(str, words), "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return call


def _fill(folder: Path) -> None:
    """Two pieces of 300 and 700 bytes with their proofs, and work of 50 bytes that was cut off."""
    store = Store(folder)
    store.folder("activations", key_of(1), lambda place: _write(place / "a", 300))
    store.folder("check", key_of(2), lambda place: _write(place / "below" / "b", 700))
    _write(folder / ".edgekit-cut" / "c", 50)


def _write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


def test_nothing_is_made_to_say_that_there_is_nothing(cache, run, capsys):
    nothing = {"folder": str(cache), "kinds": {}, "others": 0, "bytes": 0}
    assert run("info") == {"schema": 1, **nothing}
    assert run("clear")["freed_bytes"] == 0
    assert not cache.exists()
    assert main(["cache", "info"]) == 0
    assert "0 bytes in 0 pieces" in " ".join(capsys.readouterr().out.split())


def test_a_single_piece(cache, capsys):
    Store(cache).folder("check", key_of(2), lambda place: _write(place / "b", 700))
    assert main(["cache", "info"]) == 0
    assert " in 1 piece\n" in capsys.readouterr().out


def test_the_size_is_reported_and_freed(cache, run, capsys):
    _fill(cache)
    kinds = {
        "activations": {"pieces": 1, "bytes": ACTIVATIONS},
        "check": {"pieces": 1, "bytes": CHECK},
        "unfinished": {"pieces": 1, "bytes": 50},
    }
    found = run("info")
    assert (found["kinds"], found["bytes"]) == (kinds, ALL)
    assert main(["cache", "info"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "1.3 kB in 3 pieces" in text
    assert "edgekit cache clear" in text
    removed = run("clear")
    assert (removed["kinds"], removed["freed_bytes"]) == (kinds, ALL)
    assert list(cache.iterdir()) == []
    assert run("info")["bytes"] == 0


def test_only_what_edgekit_wrote_is_removed(cache, run, tmp_path, capsys):
    _fill(cache)
    precious = tmp_path / "precious"
    _write(precious / "photo", 10)
    (cache / f"check-{key_of(3)}").symlink_to(precious)
    (cache / f"check-{key_of(2)}" / "out").symlink_to(precious)
    _write(cache / "notes.txt", 20)
    _write(cache / "check-short" / "x", 20)
    left = {f"check-{key_of(3)}", "notes.txt", "check-short"}
    assert run("info")["others"] == 3
    assert run("clear")["others"] == 3
    assert {path.name for path in cache.iterdir()} == left
    assert (precious / "photo").is_file()
    assert main(["cache", "clear"]) == 0
    assert "left, as EdgeKit did not write them: 3" in capsys.readouterr().out


def test_another_folder_is_named(run, tmp_path, cache):
    _fill(tmp_path / "mine")
    _fill(cache)
    assert run("clear", "--cache", tmp_path / "mine")["freed_bytes"] == ALL
    assert run("info")["bytes"] == ALL


def test_a_cache_in_use_is_left_whole(cache, run):
    _fill(cache)
    code = (
        "import sys; from pathlib import Path; from edgekit.calibration.store import Store\n"
        "with Store(Path(sys.argv[1])).in_use(): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(cache)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        error = run("clear", status=3)["error"]
        assert "Another edgekit process is using" in error["message"]
        assert run("info")["bytes"] == ALL
        other.stdin.close()
    assert run("clear")["freed_bytes"] == ALL


def test_quantize_works_in_a_cache_that_it_holds(spotter, spots, tmp_path, monkeypatch, capsys):
    """``cache clear`` of another process, in the middle of the work, removes nothing."""
    from edgekit.quantization import quantize

    said = []
    whole = quantize.gather

    def interrupted(*arguments, **options):
        found = whole(*arguments, **options)
        clear = [sys.executable, "-m", "edgekit", "cache", "clear", "--cache", str(place), "--json"]
        said.append(subprocess.run(clear, capture_output=True, text=True))
        return found

    monkeypatch.setattr(quantize, "gather", interrupted)
    place = tmp_path / "store"
    words = [str(spotter.path), "--calib", str(spots), "--samples", "6", "--cache", str(place)]
    assert main(["quantize", *words, "-o", str(tmp_path / "out"), "--max-drop", "100"]) == 0
    (clear,) = said
    assert clear.returncode == 3
    assert json.loads(clear.stdout)["error"]["code"] == "output"


def test_doctor_reports_the_size(cache, capsys):
    _fill(cache)
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cache"] == {"folder": str(cache), "bytes": ALL}

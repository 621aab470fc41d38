from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.calibration.store import Store, array_file, default_store, key_of
from edgekit.files.checksums import ENDING, is_proven


def test_a_piece_is_made_once(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "x").write_text("done")

    store = Store(tmp_path / "store")
    first = store.folder("piece", "k", make)
    second = Store(tmp_path / "store").folder("piece", "k", make)
    assert first == second
    assert (second / "x").read_text() == "done"
    assert len(made) == 1


@pytest.mark.parametrize("damage", ["changed", "cut", "no proof", "of another piece"])
def test_a_damaged_piece_is_made_again(tmp_path, damage):
    store, made = Store(tmp_path), []

    def make(folder):
        made.append(folder)
        (folder / "x").write_text("done")

    place = store.folder("piece", "k", make)
    if damage == "of another piece":
        shutil.rmtree(place)
        shutil.copytree(store.folder("piece", "other", make), place)
        made.pop()
    elif damage == "no proof":
        (place / ENDING).unlink()
    else:
        (place / "x").write_text("dond" if damage == "changed" else "do")
    assert store.folder("piece", "k", make) == place
    assert len(made) == 2
    assert (place / "x").read_text() == "done"
    assert store.folder("piece", "k", make) == place
    assert len(made) == 2


def test_processes_that_make_a_piece_at_once_find_it_whole(tmp_path):
    code = (
        "import sys; from pathlib import Path; from edgekit.calibration.store import Store\n"
        "def make(folder): (folder / 'x').write_bytes(bytes(1 << 20))\n"
        "for key in 'abcdefgh':\n"
        "    place = Store(Path(sys.argv[1])).folder('piece', key, make)\n"
        "    assert place.is_dir()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert all(is_proven(tmp_path / f"piece-{key}", f"piece-{key}") for key in "abcdefgh")


def test_a_piece_that_another_process_finishes_first_stays(tmp_path):
    def fill(folder):
        (folder / "x").write_text("done")

    def fill_late(folder):
        fill(folder)
        first.append(Store(tmp_path).folder("piece", "k", fill).stat().st_ino)

    first = []
    place = Store(tmp_path).folder("piece", "k", fill_late)
    assert place.stat().st_ino == first[0]  # its readers would not find a replaced one
    assert [path.name for path in tmp_path.iterdir()] == ["piece-k"]


def test_an_array_has_all_of_its_room_at_once(tmp_path):
    array = array_file(tmp_path / "a.npy", np.uint8, (300, 1000))
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= array.nbytes
    array[:] = 7
    array.flush()
    assert (np.load(tmp_path / "a.npy") == 7).all()


def test_what_was_interrupted_is_not_there(tmp_path):
    def make(folder):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.folder("piece", "k", make)
    assert list(tmp_path.iterdir()) == []
    store.folder("piece", "k", lambda folder: (folder / "whole").touch())
    assert [file.name for file in (tmp_path / "piece-k").glob("[!.]*")] == ["whole"]


def test_equal_parts_have_equal_keys_and_others_do_not():
    assert key_of({"b": 1, "a": (2, 3)}, "x") == key_of({"a": [2, 3], "b": 1}, "x")
    assert key_of("ab", "c") != key_of("a", "bc")


def test_what_other_code_has_made_is_not_found(tmp_path):
    package = Path(edgekit.__file__).parent
    copy = tmp_path / "edgekit"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("assets", "*.pyc.*"))

    def key():
        code = "from edgekit.calibration.store import key_of; print(key_of(1))"
        run = [sys.executable, "-c", code]
        return subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    first = key()
    assert first == key()
    with (copy / "quantization" / "ranges.py").open("a") as file:
        file.write("# changed\n")
    assert key() != first


def test_the_default_is_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_store() == tmp_path / "edgekit"

"""Tests that cached files are read as they were written, or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.files.checksums import (
    ENDING,
    is_proven,
    keep_file,
    prove_folder,
    proven_file,
    sha256_of,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def proof_of(path):
    return path.with_name(path.name + ENDING)


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


@given(content=st.binary(), identity=st.text(max_size=20))
def test_what_was_kept_is_found_under_its_identity_alone(place, content, identity):
    folder = place / "kept"
    folder.mkdir(exist_ok=True)
    keep_file(folder / "a", content, identity)
    assert proven_file(folder / "a", identity) == content
    assert proven_file(folder / "a", identity + "x") is None
    assert {path.name for path in folder.iterdir()} == {"a", "a" + ENDING}


@given(content=st.binary(), keys=st.lists(st.binary(max_size=64), min_size=2, unique=True))
def test_what_was_signed_is_found_with_its_key_alone(place, content, keys):
    keep_file(place / "a", content, "k", keys[0])
    assert [proven_file(place / "a", "k", key) == content for key in keys] == [
        key == keys[0] for key in keys
    ]


@given(
    bit=st.integers(0, 10**6),
    where=st.sampled_from(["", ENDING]),
    key=st.sampled_from([b"", b"secret"]),
)
def test_no_flipped_bit_is_believed(place, bit, where, key):
    keep_file(place / "a", b"what was compiled" * 9, "k", key)
    damaged = place / f"a{where}"
    damaged.write_bytes(flipped(damaged.read_bytes(), bit))
    assert proven_file(place / "a", "k", key) is None


@given(part=st.floats(0, 0.99), where=st.sampled_from(["", ENDING]), zeros=st.booleans())
def test_no_file_that_is_cut_or_zero_at_its_end_is_believed(place, part, where, zeros):
    keep_file(place / "a", b"what was compiled" * 9, "k")
    damaged = place / f"a{where}"
    content = damaged.read_bytes()
    kept = content[: int(part * len(content))]
    damaged.write_bytes(kept.ljust(len(content), b"\0") if zeros else kept)
    assert proven_file(place / "a", "k") is None


def test_entries_that_are_swapped_are_not_believed(tmp_path):
    for name in "ab":
        keep_file(tmp_path / name, name.encode(), name)
    for ending in ("", ENDING):
        (tmp_path / f"a{ending}").rename(tmp_path / "c")
        (tmp_path / f"b{ending}").rename(tmp_path / f"a{ending}")
        (tmp_path / "c").rename(tmp_path / f"b{ending}")
        assert [proven_file(tmp_path / name, name) for name in "ab"] == [None, None]


def test_a_file_without_a_proof_is_not_believed(tmp_path):
    keep_file(tmp_path / "a", b"x", "k")
    proof_of(tmp_path / "a").unlink()
    assert proven_file(tmp_path / "a", "k") is None
    assert proven_file(tmp_path / "missing", "k") is None


def test_a_process_that_is_killed_before_the_proof_leaves_nothing_to_believe(tmp_path):
    keep_file(tmp_path / "a", b"old", "k")
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom edgekit.files import checksums\n"
        "write = checksums._write\n"
        "def killed(path, content):\n"
        "    if path.name.endswith(checksums.ENDING): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    write(path, content)\n"
        "checksums._write = killed\n"
        "checksums.keep_file(Path(sys.argv[1]), b'new', 'k')"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")]).returncode == -9
    assert proven_file(tmp_path / "a", "k") is None
    keep_file(tmp_path / "a", b"new", "k")
    assert proven_file(tmp_path / "a", "k") == b"new"


def test_on_a_full_disk_nothing_false_is_believed(small_disk):
    keep_file(small_disk / "a", b"old", "k")
    with pytest.raises(OSError, match="No space"):
        keep_file(small_disk / "a", bytes(1 << 20), "k")
    assert proven_file(small_disk / "a", "k") == b"old"
    assert len(list(small_disk.iterdir())) == 2


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "piece"
    (place / "below").mkdir(parents=True)
    (place / "a").write_bytes(b"first")
    (place / "below" / "b").write_bytes(b"second")
    prove_folder(place, "k")
    return place


def test_a_folder_is_believed_as_it_was(folder):
    assert is_proven(folder, "k")
    assert not is_proven(folder, "other")
    assert not is_proven(folder.parent / "missing", "k")


@pytest.mark.parametrize("name", ["a", "below/b", ENDING])
@pytest.mark.parametrize("damage", ["bit", "cut", "missing", "folder", "link"])
def test_a_folder_that_was_changed_is_not_believed(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage in ("bit", "cut"):
        path.write_bytes(flipped(content, 3) if damage == "bit" else content[:-1])
    elif damage == "folder":
        path.mkdir()
    elif damage == "link":
        (folder.parent / "elsewhere").write_bytes(content[:-1])
        path.symlink_to(folder.parent / "elsewhere")
    assert not is_proven(folder, "k")
    assert not is_proven(folder, "k", others=True)


def test_a_file_more_or_under_another_name_is_not_believed(folder):
    (folder / "c").touch()
    assert not is_proven(folder, "k")
    assert is_proven(folder, "k", others=True)
    (folder / "c").unlink()
    (folder / "a").rename(folder / "c")
    assert not is_proven(folder, "k")
    assert not is_proven(folder, "k", others=True)


def test_what_is_cached_is_for_its_owner_alone(place):
    path = place / "private"
    keep_file(path, b"content", "identity")
    assert [stat.S_IMODE(file.stat().st_mode) for file in (path, proof_of(path))] == [0o600] * 2


def test_a_pipe_in_place_of_a_cached_file_is_not_waited_for(tmp_path):
    path = tmp_path / "profile.json"
    for name in (path, proof_of(path)):
        os.mkfifo(name)
    assert proven_file(path, "identity") is None
    os.mkfifo(tmp_path / ENDING)
    assert not is_proven(tmp_path, "identity")


def of_others(path, how):
    """Gives a file or folder to another user, or lets everybody write to it."""
    if how == "everybody may write":
        path.chmod(path.stat().st_mode | stat.S_IWOTH)
    elif os.geteuid():
        pytest.skip("only root can give a file to another user")
    else:
        os.chown(path, 65534, 65534)


OTHERS = ["everybody may write", "another user"]


@pytest.mark.parametrize("how", OTHERS)
@pytest.mark.parametrize("ending", ["", ENDING])
def test_a_file_of_others_is_not_believed(tmp_path, how, ending):
    keep_file(tmp_path / "a", b"compiled", "k")
    of_others(tmp_path / f"a{ending}", how)
    assert proven_file(tmp_path / "a", "k") is None
    assert proven_file(tmp_path / "a", "k", own=False) == b"compiled"
    keep_file(tmp_path / "a", b"compiled", "k")
    assert proven_file(tmp_path / "a", "k") == b"compiled"


@pytest.mark.parametrize("how", OTHERS)
@pytest.mark.parametrize("name", [".", "a", "below", "below/b", ENDING])
def test_a_folder_with_something_of_others_is_not_believed(folder, name, how):
    of_others(folder / name, how)
    assert not is_proven(folder, "k")


@pytest.mark.parametrize("ending", ["", ENDING])
def test_a_file_that_claims_all_memory_is_not_read(tmp_path, ending):
    keep_file(tmp_path / "a", b"compiled", "k")
    with (tmp_path / f"a{ending}").open("r+b") as file:
        file.truncate(1 << 40)
    assert proven_file(tmp_path / "a", "k") is None


def test_the_checksum_of_what_is_no_file_or_too_large_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"abcd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    assert sha256_of(tmp_path / "file", 4) == sha256_of(tmp_path / "file")
    for name in ("pipe", "device"):
        with pytest.raises(OSError, match="not a regular file"):
            sha256_of(tmp_path / name)
    with pytest.raises(OSError, match="it has 4 bytes, and at most 3 are read"):
        sha256_of(tmp_path / "file", 3)

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.cli.options.types import OUT, OUT_FILE, OUT_FOLDER, OUT_OR_STDOUT
from edgekit.errors import OutputError
from edgekit.files import writing
from edgekit.files.output_paths import (
    marked,
    output_error,
    refuse_existing,
    refuse_no_folder,
    refuse_unwritable,
    refuse_unwritable_folder,
    require_parent,
    temporary_folder,
)
from edgekit.files.permissions import umask
from edgekit.files.writing import TEMPORARY, atomic_file, atomic_folder


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    with atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
        assert names(tmp_path) == [temporary.name]
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]


def test_the_content_is_on_the_disk_before_the_file_has_its_name(tmp_path, monkeypatch):
    path, sync, synced = tmp_path / "a.txt", os.fsync, []

    def watched(handle):
        sync(handle)
        synced.append((Path(f"/proc/self/fd/{handle}").read_text(), path.exists()))

    monkeypatch.setattr(os, "fsync", watched)
    with atomic_file(path) as temporary:
        temporary.write_text("whole")
    assert synced == [("whole", False)]


@pytest.mark.parametrize("length", range(238, 256))
@pytest.mark.parametrize("ending", [".txt", ".json.gz", ""])
def test_what_the_folder_takes_as_a_name_can_be_written(length, ending, tmp_path):
    for letter in ("a", "門"):
        count, rest = divmod(length - len(ending), len(letter.encode()))
        path = tmp_path / (rest * "b" + count * letter + ending)
        with atomic_file(path) as temporary:
            assert temporary.name.endswith(ending)
            temporary.write_text("whole")
        assert path.read_text() == "whole"
        path.unlink()
        for force in (False, True):
            with atomic_folder(path, force=force) as folder:
                (folder / "f").touch()
        assert names(tmp_path) == [path.name]
        shutil.rmtree(path)


def test_a_name_that_is_too_long_is_reported_before_the_work(tmp_path):
    path = tmp_path / (256 * "a")
    for refuse in (refuse_unwritable, require_parent, lambda p: refuse_existing(p, force=True)):
        with pytest.raises(OutputError, match="too long") as caught:
            refuse(path)
        assert caught.value.hint == "Give it a shorter name."
    with pytest.raises(OutputError, match="too long"), atomic_file(path):
        pytest.fail("the work was done")


def test_a_folder_that_nobody_asked_for_is_not_made(tmp_path):
    path = tmp_path / "no dir" / "a"
    for refuse in (refuse_unwritable, require_parent):
        with pytest.raises(OutputError, match="there is no folder") as caught:
            refuse(path)
        assert caught.value.hint == f"Run: mkdir -p '{tmp_path}/no dir'"
    with pytest.raises(OutputError, match="there is no folder"), atomic_file(path):
        pytest.fail("the work was done")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file is not a folder"):
        require_parent(tmp_path / "file" / "a")
    assert names(tmp_path) == ["file"]


@given(st.text("aä門.", min_size=1, max_size=300), st.sampled_from(["", ".jsonl", ".json.gz"]))
def test_a_mark_goes_before_the_ending_and_keeps_names_apart(stem, ending):
    path = Path("folder") / f"x{stem}y{ending}"
    found = [marked(path, f"-{number}") for number in range(12)]
    assert len(set(found)) == 12
    for number, name in enumerate(found):
        assert name.parent == path.parent
        if len(path.name.encode()) < 250 and ending:
            assert name.name == f"x{stem}y-{number}{ending}"
        assert len(name.name.encode()) <= 255


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_says_so(tmp_path):
    with pytest.raises(OutputError, match="No space left") as caught, atomic_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.hint == "Free some space there, or choose another path."
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_folder_for_temporary_files_says_how_to_name_another(number):
    for path in (Path(tempfile.gettempdir()), Path(tempfile.gettempdir(), "a", "model.tflite")):
        assert "export TMPDIR=FOLDER" in output_error(OSError(number, "full"), path).hint


def test_a_folder_is_replaced_only_by_force(tmp_path):
    path = tmp_path / "folder"
    for force, content in ((False, "1"), (True, "2")):
        with atomic_folder(path, force=force) as temporary:
            (temporary / "f").write_text(content)
    with pytest.raises(OutputError, match="already exists"), atomic_folder(path):
        pass
    assert (path / "f").read_text() == "2"
    assert names(tmp_path) == ["folder"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    path = tmp_path / "folder"
    (path / "sub").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"it holds other files, and no m\.json") as caught:
        refuse_existing(path, force=True, mark="m.json")
    assert caught.value.hint == "Choose another path."
    (path / "sub").rmdir()
    refuse_existing(path, force=True, mark="m.json")
    (path / "m.json").touch()
    refuse_existing(path, force=True, mark="m.json")


def test_a_place_where_no_folder_can_be_is_reported_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for place, said in (
        (tmp_path / "file", "to be a folder"),
        (tmp_path / "link", "to be a folder"),
        (tmp_path / "file" / "below", "is not a folder"),
        (Path("/proc"), "it is a mount point"),
    ):
        with pytest.raises(OutputError, match=said) as caught:
            refuse_existing(place, force=True)
        assert caught.value.hint


@pytest.mark.parametrize("target", ["nowhere", "link", "file"])
def test_a_link_to_no_folder_is_reported_before_the_work(tmp_path, target):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(target)
    for refuse in (refuse_no_folder, refuse_unwritable_folder, OUT_FOLDER):
        with pytest.raises((OutputError, click.BadParameter), match=r"leads nowhere|a f"):
            refuse(tmp_path / "link")
    refuse_no_folder(tmp_path / "missing")
    refuse_no_folder(tmp_path)


@pytest.mark.parametrize("kind", [OUT, OUT_FILE, OUT_OR_STDOUT])
def test_an_option_names_no_output_that_cannot_be_created(tmp_path, kind):
    with pytest.raises(OutputError, match="you have no permission to write it"):
        kind("/proc/self/new")
    assert Path(kind(str(tmp_path / "new"))) == tmp_path / "new"


def test_an_option_may_name_a_folder_that_cannot_be_written(tmp_path):
    """A cache that cannot be written stops no run. Commands check their own outputs."""
    for path in ("/proc/self", "/proc/self/new", str(tmp_path / "new")):
        assert OUT_FOLDER(path) == Path(path)


def test_the_old_folder_is_back_where_the_new_one_cannot_be_put(tmp_path, monkeypatch):
    path = tmp_path / "folder"
    with atomic_folder(path) as temporary:
        (temporary / "f").write_text("old")
    replace = Path.replace

    def fails_at_last(self, target):
        if target == path and self.name != "old":
            raise OSError(errno.EBUSY, "Device or resource busy")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_at_last)
    with pytest.raises(OutputError, match="busy"), atomic_folder(path, force=True) as temporary:
        (temporary / "f").write_text("new")
    assert (path / "f").read_text() == "old"
    assert names(tmp_path) == ["folder"]


def test_a_failure_leaves_no_folder(tmp_path):
    def write() -> None:
        with atomic_folder(tmp_path / "folder") as temporary:
            (temporary / "f").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert names(tmp_path) == []


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(OutputError), atomic_folder(tmp_path / "folder", force=True):
        pass
    with pytest.raises(OutputError), atomic_file(tmp_path / "folder" / "inside"):
        pass


_WRITER = """
import sys, time
from pathlib import Path
from edgekit.files.writing import atomic_file
with atomic_file(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_TIDIED", set())
    folder, elsewhere = tmp_path / f"{TEMPORARY}folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.write_text("not ours")
    (tmp_path / f"{TEMPORARY}link").symlink_to(elsewhere)
    os.mkfifo(tmp_path / f"{TEMPORARY}pipe")
    others = names(tmp_path)
    with contextlib.ExitStack() as stack:
        # All at once: one may look for what was left while another has only just made its file.
        writers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _WRITER, str(tmp_path / f"{number}.txt")],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(4)
        ]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        assert len(names(tmp_path)) == len(others) + 4
        for writer in writers[1:]:
            writer.kill()
            writer.wait()
        with atomic_file(tmp_path / "own.txt") as temporary:
            temporary.write_text("own")
            assert len(names(tmp_path)) == len(others) + 2
        writers[0].communicate("go on")
    assert names(tmp_path) == sorted([*others, "0.txt", "own.txt"])
    assert (tmp_path / "0.txt").read_text() == "half"


def test_the_umask_is_reported_without_being_set(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("it was set"))
        assert umask() == 0o027
        with atomic_file(tmp_path / "file") as temporary:
            temporary.write_bytes(b"")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_what_is_private_is_for_its_owner_alone(tmp_path):
    def make(folder):
        (folder / "below").mkdir()
        (folder / "below" / "file").write_bytes(b"")

    with atomic_folder(tmp_path / "folder", private=True) as folder:
        make(folder)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"folder": 0o700, "below": 0o700, "file": 0o600}


@pytest.mark.parametrize("link", [False, True])
def test_what_is_no_file_is_never_replaced(link, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "pipe"
    if link:
        path = tmp_path / "link"
        path.symlink_to("pipe")
    with pytest.raises(OutputError, match="named pipe"), atomic_file(path) as temporary:
        temporary.write_bytes(b"")
    assert (tmp_path / "pipe").is_fifo()
    assert path.is_symlink() == link


def test_a_link_in_the_place_of_the_temporary_file_gives_nobody_rights(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a private key")
    secret.chmod(0o600)

    def write():
        with atomic_file(tmp_path / "new.json") as temporary:
            temporary.unlink()
            temporary.symlink_to(secret)

    with pytest.raises(OutputError, match="Too many levels of symbolic links"):
        write()
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_links_at_the_path_of_an_output_are_replaced_and_their_targets_stay(tmp_path):
    other = tmp_path / "other"
    other.write_text("old")
    (tmp_path / "link").symlink_to(other)
    (tmp_path / "hard").hardlink_to(other)
    for name in ("link", "hard"):
        with atomic_file(tmp_path / name) as temporary:
            temporary.write_text("new")
        assert (tmp_path / name).read_text() == "new"
        assert not (tmp_path / name).is_symlink()
    assert other.read_text() == "old"


@pytest.mark.parametrize("holds", ["m.json", "other"])
def test_a_link_at_the_path_of_a_folder_is_replaced_and_its_target_stays(tmp_path, holds):
    other = tmp_path / "other"
    other.mkdir()
    (other / holds).write_text("old")
    (tmp_path / "link").symlink_to(other)
    mark = "m.json" if holds == "m.json" else None
    with atomic_folder(tmp_path / "link", force=True, mark=mark) as temporary:
        (temporary / "f").write_text("new")
    assert names(tmp_path) == ["link", "other"]
    assert not (tmp_path / "link").is_symlink()
    assert names(tmp_path / "link") == ["f"]
    assert (other / holds).read_text() == "old"


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "theirs").write_text("theirs")


def _link(path: Path) -> None:
    _folder(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


APPEARS = {
    "folder": _folder,
    "empty folder": Path.mkdir,
    "file": lambda path: path.write_text("theirs"),
    "link": _link,
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "circular link": lambda path: path.symlink_to(path),
    "pipe": os.mkfifo,
}


def _state(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_ino, path.is_file() and path.read_bytes())
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("old", [False, True], ids=["nothing before", "old folder before"])
@pytest.mark.parametrize("appears", APPEARS)
def test_what_appears_at_the_path_of_a_folder_during_the_work_stays(tmp_path, appears, old):
    path = tmp_path / "folder"
    if old:
        _folder(path)
        (path / "m.json").touch()

    def work() -> None:
        with atomic_folder(path, force=old, mark="m.json"):
            if old:
                path.rename(tmp_path / "moved")
            APPEARS[appears](path)
            state.update(_state(tmp_path))

    state: dict[str, object] = {}
    if old and appears == "empty folder":  # it may be replaced, as before the work
        work()
        assert names(path) == []
        return
    with pytest.raises(OutputError):
        work()
    left = {name: value for name, value in state.items() if not name.startswith(TEMPORARY)}
    assert _state(tmp_path) == left


def test_what_appears_at_the_path_of_a_folder_at_last_stays(tmp_path, monkeypatch):
    path, refuse = tmp_path / "folder", writing.refuse_existing

    def refuse_and_appear(*arguments, **settings):
        refuse(*arguments, **settings)
        if any(tmp_path.glob(f"{TEMPORARY}*")):
            path.mkdir()
            (path / "f").write_text("another program's")

    monkeypatch.setattr(writing, "refuse_existing", refuse_and_appear)
    with pytest.raises(OutputError, match="not empty"), atomic_folder(path) as temporary:
        (temporary / "f").write_text("new")
    assert (path / "f").read_text() == "another program's"
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("kind", [atomic_file, atomic_folder])
@pytest.mark.parametrize("appears", APPEARS)
def test_what_takes_the_place_of_the_parent_during_the_work_stays(tmp_path, kind, appears):
    parent = tmp_path / "parent"
    parent.mkdir()

    def work() -> None:
        with kind(parent / "new"):
            parent.rename(tmp_path / "moved")
            APPEARS[appears](parent)
            state.update(_state(tmp_path))

    state: dict[str, object] = {}
    with pytest.raises(OutputError):
        work()
    left = {name: value for name, value in state.items() if not name.startswith("moved")}
    found = _state(tmp_path)
    assert {name: found[name] for name in left} == left
    assert not any(name.endswith("/new") for name in found)


@pytest.mark.parametrize("appears", ["folder", "empty folder", "pipe"])
def test_what_appears_at_the_path_of_a_file_during_the_work_stays(tmp_path, appears):
    path = tmp_path / "file"

    def work() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("new")
            APPEARS[appears](path)

    with pytest.raises(OutputError):
        work()
    assert names(tmp_path) == ["file"]
    assert not path.is_file()


def test_a_temporary_folder_lives_as_long_as_its_block() -> None:
    with temporary_folder() as folder:
        (folder / "file").touch()
    assert not folder.exists()


def test_without_a_place_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What Python finds on a machine with a full disk: not one folder that it can write to.
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "absent")])
    with (
        pytest.raises(OutputError, match="Cannot make a temporary folder: No usable") as caught,
        temporary_folder(),
    ):
        pass
    assert "TMPDIR" in str(caught.value.hint)


def test_a_folder_that_may_not_be_read_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(folder: Path) -> None:
        # The tests may run as root, who may read every folder.
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refusing)
    with pytest.raises(OutputError, match="Permission denied"):
        refuse_existing(tmp_path, force=True, mark="manifest.json")

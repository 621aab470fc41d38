from __future__ import annotations

import gzip
import os
import sys
import tracemalloc
import zlib
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.files.reading import path_below, read_gzip, read_regular


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "folder").mkdir(parents=True)
    for file in (root / "a.mp4", root / "folder/b.mp4", tmp_path / "outside.mp4"):
        file.write_bytes(b"1")
    return root


@pytest.mark.parametrize("name", ["a.mp4", "folder", "folder/b.mp4", "./a.mp4", "..a", "not there"])
def test_a_name_is_a_path_below_its_folder(root: Path, name: str) -> None:
    assert path_below(root, name) == root / name


@pytest.mark.parametrize(
    "name", ["-", "http://host/a.mp4", "rtsp://host/s", "a ! b", "concat:a.mp4|", "video=0", "0"]
)
def test_what_means_something_else_on_a_command_line_is_a_path_too(root: Path, name: str) -> None:
    path = path_below(root, name)
    assert not path.exists()
    assert root in path.parents


@pytest.mark.parametrize(
    "name",
    [
        "../outside.mp4",
        "folder/../../outside.mp4",
        "folder/..",
        "..",
        "folder\\..\\..\\outside.mp4",
        "/dev/video0",
        "//dev/video0",
        "",
        ".",
        "a\0b",
        "x" * 5000,
        "x/" * 5000,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_and_named(root: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"not a path inside|cannot be resolved") as caught:
        path_below(root, name)
    assert str(caught.value).startswith(repr(name)[:60])
    assert len(str(caught.value)) < 500


def test_control_characters_of_a_name_are_shown_escaped(root: Path) -> None:
    with pytest.raises(ValueError, match="not a path inside") as caught:
        path_below(root, "../\x1b[2J\x9b")
    assert "\\x1b[2J\\x9b" in str(caught.value)


def test_links_are_followed_to_files_and_folders_and_nothing_else(root: Path) -> None:
    (root / "linked.mp4").symlink_to("../outside.mp4")
    (root / "linked").symlink_to(root.parent)
    (root / "broken").symlink_to("nowhere")
    for name in ("linked.mp4", "linked", "linked/outside.mp4", "broken"):
        assert path_below(root, name) == root / name
    for name in ("linked.mp4", "linked", "linked/outside.mp4"):
        with pytest.raises(ValueError, match="a link that leads out"):
            path_below(root, name, inside=True)
    (root / "loop").symlink_to("loop")
    with pytest.raises(ValueError, match="cannot be resolved"):
        path_below(root, "loop")


def test_a_linked_folder_is_a_root_like_any_other(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert path_below(link, "a.mp4", inside=True) == link / "a.mp4"


def test_pipes_and_devices_are_refused(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(ValueError, match="neither a regular file nor a folder"):
            path_below(root, name)


@given(st.text())
def test_no_text_leads_out(name: str) -> None:
    root = Path("/nowhere/at/all")
    try:
        path = path_below(root, name)
    except ValueError:
        return
    assert PurePosixPath(os.path.normpath(path)).is_relative_to(root)


def test_a_regular_file_is_read_up_to_its_largest_size(root: Path) -> None:
    file = root / "file"
    file.write_bytes(b"12345")
    assert read_regular(file, 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, and at most 4 are read"):
        read_regular(file, 4)


def test_a_sparse_file_is_refused_by_its_size(root: Path) -> None:
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="at most 1000 are read"):
        read_regular(root / "sparse", 1000)


def test_nothing_is_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    for path in (root / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path, 1000)
    with pytest.raises(IsADirectoryError):
        read_regular(root, 1000)


def test_a_packed_file_is_not_in_memory_beside_its_content(tmp_path: Path) -> None:
    content = os.urandom(1 << 23)  # it cannot be packed
    path = tmp_path / "packed.gz"
    path.write_bytes(gzip.compress(content))
    tracemalloc.start()
    try:
        assert read_gzip(path, 1 << 24) == content
        assert tracemalloc.get_traced_memory()[1] < 1.7 * len(content)
    finally:
        tracemalloc.stop()


def _member(name: bytes, content: bytes) -> bytes:
    """Returns a gzip member with a name and a comment."""
    head = b"\x1f\x8b\x08" + bytes([8 + 16]) + bytes(6) + name + b"\0" + name + b"\0"
    return head + gzip.compress(content, mtime=0)[10:]


@given(
    st.lists(st.tuples(st.binary(max_size=300_000), st.integers(0, 70_000)), min_size=1, max_size=4)
)
def test_members_and_padding_are_read_as_the_gzip_module_does(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[bytes, int]]
) -> None:
    path = tmp_path_factory.mktemp("packed") / "file.gz"
    path.write_bytes(b"".join(gzip.compress(part) + bytes(zeros) for part, zeros in parts))
    assert read_gzip(path, 1 << 24) == gzip.decompress(path.read_bytes())


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"", EOFError, "in the middle"),
        (b"plain text", zlib.error, "incorrect header"),
        (gzip.compress(b"abc")[:-1], EOFError, "in the middle"),
        (gzip.compress(b"abc")[:-5] + b"12345", zlib.error, "incorrect data check"),
        (gzip.compress(b"abc") + b"more", zlib.error, "incorrect header"),
        (gzip.compress(b"") * 10_001, OSError, "more than 10000 compressed parts"),
        (gzip.compress(bytes(1 << 27)), OSError, "unpacks to more than the 67108864 bytes"),
        (gzip.compress(bytes(1 << 20)) * 100, OSError, "unpacks to more than the 67108864 bytes"),
    ],
    ids=["empty", "plain", "truncated", "damaged", "trailing", "parts", "bomb", "bomb of parts"],
)
def test_a_packed_file_that_is_damaged_or_too_large_is_refused(
    tmp_path: Path, content: bytes, error: type[Exception], said: str
) -> None:
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(error, match=said):
        read_gzip(tmp_path / "file.gz", 1 << 28)


def test_names_and_padding_of_a_packed_file_are_not_read_byte_by_byte(tmp_path: Path) -> None:
    """The gzip module calls ``read`` for each of these bytes."""
    path = tmp_path / "file.gz"
    path.write_bytes(_member(b"n" * (1 << 22), b"content") + bytes(1 << 22))
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        assert read_gzip(path, 1 << 24) == b"content"
    finally:
        sys.setprofile(None)
    assert calls < 5000

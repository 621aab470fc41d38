from __future__ import annotations

import pytest

from edgekit.media.sources.headers.completeness import lacks_end


@pytest.mark.parametrize("name", ["x.mp4", "x.avi", "x.mkv", "x.webm", "x.wmv", "x.mov"])
def test_every_cut_is_seen_and_a_whole_file_is_whole(ffmpeg, name):
    path = ffmpeg("-c:v", "libvpx" if name == "x.webm" else "mpeg4", "-frames:v", "5", name)
    content = path.read_bytes()
    assert not lacks_end(path)
    for share in (0.2, 0.5, 0.9, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        assert lacks_end(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\0\0\0\x08ftyp", b"\x1aE\xdf\xa3", b"x" * 99])
def test_other_files_announce_nothing(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert not lacks_end(path)

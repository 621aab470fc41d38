"""Tests that readers accept only regular files up to a size limit that they name."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from edgekit.cli import main
from tests.special_files import put_special_file

EVAL = ["eval", "BUNDLE", "--root", "data", "--dataset"]
READERS = {
    "annotations": ("data/annotations.json", [*EVAL, "json"]),
    "pickle": ("data/splitfiles/pyannot.pkl", [*EVAL, "ucf24"]),
    "split": ("data/splitfiles/testlist01.txt", [*EVAL, "ucf24"]),
    "detections": ("found.json", ["eval", "--detections", "found.json"]),
    "packed detections": ("found.json.gz", ["eval", "--detections", "found.json.gz"]),
    "manifest": ("bundle/manifest.json", ["inspect", "bundle"]),
    "public keys": ("allowed", ["inspect", "BUNDLE", "--require-signature", "allowed"]),
    "options": ("run.toml", ["run", "clip.mp4", "--config", "run.toml"]),
    "report": ("old.json", ["bench", "--compare", "old.json", "BUNDLE"]),
    "calibration": ("calib.txt", ["quantize", "BUNDLE", "--calib", "calib.txt"]),
    "checkpoint": ("a.pth", ["export", "a.pth"]),
    "weights": ("a.safetensors", ["export", "a.safetensors"]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for place in ("data/splitfiles", "bundle"):
        Path(place).mkdir(parents=True)
    Path("data/splitfiles/testlist01.txt").write_text("a/b\n")
    return tmp_path


def refusal(command: list[str], bundle: Path, capsys: pytest.CaptureFixture[str]) -> str:
    words = [str(bundle) if word == "BUNDLE" else word for word in command]
    assert main([*words, "--json"]) in (2, 3)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    message: str = json.loads(shown.out)["error"]["message"]
    return message


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "sparse", "folder"])
def test_what_is_no_file_of_its_size(
    reader: str, kind: str, spot_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, command = READERS[reader]
    path = Path(name)
    heads = {
        ".safetensors": b"\xff" * 5 + bytes(3) + b"{",
        ".pth": b"\x80\x02",
        ".gz": b"\x1f\x8b",
    }
    put_special_file(path, kind, head=heads.get(path.suffix, b"{"))
    message = refusal(command, spot_bundle, capsys)
    assert path.name in message or path.parent.name in message
    if kind == "sparse":
        assert "bytes" in message


@pytest.mark.parametrize("name", ["found.json.gz", "found.json"])
def test_nested_json_and_packed_bombs(
    name: str, spot_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b'{"classes":["a"],"other":' + b"[" * 1_000_000
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert "are wrong: " in refusal(["eval", "--detections", name], spot_bundle, capsys)
    for reader in ("annotations", "manifest", "report"):
        path, command = READERS[reader]
        Path(path).write_bytes(content)
        assert refusal(command, spot_bundle, capsys)


def test_a_file_that_unpacks_to_more_than_is_read(
    spot_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = gzip.compress(bytes(1 << 24))
    Path("found.json.gz").write_bytes(block * 17)
    message = refusal(READERS["packed detections"][1], spot_bundle, capsys)
    assert "unpacks to more than the 67108864 bytes" in message


def test_many_classes_make_no_table_of_scores(
    spot_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = {"boxes": [[0, 0, 1, 1]] * 2000, "scores": [{}] * 2000}
    video = {"frames": 1, "detections": [frame]}
    content = {"classes": [f"{number}" for number in range(20_000)], "videos": {"v": video}}
    Path("found.json").write_text(json.dumps(content))
    message = refusal(READERS["detections"][1], spot_bundle, capsys)
    assert "more boxes, with 20000 classes each, than" in message


def test_a_key_of_many_parts(spot_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("a." * 50_000 + "b = 1", "[" + "a." * 50_000 + "b]", "a = " + "[" * 50_000):
        Path("run.toml").write_text(f"score = 0.5\n{text}\n")
        assert "run.toml" in refusal(READERS["options"][1], spot_bundle, capsys)


def test_an_archive_of_weights_that_unpacks_to_much_more(
    spot_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    with zipfile.ZipFile("a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(1 << 26))
    message = refusal(READERS["checkpoint"][1], spot_bundle, capsys)
    assert "unpacks to 67108864" in message


@pytest.mark.parametrize("length", [1 << 30, 100, (1 << 39)])
def test_a_header_of_weights_that_is_too_long(
    length: int, spot_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    Path("a.safetensors").write_bytes(struct.pack("<Q", length) + b"{}" + bytes(20))
    message = refusal(READERS["weights"][1], spot_bundle, capsys)
    assert f"claims a header of {length} bytes" in message


def test_a_picture_of_too_many_pixels() -> None:
    side = 20_000
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + side)) for _ in range(side)) + rows.flush()
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", packed),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        crc = struct.pack(">I", zlib.crc32(name + data))
        png += struct.pack(">I", len(data)) + name + data + crc
    Path("a.png").write_bytes(png)
    code = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from edgekit.cli import program\n"
        "sys.argv = ['edgekit', 'run', 'a.png', '--check']\n"
        "try:\n"
        "    program()\n"
        "finally:\n"
        # What getrusage says begins with the size of the process that started this one.
        "    print(re.search('VmHWM:\\\\s+(.+) kB', Path('/proc/self/status').read_text())[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert int(done.stdout) < 800_000

"""Fuzzes the readers of untrusted data with atheris (libFuzzer), guided by coverage.

    .venv/bin/python tests/fuzz/readers.py TARGET -max_total_time=60 [CORPUS]

``all`` in place of a target fuzzes one target after the other, each in a process of its own.
A reader may refuse an input only by an error of EdgeKit, within seconds and in bounded memory.
Findings are written to ``crash-*`` in the current folder. Other options are libFuzzer's.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
import os
import pickle
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris
import cv2
import numpy as np

INSTRUMENTED = ["edgekit", "tomllib"]
with atheris.instrument_imports(include=INSTRUMENTED):
    import click

    from edgekit.assets import default_bundle
    from edgekit.benchmarks.report.reading import read_report
    from edgekit.bundle import MANIFEST, load_bundle
    from edgekit.bundle.signing.public_keys import parse_public_keys
    from edgekit.bundle.signing.signature import SIGNATURE
    from edgekit.bundle.signing.verification import check_signature
    from edgekit.cli.options import config
    from edgekit.cli.run import command as run
    from edgekit.datasets.annotations import read_annotations
    from edgekit.datasets.layouts import DATASETS
    from edgekit.datasets.published import read_truth
    from edgekit.errors import EdgeKitError
    from edgekit.metrics.detections import read_detections

    for layout in DATASETS:
        DATASETS[layout]  # Imports its reader.

LIMITS = ["-rss_limit_mb=1024", "-malloc_limit_mb=512", "-timeout=5", "-verbosity=0"]

_VIDEO: dict[str, Any] = {
    "frames": 2,
    "width": 8,
    "height": 8,
    "tubes": [{"label": 0, "start": 0, "end": 1, "boxes": [[0, 0, 4, 4], [1, 1, 5, 5]]}],
}
_DETECTIONS = {
    "classes": ["walk"],
    "videos": {"v": {"frames": 1, "detections": [{"boxes": [[0, 0, 4, 4]], "scores": [[0.5]]}]}},
}

Target = tuple[Callable[[Path], Callable[[bytes], object]], list[bytes]]


def manifest(folder: Path) -> Callable[[bytes], object]:
    """Returns a reader of the manifest of a bundle whose model exists."""
    (folder / "model.onnx").write_bytes(b"model")

    def read(data: bytes) -> object:
        (folder / MANIFEST).write_bytes(data)
        return load_bundle(folder)

    return read


def reader(name: str, read: Callable[[Path], object]) -> Callable[[Path], Any]:
    """Returns a reader of a single file with this name."""

    def prepared(folder: Path) -> Callable[[bytes], object]:
        path = folder / name

        def read_it(data: bytes) -> object:
            path.write_bytes(data)
            return read(path)

        return read_it

    return prepared


def pickled(folder: Path) -> Callable[[bytes], object]:
    """Returns a reader of the annotations of UCF101-24 in their published layout."""
    place = folder / "splitfiles"
    place.mkdir()
    (place / "testlist01.txt").write_text("Basketball/v\n")

    def read(data: bytes) -> object:
        (place / "pyannot.pkl").write_bytes(data)
        return read_truth("ucf24", folder)

    return read


def dataset(name: str, file: str) -> Callable[[Path], Any]:
    """Returns a reader of a dataset's layout, whose videos are one picture."""

    def prepared(folder: Path) -> Callable[[bytes], object]:
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        (folder / "splitfiles").mkdir(exist_ok=True)
        (folder / "splitfiles/testlist01.txt").write_text("Basketball/v\n")
        (folder / "rgb-images/v").mkdir(parents=True)
        cv2.imwrite(str(folder / "rgb-images/v/1.png"), np.zeros((8, 8, 3), np.uint8))

        def read_it(data: bytes) -> object:
            path.write_bytes(data)
            return read_truth(name, folder)

        return read_it

    return prepared


def edited(seed: Any, name: str, read: Callable[[Path], object]) -> Callable[[Path], Any]:
    """Returns a reader of JSON that is valid except for some changed values."""

    def prepared(folder: Path) -> Callable[[bytes], object]:
        path = folder / name

        def read_it(data: bytes) -> object:
            given = atheris.FuzzedDataProvider(data)
            root = {"": copy.deepcopy(seed)}
            for _ in range(given.ConsumeIntInRange(1, 4)):
                _edit(root, given)
            path.write_text(json.dumps(root.get("")))
            return read(path)

        return read_it

    return prepared


def _edit(root: Any, given: Any) -> None:
    """Replaces, adds or removes one value somewhere in a JSON tree."""
    inner, key = root, ""
    while True:
        value = inner[key] if key in inner or isinstance(inner, list) else None
        if not isinstance(value, (dict, list)) or not value or given.ConsumeIntInRange(0, 5) == 0:
            break
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        inner, key = value, keys[given.ConsumeIntInRange(0, len(keys) - 1)]
    if inner is not root and given.ConsumeIntInRange(0, 7) == 0:
        del inner[key]
        return
    whole = given.ConsumeInt(9)
    values = [
        None,
        True,
        [],
        {},
        "",
        -1,
        0,
        whole,
        given.ConsumeFloat(),
        10**400,
        given.ConsumeUnicode(12),
        "../x",
        [whole] * 4,
        [[[[]]]],
    ]
    inner[key] = values[given.ConsumeIntInRange(0, len(values) - 1)]


def signed(folder: Path) -> Callable[[bytes], object]:
    """Returns a reader of a signature; none is by the key that is allowed."""
    (folder / "allowed").write_bytes(_PUBLIC_KEY)

    def read(data: bytes) -> object:
        (folder / SIGNATURE).write_bytes(data)
        return check_signature(folder, _SIGNED["manifest_sha256"], folder / "allowed")

    return read


def options(path: Path) -> object:
    """Reads an options file for ``edgekit run``."""
    return config.read(path, click.Context(run))


def weights(path: Path) -> object:
    """Reads a checkpoint of torch or safetensors."""
    from edgekit.models.state_dicts import find_weights
    from edgekit.models.weight_files import read_weights

    return find_weights(read_weights(path).entries)


def whole(folder: Path) -> Callable[[bytes], object]:
    """Returns a reader like ``weights``, with torch imported before: one input has less time."""
    import torch  # noqa: F401

    return reader("weights.pth", weights)(folder)


def page(folder: Path) -> Callable[[bytes], object]:
    """Returns a function that sends data to the live page as a browser would."""
    from edgekit.media.page import LivePage
    from edgekit.pipeline.results import RunInfo

    said: list[str] = []
    sink = LivePage("127.0.0.1:0", say=said.append).sink()
    sink.start(RunInfo("camera 0", 64, 48, 25.0, None, ("walk",)))
    port = int(said[0].rstrip("/").rpartition(":")[2])

    def talk(data: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=4) as client:
            # The server does not answer a client that has closed its side, so wait a moment.
            client.sendall(data + b"\r\n\r\n")
            client.settimeout(0.2)
            answer = b""
            with contextlib.suppress(ConnectionError, TimeoutError):
                while b"\r\n\r\n" not in answer and (part := client.recv(65536)):
                    answer += part
            assert answer[:5] in (b"", b"HTTP/")
            assert b"Traceback" not in answer

    return talk


_MAT = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + bytes([14, 0, 0, 0, 8, 0, 0, 0]) + bytes(8)
_TUBES = {
    "labels": ["walk"], "train_videos": [[]], "test_videos": [["v"]], "nframes": {"v": 2},
    "resolution": {"v": (8, 8)}, "gttubes": {"v": {0: [np.ones((1, 5))]}},
}  # fmt: skip
_CVAT = (
    b"<annotations><meta><task><size>9</size><labels><label><name>walk</name></label></labels>"
    b"<original_size><width>8</width><height>8</height></original_size></task></meta>"
    b'<track label="walk"><box frame="0" xtl="1" ytl="1" xbr="4" ybr="4" rotation="9"/>'
    b'<box frame="4" outside="1"/></track></annotations>'
)
_COCO = {
    "videos": [{"id": 1, "width": 8, "height": 8}], "categories": [{"id": 1, "name": "walk"}],
    "images": [{"id": 1, "video_id": 1, "frame_index": 0, "file_name": "v/1.png"}],
    "annotations": [{"image_id": 1, "category_id": 1, "track_id": 1, "bbox": [1, 1, 4, 4]}],
}  # fmt: skip
_KEY = {"frame": 1, "x": 1, "y": 1, "width": 9, "height": 9, "enabled": False}
_REGION = {"type": "videorectangle", "value": {"sequence": [_KEY], "labels": ["walk"]}}
_TASKS = [{"data": {"video": "v"}, "annotations": [{"result": [_REGION]}]}]
_ITEMS = {
    "categories": {"label": {"labels": [{"name": "walk"}]}},
    "items": [
        {
            "id": "frame_1", "attr": {"frame": 0}, "image": {"size": [8, 8]},
            "annotations": [
                {"type": "bbox", "label_id": 0, "bbox": [1, 1, 4, 4], "attributes": {"track_id": 1}}
            ],
        }
    ],
}  # fmt: skip
_HEADER = b'{"a.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
_MANIFEST = (default_bundle() / MANIFEST).read_bytes()

_PUBLIC_KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
_PEM_KEY = (
    b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    b"-----END PUBLIC KEY-----\n"
)
_SIGNED: dict[str, Any] = {
    "schema": 1, "manifest_sha256": "00" * 32, "signed": "2026-11-29", "expires": None,
    "key": _PUBLIC_KEY.decode(), "signature": "A" * 85 + "Q==",
}  # fmt: skip

TARGETS: dict[str, Target] = {
    "manifest": (manifest, [_MANIFEST]),
    "signature": (signed, [json.dumps(_SIGNED).encode()]),
    "public-keys": (
        lambda _: lambda data: parse_public_keys(data, "keys"),
        [_PUBLIC_KEY + b" ann@desk\n", _PEM_KEY],
    ),
    "annotations": (
        reader("annotations.json", read_annotations),
        [json.dumps({"classes": ["walk"], "videos": {"v": _VIDEO}}).encode()],
    ),
    "detections": (reader("found.json", read_detections), [json.dumps(_DETECTIONS).encode()]),
    "packed-detections": (
        reader("found.json.gz", read_detections),
        [gzip.compress(json.dumps(_DETECTIONS).encode())],
    ),
    "manifest-values": (
        edited(json.loads(_MANIFEST), MANIFEST, lambda path: load_bundle(path.parent)),
        [bytes(64)],
    ),
    "annotation-values": (
        edited(
            {"classes": ["walk"], "videos": {"v": _VIDEO}}, "annotations.json", read_annotations
        ),
        [bytes(64)],
    ),
    "detection-values": (edited(_DETECTIONS, "found.json", read_detections), [bytes(64)]),
    "pickle": (pickled, [b"\x80\x04}\x94."]),
    "mat": (dataset("jhmdb21-mat", "splitfiles/finalAnnots.ma.mat"), [_MAT]),
    "moc": (dataset("moc", "a-GT.pkl"), [pickle.dumps(_TUBES, 2)]),
    "ava": (dataset("ava", "a.csv"), [b"v,0000,0.1,0.1,0.9,0.9,1,2\nv,0001,0.1,0.1,0.9,0.9,1,2\n"]),
    "cvat": (dataset("cvat", "v.xml"), [_CVAT]),
    "coco-video": (dataset("coco-video", "a.json"), [json.dumps(_COCO).encode()]),
    "label-studio": (dataset("label-studio", "a.json"), [json.dumps(_TASKS).encode()]),
    "datumaro": (dataset("datumaro", "annotations/v.json"), [json.dumps(_ITEMS).encode()]),
    "report": (reader("report.json", read_report), [b'{"schema": 1}']),
    "options": (reader("run.toml", options), [b'camera = [0]\nscore = 0.3\nevents = "e.jsonl"\n']),
    "weights": (
        whole,
        [
            b"PK\x03\x04",
            b"\x80\x02}q\x00.",
            len(_HEADER).to_bytes(8, "little") + _HEADER + bytes(4),
        ],
    ),
    "page": (
        page,
        [
            b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            b"\x81\x81\x00\x00\x00\x00k",
        ],
    ),
}


def main() -> None:
    """Fuzzes the target that the first argument names, or all."""
    known = [*TARGETS, "all"]
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        raise SystemExit(f"Name a target: {', '.join(known)}")
    if sys.argv[1] == "all":
        raise SystemExit(_fuzz_all())
    _fuzz(sys.argv[1])


def _fuzz_all() -> str | None:
    """Fuzzes each target in a fork of this process, which has instrumented the modules once."""
    failed = []
    for name in TARGETS:
        print(f"Target: {name}", file=sys.stderr, flush=True)
        child = os.fork()
        if child == 0:
            _fuzz(name)  # This does not return.
        if os.waitpid(child, 0)[1]:
            failed.append(name)
    return f"Failed: {', '.join(failed)}" if failed else None


def _fuzz(target: str) -> None:
    """Fuzzes one target and ends the process."""
    prepare, seeds = TARGETS[target]
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        place = Path(name) / "work"
        place.mkdir()
        with atheris.instrument_imports(include=INSTRUMENTED):
            read = prepare(place)

            def one(data: bytes) -> None:
                with contextlib.suppress(EdgeKitError):
                    read(data)

            for seed in seeds:  # imports what is imported late
                one(seed)
        atheris.Setup([sys.argv[0], *LIMITS, *sys.argv[2:], str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

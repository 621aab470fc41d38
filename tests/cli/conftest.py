"""Makes a real bundle that detects a bright spot, and videos of one."""

from __future__ import annotations

import contextlib
import functools
import http.server
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.benchmarks.suites.deployment.small_bundle import save_small_bundle
from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT, free_ports
from edgekit.cli import main


@pytest.fixture(autouse=True)
def no_bundles_here(tmp_path_factory, monkeypatch):
    """Keeps commands without a bundle from those that a developer has in artifacts/."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


SIDE, CLASSES = 64, ("spot", "nothing")


def _spot_finder(side: int = SIDE, level: float = -3) -> bytes:
    """Brightness of blue as the logits of class 0; boxes of 4 by 4 cells.

    Args:
        side: Width and height of the input.
        level: Logit of black pixels.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    cells = side // 4
    weights = {
        "w_hm": np.zeros((2, 6, 4, 4), np.float32),
        "b_hm": np.array([level, -30], np.float32),
        "w_wh": np.zeros((2, 6, 4, 4), np.float32),
        "b_wh": np.full(2, 4, np.float32),
        "b_reg": np.full(2, 0.5, np.float32),
    }
    weights["w_hm"][0, 0] = 6 / 16
    nodes = [
        helper.make_node("Conv", ["input", w, b], [name], strides=[4, 4], kernel_shape=[4, 4])
        for name, w, b in (
            ("hm", "w_hm", "b_hm"),
            ("wh", "w_wh", "b_wh"),
            ("reg", "w_wh", "b_reg"),
        )
    ]
    shape = [1, 2, cells, cells]
    graph = helper.make_graph(
        nodes,
        "spot",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 6, side, side])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("hm", "wh", "reg")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="session")
def make_spot_bundle(tmp_path_factory):
    """Makes bundles that detect the brightest spot of a dark picture as class 0."""
    pytest.importorskip("onnx")

    def make(
        name: str = "spot",
        *,
        side: int = SIDE,
        level: float = -3,
        classes: tuple[str, str] = CLASSES,
        interval: float = 0.04,
    ) -> Path:
        folder = tmp_path_factory.mktemp("bundle")
        file = folder / "made.onnx"
        file.write_bytes(_spot_finder(side, level))
        bundle = save_small_bundle(
            folder / name, file, name=name, side=side, classes=classes, interval=interval
        )
        return bundle.path

    return make


@pytest.fixture(scope="session")
def spot_bundle(make_spot_bundle) -> Path:
    """Detects the brightest spot of a dark picture as class 0."""
    return make_spot_bundle()


@functools.cache
def _draw_spot(number: int, size: tuple[int, int] = (128, 96)) -> np.ndarray:
    """A picture (height, width, 3) with a spot that lies ``number`` pixels further to the right."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    cv2.circle(image, (30 + number, 48), 10, (255, 255, 255), cv2.FILLED)
    return cv2.GaussianBlur(image, (0, 0), 5)


@pytest.fixture
def spot_video(tmp_path):
    def make(frames: int = 30, name: str = "spot.mp4", fps: float = 25) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (128, 96))
        for number in range(frames):
            writer.write(_draw_spot(number % 64))
        writer.release()
        return path

    return make


@pytest.fixture
def spot_images():
    """Makes so many pictures of a spot that moves."""
    return lambda count: [_draw_spot(number % 64) for number in range(count)]


@pytest.fixture
def spot_folder(tmp_path):
    """Makes a folder with one picture for each size (width, height)."""

    def make(sizes) -> Path:
        folder = tmp_path / "frames"
        folder.mkdir()
        for number, size in enumerate(sizes):
            cv2.imwrite(str(folder / f"{number}.png"), _draw_spot(number, size))
        return folder

    return make


class MjpegServer:
    """A camera on loopback: Motion JPEG over HTTP; can be frozen, killed and started again.

    Attributes:
        frozen: While it is set, nothing is sent.
        freezes_after: Number of frames of each connection after which it freezes; None for never.
        size: Width and height of its pictures.
        images: Pictures that it shows again and again; None for grey ones.
        away: Whether it shows a single picture in place of the stream.
    """

    def __init__(self) -> None:
        self.freezes_after: int | None = None
        self.size = (128, 96)
        self.images: list[np.ndarray] | None = None
        self.away = False
        self.port = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}/camera.mjpg"
        self.frozen = threading.Event()
        self._connections: set[socket.socket] = set()
        self._server: http.server.ThreadingHTTPServer | None = None

    def start(self) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                outer._connections.add(self.connection)
                self.send_response(200)
                if outer.away:
                    jpeg = cv2.imencode(".jpg", np.zeros((96, 128, 3), np.uint8))[1].tobytes()
                    self.send_header("Content-Length", str(len(jpeg)))
                    self.end_headers()
                    self.wfile.write(jpeg)
                    return
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    outer._play(self.wfile)
                except (OSError, ValueError):
                    self.close_connection = True

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *args: None
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def kill(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        while self._connections:
            connection = self._connections.pop()
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _play(self, stream) -> None:
        for number in range(100_000):
            if number == self.freezes_after:
                self.frozen.set()
            while self.frozen.is_set():
                time.sleep(0.01)
            image = np.full((*self.size[::-1], 3), number % 250, np.uint8)
            if self.images is not None:
                image = self.images[number % len(self.images)]
            jpeg = cv2.imencode(".jpg", image)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            stream.write(head.encode() + jpeg + b"\r\n")
            time.sleep(1 / 50)


@pytest.fixture
def mjpeg_servers():
    """Makes cameras on loopback that are not started yet."""
    servers = []

    def make() -> MjpegServer:
        servers.append(MjpegServer())
        return servers[-1]

    yield make
    for server in servers:
        server.frozen.clear()
        server.kill()


@pytest.fixture
def mjpeg_server(mjpeg_servers):
    """A camera on loopback that is not started yet."""
    return mjpeg_servers()


@pytest.fixture
def edgekit(spot_bundle, capfd):
    """Runs ``edgekit run`` with the bundle; returns exit status, standard output and error."""

    def call(*arguments) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main(["run", "--bundle", str(spot_bundle), *map(str, arguments)])
        return status, *capfd.readouterr()

    return call


@pytest.fixture
def start_run(spot_bundle):
    """Starts ``edgekit run`` as a process of its own; kills those that still run at the end."""
    processes = []

    def start(*words, env=None) -> subprocess.Popen[str]:
        named = () if {"--bundle", "--config"} & set(words) else ("--bundle", spot_bundle)
        command = [*WITH_ITS_PARENT, sys.executable, "-m", "edgekit", "run", *named, *words]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*map(str, command)], stdout=pipe, stderr=pipe, text=True, env=env
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()

"""Fixtures for the tests of all folders."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import gc
import hashlib
import importlib
import importlib.util
import itertools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from edgekit.bundle import Bundle, load_bundle
from edgekit.system.own_process import claim_process
from edgekit.system.telemetry import OWN_PROCESS

# Tests import runtimes by themselves, and those would report.
os.environ.update(OWN_PROCESS)
# The messages of converters would be failures, as those of EdgeKit's own code are.
claim_process()
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # imported before

# What ``nohup`` or a shell in the background ignores, no command that a test starts would obey.
for _number, _usual in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# Both would be assertions about the speed of the machine.
settings.register_profile("edgekit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edgekit")


_translations_are_kept = False


class Golden(NamedTuple):
    """A published network, and what it returns for one input.

    Attributes:
        spec: How it is made.
        state: Makes its weights by name, as numpy arrays, which takes a while.
        input: (1, C, H, W) float32.
        heads: ``hm``, ``wh`` and ``reg`` of the published code.
    """

    spec: dict[str, Any]
    state: Callable[[], dict[str, Any]]
    input: Any
    heads: dict[str, Any]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begins each process's share of the tests with some of the long ones.

    A long test that begins last keeps one process busy while all others have ended.
    """
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    if processes == 1:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    others = iter([item for item in items if not item.get_closest_marker("long")])
    # Tests of a module stay together, as they share fixtures.
    modules = [list(group) for _, group in itertools.groupby(long, lambda item: item.path)]
    shares = [list(itertools.chain(*modules[n::processes])) for n in range(processes)]
    left = len(items)
    items.clear()
    for n, share in enumerate(shares):
        size = left // (processes - n)
        items += [*share, *itertools.islice(others, max(0, size - len(share)))]
        left -= size
    items += others


def pytest_collection_finish() -> None:
    """Spares the collector of cycles the objects of all modules, which live as long as the tests.

    Tracing a network makes so many objects that it would look at them again and again.
    """
    gc.collect()
    gc.freeze()


def _base(factory: pytest.TempPathFactory) -> Path:
    """The folder of all processes that share the tests."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def _temporary_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Lets pytest remove what commands cache, and what killed programs leave behind.

    What an earlier run has cached would stand in for what the code gives now.
    """
    tempfile.tempdir = os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("t"))
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        os.environ[variable] = str(_base(tmp_path_factory) / variable)


@pytest.fixture(autouse=True)
def own_log_level() -> None:
    """A command that is run in this process with -v or -q sets the level of all messages.

    So does one of a fixture that was made for several tests, and some converters set that of all.
    """
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("edgekit").setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def one_reading_of_translations() -> None:
    """Has torch read its translations to ONNX once in a process, and not 0.7 s for each export."""
    global _translations_are_kept
    if _translations_are_kept or "onnxscript" not in sys.modules:
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("onnxscript._framework_apis.torch_"):
            module.get_torchlib_ops = functools.cache(module.get_torchlib_ops)
            _translations_are_kept = True


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and golden data beside the checkout; the test skips without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("needs the real clips and golden data in ../shared")
    return folder


@pytest.fixture(scope="session")
def golden(shared: Path) -> Callable[[str], Golden]:
    """Reads the golden data of a network by the name of its architecture."""
    source = importlib.util.spec_from_file_location(
        "golden_checkpoint", shared / "tools" / "golden_checkpoint.py"
    )
    assert source is not None
    assert source.loader is not None
    tool = importlib.util.module_from_spec(source)
    source.loader.exec_module(tool)

    def read(arch: str) -> Golden:
        path = shared / "golden" / "networks" / f"{arch}_6ch_seed1"
        spec = json.loads(path.with_suffix(".json").read_text())

        def state() -> dict[str, Any]:
            weight = functools.partial(tool.golden_weight, seed=spec["seed"])
            return {name: weight(name, shape) for name, shape in spec["keys"].items()}

        with np.load(path.with_suffix(".npz")) as arrays:
            heads = {head: arrays[head] for head in ("hm", "wh", "reg")}
        return Golden(spec, state, tool.golden_input(spec), heads)

    return read


@pytest.fixture
def bound_by_permissions() -> Iterator[None]:
    """Has the permissions of files bind the test, also where root runs it as containers do."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable; twice
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    yield
    sets[0] = effective
    assert libc.capset(header, sets) == 0


@pytest.fixture
def without_av(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if PyAV were not installed.

    Tests read with it what was written without it. It imports these modules at its first reading,
    which would fail then.
    """
    for name in ("av.subtitles.codeccontext", "av.subtitles.stream"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    monkeypatch.setitem(sys.modules, "av", None)


@functools.cache
def _own_mounts() -> bool:
    """Has only this process and those it starts see what it mounts, if it may mount anything.

    It ends with them. What a killed run left mounted in its folder would fail a later run, which
    cannot remove the folder.
    """
    may = ctypes.CDLL(None).unshare(0x20000) == 0  # CLONE_NEWNS
    return may and subprocess.run(["mount", "--make-rslave", "/"]).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if shutil.which("mount") is None or not _own_mounts() or subprocess.run(mount).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def settled(arch: str, *, classes: int, channels: int) -> Any:
    """A network with statistics, offsets and heads that spread as a trained one's do."""
    import torch
    from torch import nn

    from edgekit.models.dcn import DeformConv2d
    from edgekit.models.registry import build

    torch.manual_seed(3)
    network = build(arch, classes=classes, channels=channels, head_conv=8)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(std=0.2)
                layer.running_var.uniform_(0.5, 1.5)
            if isinstance(layer, DeformConv2d):
                layer.conv_offset_mask.weight.normal_(std=0.05)
        for name, spread, bias in (("hm", 1.0, 0.0), ("wh", 0.1, 5.0), ("reg", 0.1, 0.5)):
            final = network.get_submodule(name)[-1]  # type: ignore[index]
            final.weight.normal_(std=spread)
            final.bias.fill_(bias)
    return network.eval()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Has a folder filled once for all tests, and for all processes that share them."""
    root = _base(tmp_path_factory)

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        place = root / f"once-{name}"
        with (root / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                unfinished = tmp_path_factory.mktemp(name)
                make(unfinished)
                unfinished.rename(place)
        return place

    return folder


@pytest.fixture(scope="session")
def checkpoint(own_networks: None, once: Callable[..., Path]) -> Path:
    """A small-lite of three classes that says of itself what edgekit train writes."""

    def make(folder: Path) -> None:
        from edgekit.models.checkpoints import save_checkpoint

        metadata = {
            "classes": ["walk", "run", "jump"],
            "input_size": [64, 96],
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "cascade": "dssim",
            "frame_gap": 2,
            "name": "Small one",
        }
        strings = {key: json.dumps(value) for key, value in metadata.items()}
        network = settled("small-lite", classes=3, channels=6)
        save_checkpoint(folder / "small.safetensors", network, strings)

    return once("checkpoint", make) / "small.safetensors"


def _small_deformable(classes: int, channels: int, head_conv: int) -> Any:
    from torch import nn

    from edgekit.models.centernet import CenterNet
    from edgekit.models.dcn import DeformConv2d
    from edgekit.models.resnet import BasicBlock

    class SmallDeformable(CenterNet):
        def __init__(self) -> None:
            super().__init__(32, classes, head_conv)
            self.stem = nn.Conv2d(channels, 64, 7, 4, 3, bias=False)
            shortcut = nn.Sequential(nn.Conv2d(64, 128, 1, 2, bias=False), nn.BatchNorm2d(128))
            self.block = BasicBlock(64, 128, 2, shortcut)
            self.way_up = nn.Sequential(
                *(DeformConv2d(128, 32), nn.BatchNorm2d(32), nn.ReLU()),
                *(nn.ConvTranspose2d(32, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            )

        def features(self, x: Any) -> Any:
            return self.way_up(self.block(self.stem(x).relu()))

    return SmallDeformable()


def _small_lite(classes: int, channels: int, head_conv: int) -> Any:
    from torch import nn
    from torch.nn import functional

    from edgekit.models import lite0
    from edgekit.models.centernet import CenterNet

    class SmallLite(CenterNet):
        def __init__(self) -> None:
            super().__init__(64, classes, head_conv)
            self.stem = lite0._normed(channels, 32, 3, 2)
            blocks = ((32, 16, 1, 3, 1), (16, 24, 6, 3, 2), (24, 40, 6, 5, 2), (40, 40, 6, 5, 1))
            blocks += ((40, 112, 6, 3, 2),)
            self.blocks = nn.Sequential(*(lite0._Block(*each) for each in blocks))
            self.laterals = nn.ModuleList(lite0._normed(width, 64, 1) for width in (24, 40, 112))
            self.smooth = lite0._normed(64, 64, 3)
            for name, outputs in (("hm", classes), ("wh", 2), ("reg", 2)):
                setattr(self, name, lite0._head(head_conv, outputs))

        def features(self, x: Any) -> Any:
            x = functional.relu6(self.stem(x))
            taps = []
            for part in (self.blocks[:2], self.blocks[2:4], self.blocks[4:]):
                x = part(x)
                taps.append(x)
            merged = self.laterals[2](taps[2])
            for index in (1, 0):
                larger = functional.interpolate(merged, scale_factor=2.0)
                merged = larger + self.laterals[index](taps[index])
            return functional.relu6(self.smooth(merged))

    return SmallLite()


@pytest.fixture(scope="session")
def own_networks() -> Iterator[None]:
    """Networks that are known as a user's own would be, by a line each in the registry.

    ``small-deformable`` has each kind of layer of a resdcn18 and ``small-lite`` of a lite0,
    ``tiny`` has one beside its heads: tests of something else than the published networks export
    them in a fraction of the time.
    """
    from edgekit.benchmarks.suites.support.every_command import ARCHITECTURE as TINY
    from edgekit.models.registry import ARCHITECTURES, Architecture

    with pytest.MonkeyPatch.context() as patch:
        deformable = Architecture(_small_deformable, 8, "stem.weight", has=("block.conv1.weight",))
        patch.setitem(ARCHITECTURES.own, "small-deformable", deformable)
        lite = Architecture(
            *(_small_lite, 8, "stem.0.weight"),
            has=("blocks.4.project.0.weight", "laterals.2.0.weight"),
            lacks=("laterals.3.0.weight",),
            narrowest=1,
        )
        patch.setitem(ARCHITECTURES.own, "small-lite", lite)
        patch.setitem(ARCHITECTURES.own, "tiny", TINY)
        yield


@pytest.fixture(scope="session")
def deformable(own_networks: None, once: Callable[..., Path]) -> Path:
    """A small-deformable of two classes and three input channels that says nothing of itself."""

    def make(folder: Path) -> None:
        from edgekit.models.checkpoints import save_checkpoint

        network = settled("small-deformable", classes=2, channels=3)
        save_checkpoint(folder / "deformable.safetensors", network, {})

    return once("deformable", make) / "deformable.safetensors"


@pytest.fixture(scope="session")
def tiny(own_networks: None, once: Callable[..., Path]) -> Path:
    """A tiny of three classes for pictures of 64x96."""

    def make(folder: Path) -> None:
        from edgekit.models.checkpoints import save_checkpoint

        network = settled("tiny", classes=3, channels=6)
        save_checkpoint(folder / "tiny.safetensors", network, {"input_size": "[64, 96]"})

    return once("tiny", make) / "tiny.safetensors"


@pytest.fixture(scope="session")
def published(own_networks: None) -> Callable[[Path], None]:
    """Writes a tiny of the 24 classes of UCF101-24, as the published training code writes one."""

    def write(path: Path) -> None:
        import torch

        network = settled("tiny", classes=24, channels=6)
        torch.save({"epoch": 140, "state_dict": network.state_dict()}, path)

    return write


@pytest.fixture(scope="session")
def spotter(once: Callable[..., Path]) -> Bundle:
    """A float bundle of two layers and three heads that finds bright spots, in no time."""
    return load_bundle(once("spotter", _write_spotter) / "bundle")


def _write_spotter(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    # `make arm` tests an installed wheel, which has no suites.
    from edgekit.benchmarks.suites.deployment.small_bundle import HEADS, save_small_bundle

    weights = {
        "stem": np.full((4, 6, 4, 4), 1 / 48, np.float32),
        "body": np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1),
        "hm": np.zeros((2, 4, 1, 1), np.float32),
        "wh": np.full((2, 4, 1, 1), 1e-3, np.float32),
        "reg": np.full((2, 4, 1, 1), 1e-3, np.float32),
    }
    weights["stem"][:, 3:] = 0
    weights["hm"][0, 0] = 6
    biases = {"hm": [-3, -30], "wh": [4, 4], "reg": [0.5, 0.5]}
    tensors = [numpy_helper.from_array(value, f"{name}.w") for name, value in weights.items()]
    for name in weights:
        bias = np.array(biases.get(name, [0] * 4), np.float32)
        tensors.append(numpy_helper.from_array(bias, f"{name}.b"))
    ways = (("stem", "input", 4), ("body", "stem/Relu", 1), *((h, "body/Relu", 1) for h in HEADS))
    nodes = []
    for name, given, stride in ways:
        made = name if name in HEADS else f"{name}/Conv"
        inputs = [given, f"{name}.w", f"{name}.b"]
        node = helper.make_node("Conv", inputs, [made], strides=[stride] * 2, name=f"{name}/Conv")
        nodes.append(node)
        if name not in HEADS:
            relu = f"{name}/Relu"
            nodes.append(helper.make_node("Relu", [made], [relu], name=relu))
    graph = helper.make_graph(
        nodes,
        "spotter",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 6, 64, 64])],
        [helper.make_tensor_value_info(h, TensorProto.FLOAT, [1, 2, 16, 16]) for h in HEADS],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "model.onnx"))
    save_small_bundle(folder / "bundle", folder / "model.onnx", name="spotter")


@pytest.fixture(scope="session")
def spots(once: Callable[..., Path]) -> Path:
    """A folder with two annotated videos of 24 frames in which a bright spot moves."""
    return once("spots", _write_spots)


def _write_spots(folder: Path) -> None:
    videos = {}
    for number in range(2):
        name = f"spot{number}.avi"
        fourcc = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(folder / name), fourcc, 25, (64, 64))
        boxes = []
        for frame in range(24):
            image = np.full((64, 64, 3), 20 + 20 * number, np.uint8)
            x, y = 14 + 1.5 * frame, 24 + 12 * number
            cv2.circle(image, (round(x), y), 7, (255, 255, 255), cv2.FILLED)
            writer.write(cv2.GaussianBlur(image, (0, 0), 3))
            boxes.append([x - 8, y - 8, x + 8, y + 8])
        writer.release()
        tube = {"label": 0, "start": 0, "end": 24, "boxes": boxes}
        videos[name] = {"width": 64, "height": 64, "frames": 24, "tubes": [tube]}
    annotations = {"classes": ["spot", "nothing"], "videos": videos}
    (folder / "annotations.json").write_text(json.dumps(annotations))


@pytest.fixture(scope="session")
def footage(once: Callable[..., Path]) -> Path:
    """A folder with an annotated clip of 40 frames in which puppets act."""
    from edgekit.synthetic.dataset import write_dataset

    place = once("footage", lambda folder: write_dataset(folder / "clips", [161], frames=40))
    return place / "clips"


@pytest.fixture(scope="session")
def export(once: Callable[..., Path]) -> Callable[..., Bundle]:
    """Exports with such settings, the same once for all tests, on 14 November 2023.

    An export takes many seconds, and what it gives is only read.
    """

    def make(checkpoint: Path, target: str = "onnx", **choices: Any) -> Bundle:
        from edgekit.targets.build import export_bundle
        from edgekit.targets.settings import ExportSettings

        settings = ExportSettings(**choices)

        def fill(folder: Path) -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
                export_bundle(checkpoint, target, settings=settings, out=folder / "bundle")

        asked = hashlib.sha256(repr((str(checkpoint), settings)).encode()).hexdigest()
        return load_bundle(once(f"{target}-{asked[:16]}", fill) / "bundle")

    return make


@pytest.fixture(scope="session")
def ir(checkpoint: Path, export: Callable[..., Bundle]) -> Bundle:
    """The small checkpoint for OpenVINO."""
    return export(checkpoint, "openvino")


@pytest.fixture(scope="session")
def lite(checkpoint: Path, export: Callable[..., Bundle]) -> Bundle:
    """The small checkpoint for TFLite."""
    return export(checkpoint, "tflite")


@pytest.fixture(scope="session")
def paired(checkpoint: Path, export: Callable[..., Bundle]) -> Bundle:
    """The small checkpoint for ncnn, whose models are pairs of files."""
    return export(checkpoint, "ncnn")


@pytest.fixture(scope="session")
def lite_inside(deformable: Path, export: Callable[..., Bundle]) -> Bundle:
    """Deformable and transposed convolutions, the cascade and the decoding in one TFLite model."""
    return export(deformable, "tflite", cascade_in="graph", decode_in="graph", input_size=(64, 64))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]


@pytest.fixture
def read_page() -> Callable[[str], _Page]:
    """Reads HTML into its tags and addresses."""

    def read(text: str) -> _Page:
        page = _Page()
        page.feed(text)
        return page

    return read


@pytest.fixture
def add_package(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Path]]:
    """Puts a distribution with entry points and one module on the import path; gives its folder."""
    modules: list[str] = []

    def add(distribution: str, group: str, entries: str, module: str = "") -> Path:
        folder = tmp_path_factory.mktemp(distribution)
        info = folder / f"{distribution}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{entries}\n")
        (folder / f"{distribution}_parts.py").write_text(module)
        monkeypatch.syspath_prepend(folder)
        modules.append(f"{distribution}_parts")
        return folder

    yield add
    for name in modules:
        sys.modules.pop(name, None)

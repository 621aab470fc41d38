"""Tests the install commands, which are made from the installed metadata."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

import edgekit.system.installation

ROOT = Path(__file__).resolve().parents[2]
TORCH = "pip install torch --index-url https://download.pytorch.org/whl/cpu && "


def distribution(site, name, *, url=None, published=False, summary="ours", package="edgekit"):
    folder = site / f"{name.replace('-', '_')}-1.5.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.5", f"Summary: {summary}"]
    lines += [] if published else ["Classifier: Private :: Do Not Upload"]
    (folder / "METADATA").write_text("\n".join([*lines, "", ""]))
    (folder / "top_level.txt").write_text(f"{package}\n")
    if url is not None:
        (folder / "direct_url.json").write_text(json.dumps(url))


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Puts the module into a folder of packages, which is then the only one to be searched."""

    def loaded(site=tmp_path / "site", torch=True):
        # The module cannot import these from here on.
        assert importlib.metadata
        assert urllib.request
        folder = site / "edgekit" / "system"
        folder.mkdir(parents=True, exist_ok=True)
        path = shutil.copy(edgekit.system.installation.__file__, folder / "installation.py")
        if torch:
            (tmp_path / "site").mkdir(exist_ok=True)
            (tmp_path / "site" / "torch.py").touch()
        monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
        # The package importlib_metadata, once imported, takes over the search of metadata.
        others = [one for one in sys.meta_path if "importlib_metadata" in type(one).__module__]
        monkeypatch.setattr(sys, "meta_path", [PathFinder, *others])
        spec = importlib.util.spec_from_file_location("edgekit_installed", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        spec.loader.exec_module(module)
        return module

    return loaded


def test_in_a_checkout_the_line_names_the_checkout(tmp_path, load):
    checkout = tmp_path / "my checkout"
    checkout.mkdir()
    url = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    distribution(tmp_path / "site", "edgekit-vision", url=url)
    installed = load(checkout)
    assert installed.install_line("host") == f'pip install -e "{checkout}[host]"'
    assert installed.install_line() == f'pip install -e "{checkout}"'
    assert installed.install_line(upgrade=True) == f'pip install -e "{checkout}"'
    (checkout / ".git").mkdir()
    assert installed.install_line(upgrade=True).startswith(f'git -C "{checkout}" pull && ')


def test_the_metadata_of_another_checkout_is_not_believed(tmp_path, load):
    for name, place in (("edgekit-vision", "other"), ("edgekit", "mine")):
        (tmp_path / place).mkdir()
        url = {"url": (tmp_path / place).as_uri(), "dir_info": {"editable": True}}
        distribution(tmp_path / "site", name, url=url)
    installed = load(tmp_path / "mine")
    assert installed.install_line("mqtt") == f'pip install -e "{tmp_path / "mine"}[mqtt]"'


def test_a_checkout_that_is_not_installed_is_found(tmp_path, load):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "pyproject.toml").touch()
    assert load(checkout).install_line("serve") == f'pip install -e "{checkout}[serve]"'


@pytest.mark.parametrize("kind", ["wheel", "folder"])
def test_a_wheel_or_folder_that_is_still_there_is_named(tmp_path, load, kind):
    place = tmp_path / f"edgekit_vision-1.5 {kind}.whl"
    place.touch() if kind == "wheel" else place.mkdir()
    told = {"archive_info": {}} if kind == "wheel" else {"dir_info": {}}
    distribution(tmp_path / "site", "edgekit-vision", url={"url": place.as_uri(), **told})
    assert load().install_line("tflite") == f'pip install "{place}[tflite]"'


def test_a_wheel_that_is_gone_is_not_named(tmp_path, load):
    url = {"url": (tmp_path / "gone.whl").as_uri(), "archive_info": {}}
    distribution(tmp_path / "site", "edgekit-vision", url=url)
    assert load().install_line("mqtt") == (
        'pip install "edgekit-vision[mqtt]"'
        "  # edgekit-vision is not on the public index yet: add --find-links WHEELS"
    )


def test_an_address_is_named(tmp_path, load):
    url = {
        "url": "https://host/edgekit.git",
        "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
    }
    distribution(tmp_path / "site", "edgekit-vision", url=url)
    assert load().install_line("mqtt") == (
        'pip install "edgekit-vision[mqtt] @ git+https://host/edgekit.git@c0ffee"'
    )


def test_what_is_published_is_named_alone_by_the_name_in_its_metadata(tmp_path, load):
    distribution(tmp_path / "site", "edgekit-renamed", published=True)
    installed = load()
    assert installed.install_line("mqtt") == 'pip install "edgekit-renamed[mqtt]"'
    assert installed.install_line(upgrade=True) == 'pip install -U "edgekit-renamed"'


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the index has torch for the CPU")
def test_torch_for_the_cpu_comes_first(tmp_path, load):
    distribution(tmp_path / "site", "edgekit-vision", published=True)
    installed = load(torch=False)
    for extra in ("host", "ncnn-host", "tflite-host", "all"):
        assert installed.install_line(extra) == f'{TORCH}pip install "edgekit-vision[{extra}]"'
    assert installed.install_line("mqtt") == 'pip install "edgekit-vision[mqtt]"'


def test_a_path_that_a_shell_would_change_is_quoted(tmp_path, load):
    checkout = tmp_path / "a$HOME`x`"
    checkout.mkdir()
    (checkout / "pyproject.toml").touch()
    line = load(checkout).install_line("host")
    said = subprocess.run(
        ["sh", "-c", line.replace("pip install -e", "echo")], capture_output=True, text=True
    )
    assert said.stdout == f"{checkout}[host]\n"


def test_a_foreign_distribution_of_the_same_package_is_reported(tmp_path, load):
    distribution(tmp_path / "site", "edgekit-vision")
    installed = load()
    assert installed.foreign() is None
    distribution(tmp_path / "site", "edgekit", summary="Workers", published=True)
    assert installed.foreign() == "edgekit 1.5"
    assert installed.origin().name == "edgekit-vision"


def test_our_own_earlier_name_is_not_foreign(tmp_path, load):
    distribution(tmp_path / "site", "edgekit-vision")
    distribution(tmp_path / "site", "edgekit")
    assert load().foreign() is None


def test_no_text_names_a_distribution_of_another_name():
    files = [ROOT / "README.md", ROOT / "Makefile", ROOT / "pyproject.toml"]
    files += [path for path in (ROOT / "docs").rglob("*") if path.suffix == ".md"]
    for folder in ("edgekit", "targets", "calibration", "quantization", "benchmarks", "tests"):
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".sh")]
    wrong = re.compile(r"\bedgekit\[[a-z]|pip install [^\n]*\bedgekit(?![-_/\w])\b")
    ours = re.compile(r"edgekit[-_]vision")
    for path in files:
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if path != Path(__file__) and "uninstall" not in line:
                assert not wrong.search(ours.sub("", line)), f"{path}:{number}: {line}"


def test_the_extras_for_development_are_known():
    text = (ROOT / "pyproject.toml").read_text()
    tools = re.findall(r"^# Only `make .*\n(\w+) =", text, re.M)
    assert {*tools, "dev"} == edgekit.system.installation.DEVELOPMENT


def test_the_extras_that_bring_torch_are_known():
    text = (ROOT / "pyproject.toml").read_text()
    table = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    parts = re.split(r"^([a-z-]+) = ", table, flags=re.M)[1:]
    bring = {
        name
        for name, listed in zip(parts[::2], parts[1::2], strict=True)
        if re.search(r'"(torch|litert-torch|pnnx)\b|[,\[]host\b', listed)
    }
    assert bring == edgekit.system.installation._TORCH


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        ("python_version >= '3.11'", True),
        ("python_version > '3.11'", False),
        ("python_version < '3.9'", False),
        ("python_version == '3.11'", True),
        ('(sys_platform == "linux" and platform_machine == "aarch64")', False),
        ('sys_platform == "linux" and platform_machine != "aarch64"', True),
        ('sys_platform != "linux"', False),
    ],
)
def test_a_requirement_of_another_machine_or_python_does_not_apply(monkeypatch, condition, applies):
    installation = edgekit.system.installation
    lines = [f'thing>=2; {condition} and extra == "more"', f"needed; {condition}", "numpy"]
    monkeypatch.setattr(installation, "_owner", lambda: None)
    monkeypatch.setattr(installation, "_declared", lambda: lines)
    monkeypatch.setattr(installation.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(installation.sys, "platform", "linux")
    monkeypatch.setattr(installation.sys, "version_info", (3, 11, 7))
    expected = [installation.Requirement("thing", "more", applies), ("numpy", "", True)]
    if applies:
        expected.insert(1, installation.Requirement("needed", "", True))
    assert installation.requirements() == expected


def test_what_only_another_machine_needs_is_named(monkeypatch):
    installation = edgekit.system.installation
    lines = [
        'lite>=2.3; (sys_platform == "linux" and platform_machine == "aarch64") and extra == "npu"',
        'other; platform_machine == "aarch64" and extra == "more"',
        'backport>=1,<3; python_version < "3.11"',
        'everywhere; extra == "npu"',
        "numpy",
    ]
    monkeypatch.setattr(installation, "_owner", lambda: None)
    monkeypatch.setattr(installation, "_declared", lambda: lines)
    monkeypatch.setattr(installation.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(installation.sys, "platform", "linux")
    monkeypatch.setattr(installation.sys, "version_info", (3, 11, 7))
    required = installation.elsewhere_required
    assert required(["npu"], python=(3, 11), machine="aarch64") == ["lite>=2.3"]
    assert required([], python=(3, 10), machine="aarch64") == ["backport>=1,<3"]
    assert required(["npu", "more"], python=(3, 11), machine="x86_64") == []

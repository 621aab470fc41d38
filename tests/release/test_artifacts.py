"""Tests that builds are complete, reproducible, and named after the processors that they serve."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from edgekit.errors import BadInputError, ConversionError, MissingDependencyError
from release import wheels
from release.artifacts import build_from_clone, differences, pack
from release.sources import commit_of, copy_sources
from release.wheels import PURE, build_wheel, main, wheel_of_checkout

pytestmark = pytest.mark.long  # they share two builds

ROOT = Path(__file__).resolve().parents[2]
MACHINES = {"x86_64": 62, "aarch64": 183}
"""Numbers of processors in the headers of libraries."""


def git(folder, *arguments):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@localhost")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository whose only commit has the sources as they are now, but short models.

    Each build would compress 20 MB of weights several times.
    """
    folder = tmp_path_factory.mktemp("repository") / "edgekit"
    copy_sources(ROOT, folder)
    for path in (folder / "edgekit" / "assets").rglob("*"):
        if path.stat().st_size > 1_000_000:
            os.truncate(path, 1000)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "All")
    return folder


@pytest.fixture(scope="module")
def architecture():
    """A processor that this machine can build for, preferably another one than its own."""
    pytest.importorskip("auditwheel")
    pytest.importorskip("setuptools.command.bdist_wheel")
    for name in reversed(MACHINES):
        if shutil.which(f"{name}-linux-gnu-gcc"):
            return name
    pytest.skip("no compiler with the name of a processor is here")


@pytest.fixture(scope="module")
def builds(repository, architecture, tmp_path_factory):
    """Two builds of the same commit, under another umask, time zone and folder."""
    folders = []
    for number, mask in enumerate((0o022, 0o077)):
        out = tmp_path_factory.mktemp(f"build-{'long-' * number}name")
        before = os.umask(mask)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", ("Asia/Kathmandu", "UTC")[number])
            patch.setenv("CFLAGS", ("-O1", "")[number])
            try:
                build_from_clone(repository, commit_of(repository), out, [architecture])
            finally:
                os.umask(before)
        folders.append(out)
    return folders


def test_two_clones_give_the_same_bytes(builds):
    assert len(list(builds[0].iterdir())) == 2
    assert differences(*builds) == []


def test_a_wheel_has_the_kernels_of_its_processor_and_no_tests(builds, architecture):
    (path,) = builds[0].glob("*.whl")
    # CentOS 7 and Debian 8 have this C library, so every system that EdgeKit runs on does.
    assert f"manylinux_2_17_{architecture}" in path.name
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        kernels = [name for name in names if name.endswith(".so")]
        assert kernels == ["edgekit/runtime/native/_kernels.so"]
        (machine,) = struct.unpack_from("<H", wheel.read(kernels[0]), 18)
    assert machine == MACHINES[architecture]
    about = next(name for name in names if ".dist-info/" in name).partition("/")[0]
    assert {name.partition("/")[0] for name in names} == {"edgekit", about}
    assert not [name for name in names if "/suites/" in name or "tests" in name]
    assert "edgekit/targets/onnx/session.py" in names  # through a symbolic link
    assert "edgekit/media/page/static/page.js" in names


def test_pip_chooses_the_wheel_of_the_processor(builds, architecture, tmp_path):
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-index", "--no-deps"]
    command += ["--find-links", builds[0], "--only-binary=:all:", "-d", tmp_path, "edgekit-vision"]
    for glibc, expected in ((17, 0), (5, 1)):
        platform = f"--platform=manylinux_2_{glibc}_{architecture}"
        done = subprocess.run([*command, platform], capture_output=True, check=False)
        assert done.returncode == expected, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [next(builds[0].glob("*.whl")).name]


def test_the_source_distribution_builds_again(builds, tmp_path):
    (sdist,) = builds[0].glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        tar.extractall(tmp_path, filter="data")
    (sources,) = tmp_path.iterdir()
    assert not (sources / "edgekit" / "targets").is_symlink()
    assert {path.name for path in (sources / "edgekit/runtime/native").glob("*.[ch]")} == {
        path.name for path in (ROOT / "edgekit/runtime/native").glob("*.[ch]")
    }
    assert not (sources / "tests").exists()  # most of them, and their fixtures, would be missing


def test_a_difference_is_named(tmp_path):
    for name, text in (("one", "a"), ("other", "b")):
        (tmp_path / name).mkdir()
        with zipfile.ZipFile(tmp_path / name / "same-any.whl", "w") as wheel:
            wheel.writestr("inside.py", text)
        (tmp_path / name / f"{name}.tar.gz").write_text(text)
    assert differences(tmp_path / "one", tmp_path / "other") == [
        "Only one build has one.tar.gz.",
        "Only one build has other.tar.gz.",
        "same-any.whl differs: inside.py.",
    ]


def test_an_archive_depends_on_names_and_contents_alone(tmp_path):
    for number in range(2):
        folder = tmp_path / str(number) / "site"
        folder.mkdir(parents=True)
        for name in ("b", "a") if number else ("a", "b"):
            (folder / name).write_text(name)
            (folder / name).chmod(0o600 if number else 0o644)
        pack([folder], tmp_path / f"{number}.tar.gz", 1_700_000_000)
    assert (tmp_path / "0.tar.gz").read_bytes() == (tmp_path / "1.tar.gz").read_bytes()


def test_changes_that_are_not_committed_are_in_the_wheel(repository, tmp_path):
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "-q", str(repository), str(checkout))
    (checkout / "edgekit" / "new_module.py").write_text("")
    (checkout / "edgekit" / "demo.py").unlink()
    (checkout / "build").mkdir()
    (checkout / "build" / "junk.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "release.wheels", PURE, "-o", tmp_path / "out"],
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    path = Path(done.stdout.strip())
    assert list((tmp_path / "out").iterdir()) == [path]
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    assert "edgekit/new_module.py" in names
    assert "edgekit/demo.py" not in names
    assert not any("junk" in name for name in names)
    changed = git(checkout, "status", "--porcelain").split()
    assert sorted(changed) == ["??", "D", "edgekit/demo.py", "edgekit/new_module.py"]


def test_a_wheel_has_no_files_of_an_earlier_build(repository, tmp_path):
    sources = tmp_path / "sources"
    copy_sources(repository, sources)
    gone = sources / "edgekit" / "gone.py"
    for number in range(2):
        gone.write_text("") if number == 0 else gone.unlink()
        wheel = build_wheel(sources, PURE, tmp_path / str(number), 1_700_000_000)
        assert ("edgekit/gone.py" in zipfile.ZipFile(wheel).namelist()) == (number == 0)


def test_a_missing_compiler_is_named_with_its_package(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(wheels.shutil, "which", lambda _: None)
    with pytest.raises(MissingDependencyError, match="aarch64-linux-gnu-gcc"):
        wheel_of_checkout(ROOT, "aarch64", tmp_path)
    assert main(["aarch64", "-o", str(tmp_path), "--checkout", str(ROOT)]) == 4
    assert (
        "apt-get install --no-install-recommends gcc-aarch64-linux-gnu" in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_fails_gives_no_wheel_of_another_name(monkeypatch, repository, tmp_path):
    machine = next(iter(MACHINES))
    compiler = tmp_path / "bin" / "x86_64-linux-gnu-gcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\necho this compiler is broken >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}:{os.environ['PATH']}")
    with pytest.raises(ConversionError, match="did not compile") as caught:
        wheel_of_checkout(repository, machine, tmp_path / "out")
    assert "this compiler is broken" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_without_git_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="Expected a git checkout"):
        wheel_of_checkout(tmp_path, PURE, tmp_path / "out")

"""Tests that parts of packages are found by entry points, and broken ones refused."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click
import pytest

from edgekit.cli.options.types import DATASET, TARGET
from edgekit.errors import PluginError, UsageError
from edgekit.media.sinks.registry import find_sink
from edgekit.system.plugins import Registry
from tests.special_files import put_special_file

MODULE = """\
PART = 7
class Broken: pass
"""


MUTE = """\
class Mute(Exception):
    def __str__(self): raise ValueError
raise Mute
"""


@pytest.fixture
def registry() -> Registry[int]:
    own: dict[str, int | str] = {"one": 1, "path": "sys:maxsize"}
    return Registry("edgekit.numbers", own, lambda part: isinstance(part, int), "a number")


@pytest.fixture
def install(add_package):
    """Puts a distribution with these entry points on the import path."""

    def make(distribution: str, entries: str, module: str = MODULE) -> Path:
        return add_package(distribution, "edgekit.numbers", entries, module)

    return make


def test_own_parts_are_objects_or_imported_by_their_names(registry):
    assert registry["one"] == 1
    assert registry["path"] == sys.maxsize
    with pytest.raises(KeyError, match="two"):
        registry["two"]
    assert list(registry) == ["one", "path"]


def test_a_package_adds_a_part(registry, install):
    install("seven", "seven = seven_parts:PART")
    assert "seven" in registry
    assert registry["seven"] == 7
    assert list(registry) == ["one", "path", "seven"]
    (plugin,) = registry.plugins()
    assert (plugin.distribution, plugin.version) == ("seven", "1.2")
    assert registry.problem(plugin) is None


@pytest.mark.parametrize(
    ("entries", "module", "said"),
    [
        ("x = nowhere:PART", MODULE, "cannot be imported .* ModuleNotFoundError"),
        ("x = bad_parts:NONE", MODULE, "cannot be imported .* AttributeError"),
        ("x = bad_parts", MODULE, "cannot be imported"),
        ("x = bad_parts:PART", "raise ValueError('out\\n of order')", "ValueError: out of order"),
        ("x = bad_parts:PART", "import sys; sys.exit(3)", "SystemExit: 3"),
        ("x = bad_parts:PART", "raise BaseException('all')", "BaseException: all"),
        ("x = bad_parts:PART", "raise GeneratorExit", "GeneratorExit"),
        ("x = bad_parts:PART", "def f(): f()\nf()", "RecursionError"),
        ("x = bad_parts:PART", MUTE, r"from bad_parts:PART: Mute\.\n"),
        ("x = bad_parts:Broken", MODULE, "expected bad_parts:Broken to be a number; found Broken"),
    ],
)
def test_a_broken_part_is_named_and_skipped(registry, install, caplog, entries, module, said):
    install("bad", entries, module)
    assert registry["one"] == 1
    with pytest.raises(PluginError, match=said) as caught:
        registry["x"]
    assert "'x' in edgekit.numbers of bad 1.2" in caught.value.message
    assert "pip uninstall bad" in caught.value.hint
    with caplog.at_level(logging.WARNING):
        assert [name for name, _ in registry.usable()] == ["one", "path"]
    assert "bad 1.2" in caplog.text
    (plugin,) = registry.plugins()
    assert registry.problem(plugin).message == caught.value.message


def test_names_that_are_taken(registry, install):
    install("late", "one = late_parts:PART")
    for name in ("left", "right"):
        install(name, f"seven = {name}_parts:PART")
    assert registry["one"] == 1
    with pytest.raises(PluginError, match=r"taken twice, by left 1\.2 and right 1\.2"):
        registry["seven"]
    said = [registry.problem(plugin).message for plugin in registry.plugins()]
    assert "late 1.2 has the same name as a part of EdgeKit" in said[0]
    assert said[1] == said[2]
    assert list(registry) == ["one", "path", "seven"]


def test_an_error_lists_only_some_of_thousands_of_parts(add_package):
    entries = "\n".join(f"part{number} = many_parts:PART" for number in range(5000))
    add_package("many", "edgekit.sinks", entries)
    with pytest.raises(UsageError, match=r"expected one of part0, .* and 4950 more\.") as caught:
        find_sink("other")
    assert len(caught.value.message) < 1000
    for kind, choice in (("targets", TARGET), ("datasets", DATASET)):
        add_package(f"other{kind}", f"edgekit.{kind}", entries)
        with pytest.raises(click.BadParameter, match=r"is not one of .* more\.") as refused:
            choice("other")
        assert len(refused.value.message) < 1000
        assert len(choice.get_metavar(None)) < 1000


def test_of_two_copies_of_a_package_the_first_counts(registry, install, tmp_path, monkeypatch):
    install("seven", "seven = seven_parts:PART")
    old = tmp_path / "old" / "seven-1.1.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Name: seven\nVersion: 1.1\n")
    (old / "entry_points.txt").write_text("[edgekit.numbers]\nseven = seven_parts:OLD\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(old.parent)])
    assert [plugin.version for plugin in registry.plugins()] == ["1.2"]


def test_unreadable_entry_points_are_named_and_skipped(registry, install, caplog):
    install("seven", "seven = seven_parts:PART")
    install("torn", "no equals sign")
    folder = install("binary", "seven = binary_parts:PART")
    (folder / "binary-1.2.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe")
    with caplog.at_level(logging.WARNING):
        assert registry["seven"] == 7
    assert "torn" in caplog.text
    assert "binary" in caplog.text


@pytest.mark.parametrize("name", ["entry_points.txt", "METADATA"])
@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "sparse"])
def test_metadata_that_is_no_file_is_named_and_skipped(registry, install, caplog, name, kind):
    install("seven", "seven = seven_parts:PART")
    folder = install("odd", "odd = odd_parts:PART")
    put_special_file(folder / "odd-1.2.dist-info" / name, kind)
    with caplog.at_level(logging.WARNING):
        assert list(registry) == ["one", "path", "seven"]
    assert f"The entry points in {folder} are unreadable" in caplog.text


def test_classes_that_belong_to_a_part(registry, install):
    install("seven", "seven = seven_parts:PART")
    assert registry.import_class("one", "pathlib:PurePath", Path) is not None
    assert registry.import_class("seven", "pathlib:PosixPath", Path).__name__ == "PosixPath"
    with pytest.raises(PluginError, match=r"expected pathlib:PurePath to be a subclass of Path"):
        registry.import_class("seven", "pathlib:PurePath", Path)
    with pytest.raises(PluginError, match=r"seven 1\.2 cannot be imported from nowhere:X"):
        registry.import_class("seven", "nowhere:X", Path)


def test_an_interrupt_during_an_import_stays_one(registry, install):
    install("slow", "x = slow_parts:PART", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        registry["x"]

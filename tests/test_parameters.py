"""Tests that messages of the library name parameters, and commands show flags."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

import edgekit
from edgekit._parameters import argument, parameter, write_flags, writes_flags
from edgekit.cli import main
from edgekit.errors import UsageError
from edgekit.executors.opening import open_executor
from edgekit.linking.registry import make_linker
from edgekit.targets.bundle_choice import another_bundle

ROOT = Path(edgekit.__file__).parent
ROOMS = (
    *("benchmarks", "bundle", "calibration", "datasets", "evaluation", "executors", "files"),
    "linking",
    *("measuring", "media", "metrics", "models"),
    *("pipeline", "quantization", "running", "runtime", "system", "targets", "training"),
)
"""Rooms of the library, in which no message names a flag."""

COMMAND = re.compile(
    r"(?:edgekit [a-z]+|dask worker|pip install|ffmpeg|trtexec|-m venv).*"
    r"|--(?:find-links|force-reinstall).*"
)
"""Whole command lines, which a Python user runs as well, and options of pip."""

STYLE = re.compile(r"var\(--[a-zA-Z]+\)")
"""Variables of a style sheet."""


@pytest.fixture
def flags():
    before = write_flags(True)
    yield
    write_flags(before)


def refusal() -> UsageError:
    with pytest.raises(UsageError) as caught:
        make_linker("road", 3, delay_seconds=0.5)
    return caught.value


def test_a_python_program_reads_parameters():
    assert not writes_flags()
    assert parameter("max_misses") == "max_misses"
    assert parameter("threads", 1) == "threads=1"
    assert parameter("bundle", "shipped") == "bundle='shipped'"
    assert parameter("bundle", "FOLDER") == "bundle=FOLDER"
    assert argument("bundle") == "bundle"
    assert another_bundle("eval") == "bundle=FOLDER or bundle='shipped'"
    assert parameter("realtime", True) == "realtime=True"
    error = refusal()
    assert error.message == (
        "delay_seconds=0.5 works only with the linker 'edgekit'; link is 'road'."
    )
    assert error.hint == "Leave out delay_seconds, or use link='edgekit'."


def test_a_user_of_the_command_line_reads_flags(flags):
    assert parameter("max_misses") == "--max-misses"
    assert parameter("threads", 1) == "--threads 1"
    assert parameter("bundle", "shipped") == "--bundle shipped"
    assert argument("bundle") == "BUNDLE"
    assert another_bundle("eval") == "edgekit eval BUNDLE or edgekit eval shipped"
    assert parameter("realtime", True) == "--realtime"
    assert parameter("origin", "scratch") == "--from scratch"
    error = refusal()
    assert error.message == (
        "--delay-seconds 0.5 works only with the linker 'edgekit'; --link is 'road'."
    )
    assert error.hint == "Leave out --delay-seconds, or use --link edgekit."


def test_an_attribute_has_one_name_everywhere(flags):
    assert parameter("frame.time") == "frame.time"


def test_the_command_line_writes_flags_and_leaves_no_trace(capsys):
    assert main(["run", "file://elsewhere/clip.mp4"]) == 2
    assert "Error: --source file://elsewhere/clip.mp4 names a file" in capsys.readouterr().err
    assert not writes_flags()
    assert "source='file://elsewhere" in _opening("file://elsewhere/clip.mp4").message


def test_processes_of_the_command_line_write_flags_too(flags):
    with open_executor(2) as pool:
        assert pool is not None
        assert pool.submit(parameter, "max_misses").result() == "--max-misses"
        assert pool.submit(os.getpid).result() != os.getpid()


@pytest.mark.parametrize("room", ROOMS)
def test_no_message_of_the_library_names_a_flag(room):
    # The suites are scripts of a checkout, with command lines of their own.
    files = sorted(path for path in (ROOT / room).rglob("*.py") if "suites" not in path.parts)
    assert files
    found = [f"{path.relative_to(ROOT)}: {text}" for path in files for text in _flags_in(path)]
    assert not found


@pytest.mark.parametrize("room", ROOMS)
def test_no_command_of_a_message_has_a_parameter(room):
    command = re.compile(r"edgekit [a-z]+(?: (?!with )[\w-]+)* \0")
    files = sorted(path for path in (ROOT / room).rglob("*.py") if "suites" not in path.parts)
    assert not [text for path in files for text in _texts_in(path) if command.search(text)]


def _texts_in(path: Path) -> list[str]:
    """Returns the formatted texts of a module, with a NUL for each name of a parameter."""
    return [
        "".join(
            "\0" if "parameter(" in ast.unparse(part) else _text_of(part) or "X"
            for part in node.values
        )
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
    ]


def _opening(spec: str) -> UsageError:
    from edgekit.media import open_source

    with pytest.raises(UsageError) as caught:
        open_source(spec)
    return caught.value


def _flags_in(path: Path) -> list[str]:
    """Returns the texts of a module, apart from docstrings, that name a flag of ours."""
    tree = ast.parse(path.read_text())
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in documents | inner:
            continue
        text = _text_of(node)
        # Two modules are programs that other environments run, and answer this one.
        if text != "--help" and re.search(
            r"(?<![\w-])--[a-z]", COMMAND.sub("", STYLE.sub("", text))
        ):
            found.append(text)
    return found


def _text_of(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or "X" for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ""

"""The examples in the documentation run, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import click
import cv2
import numpy as np
import pytest

from edgekit.cli import COMMANDS, cli, main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_extension_points_work_as_documented(tmp_path, monkeypatch):
    from edgekit.models import registry

    monkeypatch.setattr(registry, "ARCHITECTURES", dict(registry.ARCHITECTURES))
    clip = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 25, (320, 240))
    for level in range(6):
        writer.write(np.full((240, 320, 3), 30 * level, np.uint8))
    writer.release()
    names: dict[str, object] = {"clip": str(clip)}
    for page, count in (("extending.md", 6), ("linking.md", 1)):
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)
        assert len(blocks) == count
        for block in blocks:
            exec(compile(block, f"docs/{page}", "exec"), names)
    assert names["summary"].frames == 6
    assert names["frame"].index == 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def _shell_lines(page: Path) -> list[str]:
    """The lines of a page's blocks that call edgekit, without what else the shell does."""
    text = re.sub(r"```python\n.*?```", "", page.read_text(), flags=re.S)
    lines = re.findall(r"^(?:    |(?=edgekit ))(\S.*)$", text, re.M)
    calls = []
    for line in lines:
        for part in re.split(r"\||&&", re.split(r"\s+#|\s>", line)[0]):
            if match := re.match(r"(?:\S*/bin/|\$ )?edgekit\s+(?=[a-z])(.*)", part.strip()):
                calls.append(match[1].strip())
    return calls


def _parse(line: str) -> tuple[click.Command, dict[str, object]]:
    """The command of a line, and its options as their types take them."""
    words = shlex.split(line)
    command = cli.get_command(click.Context(cli), words.pop(0))
    assert command is not None, line
    if isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    context = click.Context(command)
    found, left, _ = command.make_parser(context).parse_args(words)
    assert not left, line
    parameters = {parameter.name: parameter for parameter in command.params}
    given = {name: value for name, value in found.items() if isinstance(value, str | list | tuple)}
    values = {name: parameters[name].type_cast_value(context, v) for name, v in given.items()}
    return command, values


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_lines_are_what_the_commands_take(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in _shell_lines(page):
        _parse(line.replace(" OPTIONS", ""))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_the_help_are_what_the_commands_take(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = cli.get_command(click.Context(cli), name)
    below = command.commands.values() if isinstance(command, click.Group) else ()
    for one in (command, *below):
        line = re.search(r"Example: edgekit (.*)", one.help)[1]
        assert _parse(line)[0] in (one, *below)


def test_shell_lines_are_found():
    lines = [line for page in PAGES for line in _shell_lines(page)]
    assert len(lines) > 35
    assert "run --source - --raw-size 640x480 --raw-format nv12" in lines  # behind a pipe
    assert "bench --json" in lines  # before a file
    with pytest.raises(click.NoSuchOption):
        _parse("run --fly")
    with pytest.raises(click.BadParameter):
        _parse("run --score 7")


def _options(command: click.Command) -> set[str]:
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = {name for one in command.params for name in one.opts}
    return own.union(*map(_options, below))


_OF_OTHERS = {
    *("--no-deps", "--memPoolSize", "--opt_out", "--cpu"),  # pip, trtexec, OpenVINO, stress-ng
    # edgekit/benchmarks/suites
    *("--by", "--every", "--minutes", "--only", "--pictures", "--repeats", "--times", "--write"),
}
"""Options that are not of edgekit."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_the_text_are_there(page):
    context = click.Context(cli)
    every = {"--help", "--version"}.union(
        *(_options(cli.get_command(context, n)) for n in COMMANDS)
    )
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    named = {
        name
        for code in re.findall(r"`([^`\n]+)`", text)
        for name in re.findall(r"(?<!\S)--[a-z][\w-]*", code)
    }
    assert named - every - _OF_OTHERS == set()


def test_the_blocks_of_python_are_all_run():
    """By the test of the extension points and those of the README."""
    pages = {page.name for page in PAGES if "```python" in page.read_text()}
    assert pages == {"README.md", "events.md", "extending.md", "linking.md"}


def test_the_readme_sample_runs_in_a_checkout(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    exec(compile(block, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_lines_of_the_readme_run(spots, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.copy(spots / "spot0.avi", "clip.mp4")
    lines = [line for line in _shell_lines(ROOT / "README.md") if line.startswith("run ")]
    assert len(lines) == 1
    for line in (*lines, "doctor", "inspect", "cache info", "cache clear"):
        assert main(shlex.split(line)) == 0, capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {
        *("clip.mp4", "events.jsonl", "annotated.mp4", "tubes.png")
    }
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "events.md").read_text(), re.S)
    names: dict[str, object] = {}
    exec(compile(block, "docs/events.md", "exec"), names)
    assert [event["type"] for event in names["events"]][:2] == ["start", "frame"]


def test_the_readme_shows_the_lines_of_the_product():
    text = (ROOT / "README.md").read_text()
    for line in (
        "make demo",
        "make test",
        "edgekit export --target jetson",
        "edgekit quantize --calib",
        "edgekit run --camera 0",
        "edgekit bench",
    ):
        assert line in text

"""Tests that commands in the documentation are valid, and that links have targets."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from edgekit.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def _shell_lines(page: Path) -> list[str]:
    """The lines of a page's blocks that call edgekit, without what else the shell does."""
    fences = re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.S | re.M)
    lines = [line for fence in fences for line in fence.splitlines()]
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


# Those of extending.md need its example package: tests/plugins/test_extending.py.
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "extending.md"], ids=lambda page: page.name
)
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
    assert len(lines) > 30
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
    *(
        "--device",
        "--format",
        "--group-add",
        "--network",
        "--no-healthcheck",
        "--platform",
        "--restart",
        "--security-opt",
        "--ulimit",
    ),  # Docker
    *("--image", "--strict"),  # release, twine
    *("--max-restarts", "--nnodes", "--rdzv-endpoint"),  # torchrun
    # edgekit/benchmarks/suites
    *("--by", "--every", "--minutes", "--only", "--pictures", "--repeats", "--seconds", "--times"),
    "--write",
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


def test_contributing_names_every_folder_of_the_package():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    folders = {path.parent.name for path in (ROOT / "edgekit").glob("*/__init__.py")}
    assert folders == set(re.findall(r"^\| `edgekit/(\w+)`", text, re.M))


def test_contributing_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:edgekit|tests|docs|release|targets|quantization)/[\w./]+)`", text)
    assert len(named) > 30
    for name in named:
        assert (ROOT / name).exists(), f"CONTRIBUTING.md names {name}"

from __future__ import annotations

import errno
import importlib
import json
import marshal
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from edgekit import cli, errors
from edgekit.cli.options import shared
from edgekit.models.registry import ARCHITECTURES
from edgekit.training.settings import MOST_STORED

NETWORKS = set(ARCHITECTURES.own)  # other tests add some of their own
DATASET = [["dataset", name] for name in ("inspect", "check", "convert", "split")]
GROUPS = ("cache", "dataset")
HELP = [[], *([name] for name in cli.COMMANDS), ["cache", "info"], ["cache", "clear"], *DATASET]


@pytest.mark.parametrize("command", HELP)
def test_help_has_an_example(command, capsys):
    assert cli.main([*command, "--help"]) == 0
    assert "Example: edgekit" in re.sub(r"\s+", " ", capsys.readouterr().out)


@pytest.mark.parametrize("group", [[], *([name] for name in GROUPS)])
def test_the_list_of_commands_has_whole_sentences(group, capsys):
    assert cli.main([*group, "--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_short_help_is_the_commands_own(name):
    command = cli.cli.get_command(None, name)
    assert command.help.splitlines()[0] == cli.COMMANDS[name]
    assert all(getattr(o, "help", "x") is not None or o.name for o in command.params)


@pytest.mark.parametrize("name", ["export", "train"])
def test_the_help_of_arch_names_every_network(name, capsys):
    assert cli.main([name, "--help"]) == 0
    choices = re.search(r"--arch \[(.*?)\]", capsys.readouterr().out, re.S)
    assert set(re.findall(r"\w+", choices[1])) >= NETWORKS


def test_the_frame_store_is_as_large_as_from_python(capsys):
    options = {option.name: option for option in cli.cli.get_command(None, "train").params}
    store = options["frame_store_size"]
    assert store.type.convert(store.default, None, None) == MOST_STORED
    assert cli.main(["train", "--help"]) == 0
    assert f"[default: {store.default}]" in capsys.readouterr().out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_takes_json_and_verbose(name):
    command = cli.cli.get_command(None, name)
    for one in command.commands.values() if isinstance(command, click.Group) else [command]:
        names = {option for o in one.params for option in o.opts}
        assert {"--json", "-v"} <= names


@pytest.mark.parametrize("arguments", [["fly"], ["run", "--fly"], ["eval", "--split", "9"]])
def test_wrong_usage_is_2(arguments, capsys):
    assert cli.main(arguments) == 2
    assert "Usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (errors.BundleError("bad", hint="do this"), 3, "Error: bad\ndo this"),
        (errors.BoundError("late"), 5, "Error: late"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 3, "Free some space"),
    ],
)
def test_errors_become_exit_statuses(error, status, words, capsys, monkeypatch):
    @click.command()
    def failing():
        raise error

    monkeypatch.setattr(cli, "cli", failing)
    assert cli.main([]) == status
    shown = capsys.readouterr()
    assert words in shown.err
    assert "Traceback" not in shown.err
    assert not shown.out


def _classes(kind=errors.EdgeKitError):
    return [kind, *(found for below in kind.__subclasses__() for found in _classes(below))]


_TREE = [kind for kind in _classes() if kind.__module__ == "edgekit.errors"]
_RAISED = [
    *((kind("found x", hint="do y"), kind.code, kind.exit_status) for kind in _TREE),
    (KeyboardInterrupt(), "interrupted", 130),
    (click.UsageError("found x"), "usage", 2),
    (click.BadParameter("found x"), "usage", 2),
    (OSError(errno.ENOSPC, "found x", "/y"), "output", 3),
    (RuntimeError("found x"), "internal", 1),
    (EOFError("found x"), "internal", 1),
    (MemoryError(), "resource", 3),
]


@pytest.mark.parametrize(("error", "code", "status"), _RAISED, ids=lambda part: str(part))
def test_errors_as_json(error, code, status, capsys, monkeypatch):
    @click.command()
    @shared.common_options
    def failing(as_json):
        raise error

    monkeypatch.setattr(cli, "cli", failing)
    assert cli.main(["--json"]) == status
    shown = capsys.readouterr()
    found = json.loads(shown.out)["error"]
    assert set(found) == {"code", "message", "hint", "status"}
    assert (found["code"], found["status"]) == (code, status)
    if not isinstance(error, (KeyboardInterrupt, MemoryError)):
        assert "found x" in found["message"]
        assert "found x" in shown.err
    assert ("Traceback" in shown.err) is (code == "internal")


@pytest.mark.parametrize("content", [b"", b"\xe3", bytes(9), b"\xe3" + bytes(9)])
def test_compiled_files_that_a_full_disk_or_a_power_cut_damaged_are_said(
    capsys, monkeypatch, content
):
    @click.command()
    def failing():
        marshal.loads(content)  # as the import of such a file does

    monkeypatch.setattr(cli, "cli", failing)
    assert cli.main([]) == 3
    said = capsys.readouterr().err
    assert "A compiled file of Python (.pyc) is damaged." in said
    assert "-name __pycache__" in said
    assert "Traceback" not in said


def test_an_error_after_the_result_is_beside_it(capsys, monkeypatch):
    @click.command()
    @shared.common_options
    def slower(as_json):
        shared.emit_json({"rows": [1, 2]})
        raise errors.BoundError("too slow")

    monkeypatch.setattr(cli, "cli", slower)
    assert cli.main(["--json"]) == 5
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == [1, 2]
    assert found["error"]["code"] == "bound"


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name not in GROUPS])
@pytest.mark.parametrize("wrong", [["--fly"], ["--json=1"], ["--threads"]])
def test_wrong_usage_of_every_command_as_json(name, wrong, capsys):
    assert cli.main([name, "--json", *wrong]) == 2
    shown = capsys.readouterr()
    found = json.loads(shown.out)["error"]
    assert (found["code"], found["status"]) == ("usage", 2)
    assert found["hint"] == f"Run: edgekit {name} --help"
    assert found["message"] in " ".join(shown.err.split())


def test_a_command_that_is_none_as_json(capsys):
    assert cli.main(["fly", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"
    assert cli.main(["fly", "--", "--json"]) == 2
    assert not capsys.readouterr().out


def test_the_codes_in_the_docs_are_those_of_the_tree():
    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.MULTILINE))
    coded = [kind for kind in _TREE if "code" in vars(kind)]  # the others have their parent's
    codes = {kind.code: str(kind.exit_status) for kind in coded}
    assert len(codes) == len(coded)
    assert table == {**codes, "interrupted": "130", "internal": "1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["expor"], "Did you mean 'export'?"),
        (["quantise", "--calib"], "Did you mean 'quantize'?"),
        (["run", ""], "Argument 2 of the command line, after run, is empty."),
        (["quantize", "--calib", ""], "Argument 3 of the command line, after --calib, is empty."),
        (["export", "--name", ""], "after --name, is empty"),
        (
            ["quantize", "--calib="],
            "Argument 2 of the command line, the value of --calib, is empty.",
        ),
        (["demo", "-o", "made", "--bundle="], "the value of --bundle, is empty"),
        ([""], "Argument 1 of the command line"),
        (["cache", "info", "--cache", "nothere"], "does not exist"),
        (["run", "--events", "-"], "--json and '--events -' both write to standard output."),
    ],
)
def test_slips(words, said, capsys):
    assert cli.main([*words, "--json"]) == 2
    assert said in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_clip_may_be_called_like_an_empty_option(capsys):
    assert cli.main(["run", "--", "--source="]) == 3
    assert "There is no file or folder --source=" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "headings", "around"),
    [
        (
            "run",
            "Source, Model, Frames, Tubes, Outputs, Network outputs, Limits, General",
            ("--camera", "Model:", "--bundle"),
        ),
        (
            "bench",
            "Measurement, Operators, Rows, Devices, Accuracy, Tuning, Comparison, Outputs, General",
            ("--energy", "Rows:", "--runtime"),
        ),
    ],
)
def test_many_options_stand_under_headings(name, headings, around, capsys):
    assert cli.main([name, "--help"]) == 0
    words = capsys.readouterr().out
    found = [line[:-1] for line in words.splitlines() if re.fullmatch(r"[A-Z][a-z ]+:", line)]
    assert found == headings.split(", ")
    before, heading, after = map(words.index, around)
    assert before < heading < after


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_paths_are_called_file_or_folder(name):
    command = cli.cli.get_command(None, name)
    context = click.Context(command)
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    shown = {
        option.opts[0]: option.make_metavar(context)
        for option in (option for one in commands for option in one.params)
        if isinstance(option, click.Option) and isinstance(option.type, click.Path)
    }
    assert set(shown.values()) <= {"FILE", "FOLDER", "[PATH]", "FILE|-"}, shown


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name not in GROUPS])
def test_every_option_says_what_it_is(name):
    command = importlib.import_module(f"edgekit.cli.{name}").command
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]}"
            assert re.match(r"[A-Z]", option.help)


_SIGNALLED = """
import atexit, os, runpy, signal, sys

when, sys.argv[1] = sys.argv[1], "--version"

class Finder:
    def find_spec(name, *_):
        if name == when:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
if when == "at the end":
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
runpy.run_module("edgekit", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("when", "status"), [("click", 130), ("edgekit.cli.output.outcome", 130), ("at the end", 0)]
)
def test_ctrl_c_before_the_work_and_after_it_says_nothing(when, status):
    command = [sys.executable, "-c", _SIGNALLED, when]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, "")


_LOST = """
import os, runpy, signal, sys
from edgekit.targets import inspection

def inspect_bundle(bundle):
    try:
        os.kill(os.getpid(), getattr(signal, os.environ["NUMBER"]))
    except KeyboardInterrupt:
        raise RecursionError("in a package whose import was interrupted") from None

inspection.inspect_bundle = inspect_bundle
runpy.run_module("edgekit", run_name="__main__")
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_that_a_package_loses_is_no_fault_of_edgekit(spot_bundle, number):
    command = [sys.executable, "-c", _LOST, "inspect", str(spot_bundle)]
    environment = {**os.environ, "NUMBER": number}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_ctrl_c_that_a_package_reports_as_its_own_failure(spot_bundle, spot_video, monkeypatch):
    """As OpenVINO does, and all whose compiled part is made by pybind11."""

    class Finder:
        def find_spec(name, *_):
            if name == "onnxruntime":
                try:
                    raise KeyboardInterrupt
                except KeyboardInterrupt as error:
                    raise ImportError("initialization failed") from error

    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    assert cli.main(["run", "--bundle", str(spot_bundle), str(spot_video(3))]) == 130


def test_the_end_of_the_program_looks_for_no_garbage():
    code = (
        "import atexit, gc, sys; from edgekit.cli import program\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "sys.argv[1:] = ['--version']; program()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"

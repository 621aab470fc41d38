from __future__ import annotations

import dataclasses
import importlib
import inspect
import subprocess
import sys

import pytest

import edgekit

COMMANDS = {
    "bench": ([], "edgekit.benchmarks.options.BenchOptions", {}),
    "evaluate": ([], "edgekit.evaluation.options.EvaluateOptions", {}),
    "export": ([], "edgekit.targets.export.ExportOptions", {"targets": "target"}),
    "quantize": (["--calib", "clips"], "edgekit.quantization.options.QuantizeOptions", {}),
    "train": (["--root", "clips"], "edgekit.training.train.TrainOptions", {}),
}
"""By function: words that its command needs, its options, and parameters of other names there."""

SHORT = {"evaluate": "eval"}


@pytest.mark.parametrize("name", edgekit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(edgekit, name) is not None


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'Detekor'"):
        edgekit.Detekor  # noqa: B018


def test_they_are_listed_before_they_are_imported():
    code = (
        "import edgekit, sys; assert set(edgekit.__all__) <= set(dir(edgekit)); "
        "print([name for name in sys.modules if name.startswith('edgekit')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['edgekit']"


@pytest.mark.parametrize("name", COMMANDS)
def test_parameters_are_the_options_of_the_command(name):
    words, options, renamed = COMMANDS[name]
    function = getattr(edgekit, name)
    parameters = inspect.signature(function).parameters
    defaults = {name: each.default for name, each in parameters.items() if name != "progress"}
    home, _, kind = options.rpartition(".")
    fields = dataclasses.fields(getattr(importlib.import_module(home), kind))
    assert defaults.keys() == {field.name for field in fields}
    command = importlib.import_module(f"edgekit.cli.{SHORT.get(name, name)}").command
    flags = {renamed.get(n, n): v for n, v in command.make_context(name, words).params.items()}
    single = {n: v[0] if n in renamed.values() else v for n, v in flags.items()}
    defaults.pop("session", None)  # has several options of the command
    for parameter, default in defaults.items():
        assert single[parameter] == default or default is inspect.Parameter.empty, parameter
    assert function.__doc__
    for parameter in parameters:
        assert f"        {parameter}: " in function.__doc__, parameter

"""The libraries that EdgeKit loads are told to report nothing, before they are imported."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit
from edgekit.system import telemetry

PACKAGE = Path(edgekit.__file__).parent


def python(code, *, variable=None):
    environment = {k: v for k, v in os.environ.items() if k not in telemetry.OWN_PROCESS}
    environment |= {} if variable is None else {"ORT_DISABLE_TELEMETRY": variable}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def modules_that_import(names):
    """Of EdgeKit, those that have an import statement of one of the packages."""
    for folder, _, files in os.walk(PACKAGE, followlinks=True):
        for path in (Path(folder, file) for file in files if file.endswith(".py")):
            for node in ast.walk(ast.parse(path.read_text())):
                named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.split(".")[0] in names for name in named):
                    relative = path.relative_to(PACKAGE.parent).with_suffix("")
                    yield ".".join(relative.parts).removesuffix(".__init__")


def test_every_module_that_loads_onnxruntime_silences_it_first():
    modules = sorted({*modules_that_import({"onnxruntime"})} - {"edgekit.cli._system_report"})
    assert modules
    code = (
        "import os, importlib, sys\n"
        f"for name in {modules}:\n"
        "    os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "    for each in [each for each in sys.modules if each.startswith('edgekit')]:\n"
        "        del sys.modules[each]\n"
        "    importlib.import_module(name)\n"
        "    assert os.environ.get('ORT_DISABLE_TELEMETRY') == '1', name\n"
        "    assert 'onnxruntime' not in sys.modules, name\n"
    )
    python(code)


def test_openvino_and_nncf_are_imported_silently():
    """What lies inside them may be taken in the usual way, when they are there."""
    for module in modules_that_import({"openvino", "nncf", "openvino_telemetry"}):
        assert "openvino" in module.rpartition("edgekit.")[2]
        text = Path(importlib.util.find_spec(module).origin).read_text()
        assert not re.search(r"^\s*import (openvino|nncf|openvino_telemetry)\b", text, re.M)


@pytest.mark.parametrize("variable", [None, "0"])
def test_python_is_silent_whatever_the_variable_was(variable):
    code = "import os, edgekit\n{}print(os.environ.get('ORT_DISABLE_TELEMETRY'))"
    assert python(code.format(""), variable=variable) == (f"{variable}\n", "")
    assert python(code.format("import edgekit.targets\n"), variable=variable) == ("1\n", "")


def test_it_says_that_onnxruntime_was_imported_before():
    code = (
        "import os, sys, types\nsys.modules['onnxruntime'] = types.ModuleType('onnxruntime')\n"
        "import edgekit.targets"
    )
    assert "was imported before EdgeKit" in python(code)[1]
    assert python(code, variable="1") == ("", "")


def test_a_command_sets_the_variables_for_all_that_it_starts():
    code = (
        "import os, sys\nsys.argv = ['edgekit', '--version']\n"
        "from edgekit.cli import program\n"
        "try: program()\nexcept SystemExit: pass\n"
        "from edgekit.system.telemetry import OWN_PROCESS\n"
        "assert OWN_PROCESS.items() <= os.environ.items()"
    )
    python(code, variable="0")


def test_a_package_that_reports_is_hidden_also_where_it_is_loaded_already(tmp_path, monkeypatch):
    (tmp_path / "wants.py").write_text(
        "told = False\ntry:\n    import openvino_telemetry\n    told = True\n"
        "except ImportError:\n    pass\n"
    )
    (tmp_path / "openvino_telemetry.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    assert not telemetry.import_silently("wants").told
    assert "openvino_telemetry" not in sys.modules
    del sys.modules["wants"]
    import openvino_telemetry  # as another program may have

    assert not telemetry.import_silently("wants").told
    assert sys.modules.pop("openvino_telemetry") is openvino_telemetry
    del sys.modules["wants"]

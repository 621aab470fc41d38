"""Tests that libraries are stopped from sending usage data before their import."""

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
            text = path.read_text()
            if not any(name in text for name in names):
                continue  # parsing all modules takes seconds
            for node in ast.walk(ast.parse(text)):
                named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.split(".")[0] in names for name in named):
                    relative = path.relative_to(PACKAGE.parent).with_suffix("")
                    yield ".".join(relative.parts).removesuffix(".__init__")


def test_every_module_that_loads_onnxruntime_opts_out_first():
    """Only ``import_onnxruntime`` imports it; others may take what lies inside it afterwards."""
    modules = sorted({*modules_that_import({"onnxruntime"})})
    assert modules
    for module in modules:
        text = Path(importlib.util.find_spec(module).origin).read_text()
        text = re.sub(r"^if TYPE_CHECKING:\n(?:    .*\n)+", "", text, flags=re.M)
        assert not re.search(r"^\s*import onnxruntime\b", text, re.M), module
        first = text.find("from onnxruntime")
        assert first < 0 or "    import_onnxruntime()\n" in text[:first], module


def test_openvino_and_nncf_are_imported_silently():
    """What lies inside them may be taken in the usual way, when they are there."""
    for module in modules_that_import({"openvino", "nncf", "openvino_telemetry"}):
        assert "openvino" in module.rpartition("edgekit.")[2]
        text = Path(importlib.util.find_spec(module).origin).read_text()
        assert not re.search(r"^\s*import (openvino|nncf|openvino_telemetry)\b", text, re.M)


@pytest.mark.parametrize("variable", [None, "0", "1"])
def test_the_variable_is_set_only_while_onnxruntime_is_imported(tmp_path, variable):
    (tmp_path / "onnxruntime.py").write_text(
        "import os\nprint(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
    )
    code = (
        f"import os, sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "from edgekit.system.telemetry import import_onnxruntime\n"
        "assert import_onnxruntime() is import_onnxruntime()\n"
        "print(os.environ.get('ORT_DISABLE_TELEMETRY'))"
    )
    assert python(code, variable=variable) == (f"1\n{variable}\n", "")


def test_it_says_once_that_onnxruntime_was_imported_before():
    code = (
        "import os, sys, types\nsys.modules['onnxruntime'] = types.ModuleType('onnxruntime')\n"
        "from edgekit.system.telemetry import import_onnxruntime\n"
        "import_onnxruntime(), import_onnxruntime()"
    )
    assert python(code)[1].count("was imported before EdgeKit") == 1
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


def test_a_package_that_reports_is_hidden_from_one_import(tmp_path, monkeypatch, caplog):
    (tmp_path / "wants.py").write_text(
        "told = False\ntry:\n    import openvino_telemetry\n    told = True\n"
        "except ImportError:\n    pass\n"
    )
    (tmp_path / "openvino_telemetry.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    finders = list(sys.meta_path)
    assert not telemetry.import_without_reports("wants").told
    assert "openvino_telemetry" not in sys.modules
    assert sys.meta_path == finders
    assert not caplog.records
    del sys.modules["wants"]
    import openvino_telemetry  # as another program may have

    telemetry.import_without_reports("wants")
    assert "openvino_telemetry was imported before EdgeKit" in caplog.text
    assert sys.modules.pop("openvino_telemetry") is openvino_telemetry
    del sys.modules["wants"]

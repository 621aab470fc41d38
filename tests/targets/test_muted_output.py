"""Tests that a tool's messages leave the logging of a program that uses EdgeKit as it was."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import logging
from edgekit.targets.muted_output import muted

with muted():
    logging.info("Calls basicConfig, as ONNX Runtime's quantizer does.")
logging.basicConfig(level=logging.INFO, format="program: %(message)s")
with muted():
    logging.info("heard")
logging.info("heard again")
"""


def test_a_program_can_still_configure_its_logging():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "program: heard\nprogram: heard again\n"

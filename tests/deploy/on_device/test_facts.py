"""Facts of a device and of its user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edgekit.deploy.on_device.facts import collect_facts, user_name

NAMELESS = """
import os
from edgekit.deploy.deployment import holder
from edgekit.deploy.on_device.facts import user_name
if os.getuid() == 0:
    os.setuid(54321)
print(user_name(), holder())
"""


def test_the_facts_of_this_machine(tmp_path: Path) -> None:
    facts = collect_facts(tmp_path / "missing" / "folder")
    assert facts["python"] == list(sys.version_info[:3])
    assert facts["user"] == user_name()
    assert facts["unwritable"] == ""


def test_a_user_without_a_name_is_called_by_its_number() -> None:
    names = ("LOGNAME", "USER", "LNAME", "USERNAME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", NAMELESS],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    user, holder, *_ = done.stdout.split()
    assert user == "54321" or os.getuid() != 0
    assert holder.startswith(f"{user}@")

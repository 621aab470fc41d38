from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.system.cpu_quota import cpu_quota


@pytest.fixture
def control_groups(tmp_path):
    """Makes a folder like /sys/fs/cgroup, and says in which groups the process is."""

    def make(own: str, files: dict[str, str]) -> tuple[Path, Path]:
        for name, content in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "own").write_text(own)
        return tmp_path / "cgroup", tmp_path / "own"

    return make


V1 = "4:memory:/a\n2:cpu,cpuacct:/a/b\n1:cpuset:/c\n0::/a\n"


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "25000 100000\n"}, 0.25),
        ("0::/a/b\n", {"c/cpu.max": "1000 100000\n"}, None),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 0.2),  # a container's own group is its root
        ("0::/docker/x\n", {"cpu.max": "20000 100000\n"}, 0.2),
        ("0::/../../x\n", {"cpu.max": "20000 100000\n", "x/cpu.max": "1 100000\n"}, 0.2),
        ("0::/a\n", {"a/cpu.max": "rubbish\n"}, None),
        ("0::/a\n", {"a/cpu.max": ""}, None),
        ("0::/a\n", {"a/cpu.max": "0 0\n"}, None),
        ("0::/a:b\n", {"a:b/cpu.max": "50000 100000\n"}, 0.5),
        ("", {"cpu.max": "50000 100000\n"}, None),
        (
            V1,
            {
                "cpu,cpuacct/a/b/cpu.cfs_quota_us": "50000\n",
                "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (V1, {"cpu/a/cpu.cfs_quota_us": "20000\n", "cpu/a/cpu.cfs_period_us": "10000\n"}, 2.0),
        (V1, {"cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "10000\n"}, None),
        (V1, {"cpuset/c/cpu.cfs_quota_us": "5\n", "cpuset/c/cpu.cfs_period_us": "10\n"}, None),
        (V1, {"unified/a/cpu.max": "75000 100000\n"}, 0.75),  # both versions at once
    ],
)
def test_the_tightest_quota_counts(control_groups, own, files, quota):
    assert cpu_quota(*control_groups(own, files)) == quota


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "own") is None


@given(own=st.text(), limit=st.text())
def test_no_content_is_an_error(tmp_path_factory, own, limit):
    folder = tmp_path_factory.mktemp("groups")
    (folder / "cpu.max").write_text(limit, encoding="utf-8", errors="replace")
    (folder / "own").write_text(own, encoding="utf-8", errors="replace")
    quota = cpu_quota(folder, folder / "own")
    assert quota is None or quota > 0

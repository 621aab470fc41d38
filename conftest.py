"""With ``EDGEKIT_LISTED_SKIPS=1``, a skip that ``tests/skips.txt`` does not list is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

_LIST = Path(__file__).parent / "tests" / "skips.txt"


def pytest_configure(config: pytest.Config) -> None:
    """Reads the list in every process of the run."""
    if os.environ.get("EDGEKIT_LISTED_SKIPS") == "1":
        config.pluginmanager.register(_ListedSkips(_LIST.read_text()))


class _ListedSkips:
    def __init__(self, text: str) -> None:
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self._listed = [line.partition(" -- ")[0].strip() for line in lines]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        return self._checked((yield))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        return self._checked((yield))

    def _checked(self, report):  # type: ignore[no-untyped-def]
        if report.skipped and not hasattr(report, "wasxfail"):
            said = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            test = report.nodeid.partition("[")[0]
            if not any(each == test or each in said for each in self._listed):
                report.outcome = "failed"
                report.longrepr = f"{report.nodeid}: {said}. {_LIST} does not list this skip."
        return report

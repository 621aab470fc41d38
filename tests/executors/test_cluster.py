"""A Dask cluster of processes: what runs there, and what becomes of it when they die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.assets import default_bundle
from edgekit.cli import main
from edgekit.errors import ClusterError, LostWorkerError, MissingDependencyError, UsageError
from edgekit.executors import cluster as module
from edgekit.executors.cluster import open_cluster
from edgekit.executors.opening import open_executor
from edgekit.synthetic.dataset import write_dataset
from edgekit.targets.base import SessionOptions
from tests.executors.processes_of_cluster import Cluster, wait_for

ONE = SessionOptions(threads=1)

WAITS = """
import os, pathlib, time
folder = pathlib.Path({!r})
(folder / f"pid-{{os.getpid()}}").touch()
while not (folder / "go").exists():
    time.sleep(0.02)
"""


LOCAL = """
import sys

from distributed import LocalCluster

import edgekit
from edgekit.targets.base import SessionOptions

if __name__ == "__main__":
    one = SessionOptions(threads=1)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
        address = local.scheduler_address
        found = edgekit.evaluate(
            sys.argv[1], root="clips", session=one, results="r", cluster=address
        )
    print(repr((found.frame_map, found.video_map)))
"""


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    with Cluster(tmp_path) as made:
        yield made


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for workers, which take long to start on a machine with other work."""
    monkeypatch.setattr(module, "_TIMEOUT", 600)


@pytest.fixture
def doomed(scheduler: Cluster, patient: None) -> Cluster:
    """A cluster of which a test may kill processes."""
    scheduler.add_worker()
    scheduler.add_worker()
    return scheduler


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.add_worker()
        made.add_worker()
        yield made


@pytest.fixture
def cluster(standing: Cluster, patient: None) -> Cluster:
    """The cluster of all tests that leave it whole: its start takes seconds."""
    return standing


def _pids(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]


def test_work_runs_on_the_workers_and_errors_arrive(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    with open_executor(cluster=cluster.address) as executor:
        assert executor is not None
        assert list(executor.map(pow, range(20), [2] * 20)) == [n * n for n in range(20)]
        assert executor.submit(eval, "__import__('os').getpid()").result() != os.getpid()
        with pytest.raises(ZeroDivisionError):
            executor.submit(eval, "1 / 0").result()
    assert f"Threads on the workers of {cluster.address}: 1" in caplog.text
    assert "Its dashboard: http://" in caplog.text


def test_the_work_of_a_lost_worker_runs_again(doomed: Cluster) -> None:
    with open_cluster(doomed.address) as executor:
        held = executor.submit(exec, WAITS.format(str(doomed.folder)))
        (pid,) = wait_for(lambda: _pids(doomed.folder))
        doomed.kill_pid(pid)
        (doomed.folder / "go").touch()
        assert held.result() is None
        assert executor.submit(pow, 3, 2).result() == 9


def test_work_that_kills_its_workers_is_an_error(doomed: Cluster) -> None:
    for _ in range(3):
        doomed.add_worker()
    with open_cluster(doomed.address) as executor:
        lost = executor.submit(eval, "__import__('os')._exit(1)")
        with pytest.raises(LostWorkerError):
            lost.result()


def test_a_cluster_that_goes_away_is_an_error_with_the_way_on(doomed: Cluster) -> None:
    with open_cluster(doomed.address) as executor:
        held = executor.submit(exec, WAITS.format(str(doomed.folder)))
        wait_for(lambda: _pids(doomed.folder))
        doomed.kill("scheduler")
        with pytest.raises(ClusterError) as caught:
            held.result()
    (doomed.folder / "go").touch()
    assert "was lost" in caught.value.message
    assert "The same command continues from there" in caught.value.hint


def test_a_cluster_without_workers(scheduler: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 1)
    with (
        pytest.raises(ClusterError, match="has no workers") as caught,
        open_cluster(scheduler.address),
    ):
        pass
    assert f"dask worker {scheduler.address}" in caught.value.hint


def test_workers_with_other_code_or_versions_are_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgekit, "__version__", "99.1")
    with (
        pytest.raises(ClusterError, match=r"expected EdgeKit 99\.1 as it is on this machine"),
        open_cluster(cluster.address),
    ):
        pass
    monkeypatch.undo()
    from distributed import versions

    own = versions.get_versions()
    own["packages"]["dask"] = "1.0"
    monkeypatch.setattr(versions, "get_versions", lambda packages=(): own)
    with (
        pytest.raises(ClusterError, match=r"dask .* on the scheduler, 1\.0 here"),
        open_cluster(cluster.address),
    ):
        pass


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    monkeypatch.setattr(module, "_TIMEOUT", 1)
    with (
        pytest.raises(ClusterError, match="Cannot reach a Dask cluster at tcp://127"),
        open_cluster("tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(UsageError, match=r"found '10\.0\.0\.5'"), open_cluster("10.0.0.5"):
        pass


def test_without_the_package_its_line_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(MissingDependencyError, match="A cluster needs") as caught,
        open_cluster("tcp://127.0.0.1:9"),
    ):
        pass
    assert "[cluster]" in caught.value.hint


def test_an_evaluation_on_a_cluster_is_one_of_this_machine(
    cluster: Cluster,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "clips"
    write_dataset(root, (1, 2, 3), frames=12)
    (root / "puppets-3.avi").write_bytes(b"no video")
    files = []
    monkeypatch.chdir(tmp_path)
    for name, more in (("here", []), ("there", ["--cluster", cluster.address])):
        words = ["eval", str(default_bundle()), "--root", "clips", "--threads", "1"]
        assert main([*words, "--results", name, "--json", *more]) == 3
        shown = json.loads(capfd.readouterr().out)
        assert list(shown["failures"]) == ["puppets-3.avi"]
        folder = tmp_path / name
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert files[0] == files[1]
    assert len(files[0]) == 2


def test_workers_that_do_not_see_the_videos_are_named(cluster: Cluster, tmp_path: Path) -> None:
    with open_cluster(cluster.address) as executor:
        executor.require([tmp_path])
        hidden = tmp_path / "none"
        with pytest.raises(ClusterError, match=rf"(\d) of \1 workers .* do not see {hidden}"):
            executor.require([hidden])


def test_a_local_cluster_of_dask_itself(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    write_dataset(tmp_path / "clips", (1, 2), frames=12)
    script = tmp_path / "script.py"
    script.write_text(LOCAL)
    done = subprocess.run(
        [sys.executable, script, default_bundle()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    own = edgekit.evaluate(
        default_bundle(), root=tmp_path / "clips", session=ONE, results=tmp_path / "own"
    )
    assert np.isfinite(own.frame_map)
    assert done.stdout.splitlines()[-1] == repr((own.frame_map, own.video_map))

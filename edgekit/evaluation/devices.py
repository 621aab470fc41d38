"""Runs a bundle on annotated videos on other devices, over SSH, and scores what they detect."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from edgekit._progress import Progress
from edgekit.bundle import Bundle
from edgekit.deploy.content import bundle_content, input_content, send_content
from edgekit.deploy.deploy import Hosts
from edgekit.deploy.remote_edgekit import run_there
from edgekit.deploy.ssh import DeviceConnection
from edgekit.errors import EdgeKitError
from edgekit.evaluation.options import EvaluateOptions
from edgekit.files.output_paths import temporary_folder
from edgekit.files.reading import real_path
from edgekit.metrics.detections import MOST_BYTES, StoredDetections, open_detections
from edgekit.metrics.eval_result import EvalResult

__all__ = ["evaluate_on_devices"]


def evaluate_on_devices(
    options: EvaluateOptions,
    bundle: Bundle,
    score: Callable[[StoredDetections], EvalResult],
    progress: Progress,
) -> dict[str, EvalResult | str]:
    """Returns the result of each device, by its name; the reason if it has none.

    The EdgeKit that is installed on a device runs the bundle there. Its detections are fetched and
    scored here.

    Args:
        options: Options of the evaluation; ``host`` names the devices, and ``root`` is set.
        bundle: Bundle to run.
        score: Function that scores detections.
        progress: Display of the progress: one phase.
    """
    assert options.root is not None
    content, videos = bundle_content(bundle), input_content(options.root)
    place = real_path(options.root).name
    progress.phase("Evaluating on devices", len(options.host))
    with temporary_folder() as folder:

        def work(connection: DeviceConnection) -> Path:
            there = send_content(connection, content)[0]
            root = f"{send_content(connection, videos)[0]}/{place}"
            name = f"{uuid.uuid4().hex}.json.gz"
            given = {**_settings(options), "root": root, "save_detections": name}
            run_there(connection, ["eval", there], dict[str, object], given)
            fetched = folder / name
            connection.fetch(name, fetched, MOST_BYTES)
            progress.advance()
            return fetched

        found = Hosts(options.host).map(work)
        return {
            host: _result(host, each, score) for host, each in zip(options.host, found, strict=True)
        }


def _result(
    host: str, found: Path | EdgeKitError, score: Callable[[StoredDetections], EvalResult]
) -> EvalResult | str:
    """Returns the result of a device; the reason if its detections cannot be scored."""
    if isinstance(found, EdgeKitError):
        return str(found).replace("\n", " ")
    try:
        return score(open_detections(found))
    except EdgeKitError as error:
        return f"{host} sent detections that cannot be scored. {error.message}"


def _settings(options: EvaluateOptions) -> dict[str, object]:
    """Returns the options that say how to detect, by the name of the parameter."""
    session = options.session
    names = ("runtime", "threads", "device", "hint", "arithmetic")
    return {
        "dataset": options.dataset,
        "split": options.split,
        "top_k": options.top_k,
        "strict": True,
        **{name: getattr(session, name) for name in names},
    }

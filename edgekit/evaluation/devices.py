"""Runs a bundle on annotated videos on other devices, over SSH, and scores what they detect."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._progress import Progress
from edgekit.bundle import Bundle
from edgekit.deploy.content import bundle_content, input_content, send_content
from edgekit.deploy.deploy import Hosts
from edgekit.deploy.remote_edgekit import run_there
from edgekit.deploy.ssh import DeviceConnection
from edgekit.errors import EdgeKitError, HostError, UsageError
from edgekit.evaluation.options import EvaluateOptions
from edgekit.files.output_paths import temporary_folder
from edgekit.files.reading import real_path
from edgekit.metrics.detections import MOST_BYTES, StoredDetections, open_detections
from edgekit.metrics.eval_result import EvalResult
from edgekit.targets.registry import check_runtime

__all__ = ["evaluate_elsewhere", "evaluate_on_devices", "runs_here"]

_LOG = logging.getLogger(__name__)


def runs_here(bundle: Bundle, options: EvaluateOptions) -> bool:
    """Returns whether this machine can run a bundle; if not, a warning says why.

    Raises:
        UsageError: The runtime that is asked for does not run the bundle on any machine, or the
            detections are to be saved, which devices keep to themselves.
    """
    try:
        check_runtime(bundle, options.session.runtime)
    except UsageError:
        raise
    except EdgeKitError as error:
        if options.save_detections is not None:
            raise UsageError(
                f"{parameter('save_detections')} saves the detections of this machine, which "
                f"cannot run {bundle.path}: {error.message}",
                hint=f"Leave out {parameter('save_detections')}, or use it on the device.",
            ) from error
        _LOG.warning(
            "Only the devices run %s, as this machine cannot: %s", bundle.path, error.message
        )
        return False
    return True


def evaluate_elsewhere(
    options: EvaluateOptions,
    bundle: Bundle,
    score: Callable[[StoredDetections], EvalResult],
    progress: Progress,
) -> EvalResult:
    """Returns the figures of the first device that has some, and the results of all as ``hosts``.

    The arguments are those of ``evaluate_on_devices``.

    Raises:
        HostError: No device has a result.
    """
    hosts = evaluate_on_devices(options, bundle, score, progress)
    for host, each in hosts.items():
        if isinstance(each, EvalResult):
            return replace(each, device=host, hosts=hosts)
    raise HostError(
        f"There is no result of {bundle.path}, which does not run on this machine either. "
        + " ".join(str(each) for each in hosts.values())
    )


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

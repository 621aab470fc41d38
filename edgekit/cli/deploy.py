"""Defines the command ``edgekit deploy``."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.options.bundles import require_signature
from edgekit.cli.options.shared import FiniteRange, build, common_options, emit_json, stdout_console
from edgekit.deploy.choices import SERVICES
from edgekit.errors import HostError, UsageError

if TYPE_CHECKING:
    from edgekit.deploy.options import DeployOptions, ServiceOptions
    from edgekit.deploy.results import HostResult, HostStatus

__all__ = ["command"]

_LOG = logging.getLogger(__name__)


@click.command(name="deploy")
@click.argument("words", nargs=-1, metavar="HOST... [BUNDLE]")
@click.option(
    "--status",
    is_flag=True,
    help="Show the current release and the health of the service on each HOST.",
)
@click.option(
    "--rollback",
    is_flag=True,
    help="Put the previous release on trial on each HOST, and keep it if it does well.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="TOML file with the options of the service, as for edgekit run --config. Paths in it are "
    "those of the device. [default: the options that the device has]",
)
@require_signature
@click.option(
    "--name",
    default="edgekit",
    show_default=True,
    help="Name of the service. With several names, a device has several services.",
)
@click.option(
    "--service",
    type=click.Choice(SERVICES),
    default="user",
    show_default=True,
    help="Service manager that starts EdgeKit on the device: the user's systemd, that of the "
    "system (which needs root, or sudo without a password), or none.",
)
@click.option(
    "--wheels",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of wheels to install from on the device. [default: pip downloads them here, for "
    "the device's architecture and Python]",
)
@click.option(
    "--python",
    default="python3",
    show_default=True,
    metavar="PROGRAM",
    help="Python on the device, 3.10 or newer.",
)
@click.option(
    "--watch",
    type=FiniteRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds for which a new release is on trial. It is kept if its health is as good as "
    "that of the earlier release and it processes at least half as many frames per second; "
    "otherwise the device goes back to the earlier release.",
)
@click.option(
    "--bench-frames",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    help="Number of frames to measure on the device before the trial: 0 for none, or at least 10.",
)
@common_options
def command(
    words: tuple[str, ...],
    status: bool,
    rollback: bool,
    config: Path | None,
    as_json: bool,
    **values: object,
) -> int:
    """Put EdgeKit and a bundle on devices over SSH, and go back if the trial there fails.

    HOST is a name that ssh accepts, such as pi@camera-1. BUNDLE is a folder, or 'shipped' for the
    shipped bundle. EdgeKit copies itself, its packages and the bundle: a release on the device. It
    measures a few frames there, and puts the release on trial as a service. The device needs Python
    and an SSH server, and no network. Without --config, the service keeps its options.
    docs/deploy.md describes each step.

    Example: edgekit deploy pi@camera-1 pi@camera-2 artifacts/korsal-lite0-ucf24-onnx-int8
    """
    from edgekit.deploy.options import DeployOptions
    from edgekit.targets.bundle_choice import bundle_named

    _check(words, status, rollback)
    with_bundle = not (status or rollback)
    hosts = words[:-1] if with_bundle else words
    bundle = bundle_named(words[-1]) if with_bundle else None
    service = _service_options(config) if config else None
    options = build(
        DeployOptions, {**values, "hosts": hosts, "bundle": bundle, "service_options": service}
    )
    if status:
        return _status(options, as_json)
    return _deploy(options, as_json, rollback=rollback)


_OF_STATUS = frozenset(("words", "status", "python", "as_json", "verbose", "quiet"))
_OF_ROLLBACK = _OF_STATUS - {"status"} | {"rollback", "name", "watch"}
"""Parameters of the command that have an effect with ``--status`` and with ``--rollback``."""


def _check(words: Sequence[str], status: bool, rollback: bool) -> None:
    if status and rollback:
        raise UsageError(
            "--status and --rollback cannot be used together.", hint="Leave one of them out."
        )
    if status or rollback:
        _refuse_others(_OF_STATUS if status else _OF_ROLLBACK)
    if not words:
        raise UsageError(
            "Expected the name of a device; HOST was not given.",
            hint="For example: edgekit deploy pi@camera-1 artifacts/BUNDLE",
        )
    if len(words) == 1 and not (status or rollback):
        raise UsageError(
            f"Expected HOST and BUNDLE; found only {words[0]!r}.",
            hint=f"For example: edgekit deploy pi@camera-1 {words[0]}"
            if Path(words[0]).is_dir()
            else f"For example: edgekit deploy {words[0]} artifacts/BUNDLE",
        )


def _refuse_others(known: Set[str]) -> None:
    """Refuses options on the command line that would have no effect."""
    context = click.get_current_context()
    for option in context.command.params:
        assert option.name is not None
        source = context.get_parameter_source(option.name)
        if source is click.core.ParameterSource.COMMANDLINE and option.name not in known:
            flag = option.opts[-1]
            also = " or --rollback" if option.name in _OF_ROLLBACK else ""
            raise UsageError(f"{flag} is for a deployment{also}.", hint=f"Leave {flag} out.")


def _service_options(path: Path) -> ServiceOptions:
    """Returns the options of a run from a file, checked as ``edgekit run`` checks them."""
    from edgekit.cli.options.config import read, values_of
    from edgekit.cli.run import command as run
    from edgekit.cli.run import options_of
    from edgekit.deploy.options import ServiceOptions
    from edgekit.media.serving.address import is_loopback, parse_address

    context = click.Context(run, info_name="edgekit run")
    found = read(path, context)
    context.params = values_of(found, context)
    try:
        options_of(context, context.params)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
    extras = {
        extra
        for extra, keys in {
            "video": ("sources", "video", "clips"),
            "serve": ("serve",),
            "mqtt": ("mqtt",),
            "metrics": ("metrics",),
            "sign": ("require_signature",),
        }.items()
        if any(found.get(key) for key in keys)
    }
    health = ""
    if served := found.get("serve"):
        address = parse_address(str(served))
        everywhere = address.host in ("0.0.0.0", "::")  # noqa: S104 - the user's choice
        if address.port and (everywhere or is_loopback(address.host)):
            health = f"http://127.0.0.1:{address.port}/health"
    return ServiceOptions(path.read_text(encoding="utf-8"), tuple(sorted(extras)), health)


def _deploy(options: DeployOptions, as_json: bool, *, rollback: bool) -> int:
    from edgekit.deploy.deploy import deploy, roll_back

    def note(host: str, text: str) -> None:
        _LOG.warning("%s: %s", host, text)

    results = (roll_back if rollback else deploy)(options, note)
    if as_json:
        emit_json({"hosts": results})
    else:
        _print_results(results)
    bad = [each.host for each in results if each.outcome in ("failed", "rolled back")]
    if bad:
        raise HostError(
            f"What was deployed does not run on {len(bad)} of {len(results)} devices: "
            f"{', '.join(bad)}.",
            hint=f"See what they run: edgekit deploy --status {' '.join(bad)}",
        )
    return 0


def _print_results(results: Sequence[HostResult]) -> None:
    from edgekit.cli.output.tables import print_table

    rows = [
        (
            each.host,
            each.outcome,
            each.bundle,
            "" if each.release is None else str(each.release),
            "" if each.milliseconds is None else f"{each.milliseconds:.1f}",
            "" if each.rate is None else f"{each.rate:.1f}",
            f"{each.copied / 1e6:.1f}",
            f"{each.seconds:.0f}" if each.seconds else "",
        )
        for each in results
    ]
    console = stdout_console()
    headings = ("host", "outcome", "bundle", "release", "ms a frame", "frames/s", "MB sent", "s")
    print_table(console, headings, rows, words=3)
    for each in results:
        if each.state:
            text = f"{each.host}: {each.state}"
            console.print(text, soft_wrap=True)
        if each.hint:
            console.print(f"  {each.hint}", soft_wrap=True)


def _status(options: DeployOptions, as_json: bool) -> int:
    from edgekit.deploy.deploy import read_status

    found = read_status(options)
    if as_json:
        emit_json({"hosts": found})
    else:
        _print_status(found)
    bad = list(dict.fromkeys(each.host for each in found if each.error))
    if bad:
        raise HostError(f"{len(bad)} of {len(options.hosts)} devices failed: {', '.join(bad)}.")
    return 0


def _print_status(found: Sequence[HostStatus]) -> None:
    from edgekit.cli.output.tables import print_table

    rows = []
    for each in found:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.deployed or 0))
        state = each.error or each.state
        rows.append(
            (
                each.host,
                each.service,
                "" if each.release is None else f"{each.release}{' (on trial)' * each.trial}",
                each.bundle,
                each.sha256[:12],
                each.edgekit,
                since if each.deployed else "",
                "error" if each.error else each.level,
                state,
            )
        )
    headings = ("host", "service", "release", "bundle", "SHA-256", "EdgeKit", "deployed", "health")
    console = stdout_console()
    print_table(console, (*headings, "state"), rows, words=9, wrapped=(8,))
    for each in found:
        if each.hint:
            console.print(f"{each.host}: {each.hint}", soft_wrap=True)

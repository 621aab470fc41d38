"""Writes the systemd unit of a release."""

from __future__ import annotations

from pathlib import Path

__all__ = ["KEYS", "MARK", "trial_text", "unit_text"]

MARK = "# Written by edgekit deploy"
"""First words of each unit that belongs to a deployment."""

KEYS = "allowed_keys"
"""File of a release with the public keys, one of which has to have signed its bundle."""

_WATCHDOG_SECONDS = 60
_RIGHTS = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @keyring",
)
"""Lines that also work without any rights; docs/service.md explains them."""

_RIGHTS_OF_SYSTEM_SERVICES = (
    "CapabilityBoundingSet=",
    "PrivateTmp=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectSystem=full",
)


def unit_text(
    name: str, current: Path, data: Path, *, notifies: bool, signed: bool, user: str
) -> str:
    """Returns the unit of a service, which runs what ``current`` leads to.

    Args:
        name: Name of the service.
        current: Link to the current release.
        data: Folder to work in.
        notifies: Whether the environment can notify systemd.
        signed: Whether the release requires a signature.
        user: User of a system service; empty for a service of the user's own systemd.
    """
    lines = [
        f"{MARK}, which replaces this file. To change it, deploy with other options.",
        "[Unit]",
        f"Description=EdgeKit, service {name}",
    ]
    if user:
        lines += ["Wants=network-online.target", "After=network-online.target"]
    lines += ["", "[Service]", *_commands(current, notifies=notifies, signed=signed)]
    lines += [
        "ExecReload=/bin/kill -HUP $MAINPID",
        "SuccessExitStatus=130",
        "Restart=always",
        "RestartSec=5",
        "TimeoutStopSec=10",
        f"WorkingDirectory={_escaped(data)}",
        *_RIGHTS,
    ]
    if user:
        lines += [f"User={user}", *_RIGHTS_OF_SYSTEM_SERVICES]
    target = "multi-user.target" if user else "default.target"
    return "\n".join([*lines, "", "[Install]", f"WantedBy={target}", ""])


def trial_text(number: int, release: Path, *, notifies: bool, signed: bool) -> str:
    """Returns what replaces parts of the unit while a release is on trial."""
    head = f"{MARK}: release {number} is on trial"
    cleared = ["[Service]", "ExecStartPre=", "ExecStart="]
    commands = _commands(release, notifies=notifies, signed=signed)
    return "\n".join([head, *cleared, *commands, ""])


def _commands(release: Path, *, notifies: bool, signed: bool) -> list[str]:
    at = _escaped(release)
    run = f'"{at}/venv/bin/edgekit" run --config "{at}/options.toml" --bundle "{at}/bundle"'
    if signed:
        run += f' --require-signature "{at}/{KEYS}"'
    watchdog = _WATCHDOG_SECONDS if notifies else 0
    return [
        f"Type={'notify' if notifies else 'exec'}",
        "NotifyAccess=main",
        f"WatchdogSec={watchdog}",
        "TimeoutStartSec=300",
        f"ExecStartPre={run} --check",
        f"ExecStart={run}",
    ]


def _escaped(path: Path) -> str:
    """Returns a path in which systemd replaces nothing."""
    return str(path).replace("%", "%%")

from __future__ import annotations

import errno
import re

import click
import pytest

from edgekit import cli, errors

HELP = [[], *([name] for name in cli.COMMANDS)]


@pytest.mark.parametrize("command", HELP)
def test_help_has_an_example(command, capsys):
    assert cli.main([*command, "--help"]) == 0
    assert "Example: edgekit" in re.sub(r"\s+", " ", capsys.readouterr().out)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_short_help_is_the_commands_own(name):
    command = cli.cli.get_command(None, name)
    assert command.help.splitlines()[0] == cli.COMMANDS[name]
    assert all(getattr(o, "help", "x") is not None or o.name for o in command.params)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_takes_json_and_verbose(name):
    names = {option for o in cli.cli.get_command(None, name).params for option in o.opts}
    assert {"--json", "-v"} <= names


@pytest.mark.parametrize("arguments", [["fly"], ["run", "--fly"], ["eval", "--split", "9"]])
def test_wrong_usage_is_2(arguments, capsys):
    assert cli.main(arguments) == 2
    assert "Usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (errors.BundleError("bad", mend="do this"), 3, "Error: bad\ndo this"),
        (errors.BoundError("late"), 5, "Error: late"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 3, "Free some space"),
    ],
)
def test_errors_become_exit_statuses(error, status, words, capsys, monkeypatch):
    @click.command()
    def failing():
        raise error

    monkeypatch.setattr(cli, "cli", failing)
    assert cli.main([]) == status
    shown = capsys.readouterr()
    assert words in shown.err
    assert "Traceback" not in shown.err
    assert not shown.out


def test_the_linkers_on_the_command_line_are_those_that_there_are():
    from edgekit.cli._parsing import LINK
    from edgekit.runtime.linkers import LINKS

    assert tuple(LINK.choices) == LINKS

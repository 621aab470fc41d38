"""Reads options from a TOML file, in place of a long command line.

Each key is the long name of an option without its dashes. Options on the command line and in
environment variables override the file.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from edgekit.cli.options.shared import F
from edgekit.errors import OutputError, UsageError
from edgekit.files.reading import read_regular, without_mark

__all__ = ["config_option", "read", "read_again", "values_of"]

_MOST_BYTES = 1 << 18
_MOST_PARTS = 16
_PARAMETER = "config"
_DEFAULT, _FILE = click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP
_LEFT_OUT = frozenset((_PARAMETER, "help", "check", "as_json", "verbose", "quiet"))
"""Parameters that concern a single call rather than the run, so a file cannot set them."""


def config_option(command: F) -> F:
    """Adds ``--config FILE`` to a command; the file may set the command's other options."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_take,
        metavar="FILE",
        help="TOML file to read options from. Each key is the long name of an option without the "
        "leading --: fps = 10, motion-gate = true. Give each CLIP under the key "
        'source: source = ["a.mp4", "b.mp4"]. Options on the command line replace those of the '
        "file.",
    )(command)


def _take(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    del parameter
    if path is not None:
        context.meta[_PARAMETER] = path
        context.default_map = {**(context.default_map or {}), **read(path, context)}


def read(path: Path, context: click.Context) -> dict[str, object]:
    """Reads the options in a file, by parameter name.

    Args:
        path: Path of the file.
        context: Context of the command that takes the options.

    Raises:
        UsageError: The file cannot be read or is not TOML; a key is no option of the command or
            appears under two names; or a value is invalid. The message names file and line.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        text = without_mark(read_regular(path, _MOST_BYTES)).decode().replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(
            f"Cannot read the configuration {path}: {reason}.",
            hint="Name a TOML file: --config FILE",
        ) from error
    _refuse_long_keys(path, text)
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for numbers of 4300 digits
        raise UsageError(
            f"{path} is not valid TOML: {error}.",
            hint='A line looks like this: source = "rtsp://camera/stream"',
        ) from error
    options = {
        name.lstrip("-"): option
        for option in context.command.params
        if isinstance(option, click.Option) and option.name not in _LEFT_OUT
        for name in option.opts
        if name.startswith("--")
    }
    found: dict[str, object] = {}
    for key, value in content.items():
        place = f"{path}, line {_line(text, key)}"
        option = options.get(key.replace("_", "-"))
        if option is None:
            raise _unknown(place, key, options)
        assert option.name is not None
        if any("\0" in each for each in _texts(value)):
            raise UsageError(
                f"{place}: {key} has a NUL character.", hint="Remove \\u0000 from the text."
            )
        if option.name in found:
            raise UsageError(f"{place}: {key} is set twice.", hint="Remove one of the lines.")
        found[option.name] = _checked(place, key, value, option, context)
    return found


def _texts(value: object) -> list[str]:
    """Returns a text, or the texts of a list."""
    return [each for each in (value if isinstance(value, list) else [value]) if type(each) is str]


def _refuse_long_keys(path: Path, text: str) -> None:
    """Refuses keys of many parts, whose parsing time grows with the square of their number."""
    for number, line in enumerate(text.split("\n"), 1):
        key = line if line.lstrip().startswith("[") else line.partition("=")[0]
        if key.count(".") > _MOST_PARTS:
            raise UsageError(
                f"{path}, line {number}: the key has {key.count('.') + 1} parts separated by dots; "
                f"at most {_MOST_PARTS} are allowed.",
                hint='Use the long name of an option as the key, for example source = "clip.mp4"',
            )


def values_of(content: Mapping[str, object], context: click.Context) -> dict[str, object]:
    """Returns the values of all parameters of a command that has only the options of a file.

    Args:
        content: Result of ``read``.
        context: Context of the command.
    """
    found: dict[str, object] = {}
    for option in context.command.params:
        assert option.name is not None
        several = option.nargs == -1 or getattr(option, "multiple", False)
        default = option.default if isinstance(option.default, (int, float, str)) else None
        value = content.get(option.name, default)
        try:
            found[option.name] = value if value is None else option.type_cast_value(context, value)
        except OutputError:  # its folder is on another machine
            found[option.name] = Path(str(value))
        if value is None and (several or getattr(option, "is_flag", False)):
            found[option.name] = () if several else False
    return found


def read_again(context: click.Context, *names: str) -> dict[str, object] | None:
    """Reads the file again and returns the values of some parameters; None without a file.

    Values given on the command line or in the environment stay unchanged. A parameter without a
    default is left out if the file does not set it.

    Args:
        context: Context of the running command.
        names: Names of the parameters.

    Raises:
        UsageError: The file is invalid, as in ``read``.
    """
    if _PARAMETER not in context.meta:
        return None
    content = read(context.meta[_PARAMETER], context)
    found: dict[str, object] = {}
    for option in context.command.params:
        if option.name not in names:
            continue
        if context.get_parameter_source(option.name) in (_DEFAULT, _FILE):
            value = content.get(option.name, option.default)
            if option.name in content or isinstance(value, (int, float)):
                found[option.name] = option.type.convert(value, option, context)
        else:
            found[option.name] = context.params[option.name]
    return found


def _checked(
    place: str, key: str, value: object, option: click.Option, context: click.Context
) -> str | bool | list[str]:
    """Checks a value, and returns it in the form that the command line would give."""
    try:
        repr(value)
    except ValueError as error:  # a hexadecimal number of over 4300 decimal digits
        raise UsageError(f"{place}: {key} has a number with too many digits.") from error
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{place}: {key} is true or false, not {value!r}.")
        return value
    parts = value if isinstance(value, list) and option.multiple else [value]
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (str, int, float)):
            # A list may hold the password of a camera.
            kinds = {"dict": "a table", "list": "a list"}
            kind = kinds.get(type(part).__name__) or repr(part)
            raise UsageError(f"{place}: {key} takes text or a number, not {kind}.")
        if part == "":  # as a path, it would mean the current folder
            raise UsageError(f"{place}: {key} is empty.", hint="Give it a value, or remove it.")
        try:
            # A missing output folder matters only when the run begins, not when SIGHUP reloads the
            # file.
            with contextlib.suppress(OutputError):
                option.type.convert(str(part), option, context)
        except click.BadParameter as error:
            raise UsageError(f"{place}: {key}: {error.message}") from error
    texts = [str(part) for part in parts]
    return texts if option.multiple else texts[0]


def _unknown(place: str, key: str, options: dict[str, click.Option]) -> UsageError:
    near = difflib.get_close_matches(key.replace("_", "-"), options, 1)
    return UsageError(
        f"{place}: there is no option {key!r}.",
        hint=f"Did you mean {near[0]}?" if near else "edgekit run --help lists all.",
    )


def _line(text: str, key: str) -> int:
    """Returns the number of the first line that begins with a key; 1 if none is found."""
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    lines = text.splitlines()
    return next((n for n, line in enumerate(lines, 1) if pattern.match(line)), 1)

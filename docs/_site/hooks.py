"""Hooks of mkdocs: generated pages, links out of docs/, and a check of what the pages load."""

from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

import edgekit
from edgekit.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]
PAGES_OF_ROOT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the checkout's top folder, and their names on the site."""
_CODE = ("code", "pre", "script", "style")
"""Elements whose text is not prose."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists the pages of all commands under the entry of the navigation that names ``cli``."""
    _fill(config.nav or [], "cli", [f"cli/{name}.md" for name in ("index", *COMMANDS)])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the top folder, of the commands and of the Python API."""
    pages = {name: (ROOT / source).read_text() for source, name in PAGES_OF_ROOT.items()}
    pages["cli/index.md"] = _page_of_all_commands()
    context = click.Context(cli, info_name="edgekit")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        pages[f"cli/{name}.md"] = _page_of_command(command, f"edgekit {name}", context)
    pages["api.md"] = _page_of_api()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links that work in the checkout into links that work on the site."""
    markdown = re.sub(r"\]\(docs/", "](", markdown)
    for source, name in PAGES_OF_ROOT.items():
        markdown = re.sub(rf"\]\((?:\.\./)?{source}", f"]({name}", markdown)
    # Other files of the checkout are no part of the site.
    return re.sub(
        r"\[([^\]]*)\]\((?:\.\./)?(?:tests|edgekit|SECURITY|Dockerfile)[^)]*\)", r"\1", markdown
    )


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuses a page that loads anything from another address, or shows an escape of Markdown."""
    finder = _Faults()
    finder.feed(output)
    if finder.addresses:
        raise PluginError(f"{page.file.src_uri} loads {finder.addresses[0]} from elsewhere.")
    if finder.escapes:
        raise PluginError(f"{page.file.src_uri} shows an escape: {finder.escapes[0]}")
    return output


class _Faults(HTMLParser):
    """Collects the addresses on other hosts that a page loads by itself, and visible escapes.

    Code may show a backslash before a sign; other text does so only if Markdown did not use it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.escapes: list[str] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what the tag loads; a link that a reader may follow loads nothing."""
        self._code += tag in _CODE
        given = dict(attrs)
        address = given.get("src") or ""
        if tag == "link" and given.get("rel") != "canonical":
            address = given.get("href") or ""
        if re.match(r"(https?:)?//", address):
            self.addresses.append(address)

    def handle_endtag(self, tag: str) -> None:
        """Notes the end of code."""
        self._code -= tag in _CODE

    def handle_data(self, data: str) -> None:
        """Notes a text with a backslash before a sign of Markdown."""
        if not self._code and re.search(r"\\[`*_{}\[\]<>|#]", data):
            self.escapes.append(data.strip())


def _fill(entries: list[Any], name: str, pages: list[str]) -> None:
    for entry in entries:
        if isinstance(entry, dict):
            for title, value in entry.items():
                if value == name:
                    entry[title] = pages
                elif isinstance(value, list):
                    _fill(value, name, pages)


def _page_of_all_commands() -> str:
    rows = [f"| [`edgekit {name}`]({name}.md) | {text} |" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "# Commands",
            "",
            *_paragraphs(cli.help or ""),
            "| command | what it does |",
            "| --- | --- |",
            *rows,
            "",
            "[Errors](../errors.md) lists the exit statuses.",
        ]
    )


def _page_of_command(command: click.Command, name: str, parent: click.Context) -> str:
    """Describes a command and those below it, from click's own objects."""
    context = click.Context(command, info_name=name.split()[-1], parent=parent)
    level = "#" * (len(name.split()) - 1)
    lines = [f"{level} {name}", "", *_paragraphs(command.help or "")]
    usage = " ".join(command.collect_usage_pieces(context))
    lines += ["```text", f"{name} {usage}", "```", ""]
    if isinstance(command, click.Group):
        for below, one in command.commands.items():
            lines += [_page_of_command(one, f"{name} {below}", context), ""]
        return "\n".join(lines)
    headings: dict[str, list[str]] = {}
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    for option in sorted(options, key=lambda one: not hasattr(one, "heading")):
        if record := option.get_help_record(context):
            entry = [f"`{record[0]}`", f":   {_escaped(record[1])}", ""]
            headings.setdefault(getattr(option, "heading", "General"), []).extend(entry)
    for heading, entries in headings.items():
        title = "Options" if len(headings) == 1 else heading
        lines += [f"{level}# {title}", "", *entries]
    return "\n".join(lines)


def _paragraphs(text: str) -> list[str]:
    """Returns the paragraphs of a help text; its example becomes a block of code."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(text).replace("\f", "").split("\n\n"):
        words = " ".join(paragraph.split())
        if words.startswith("Example: "):
            lines += ["```sh", words.removeprefix("Example: "), "```", ""]
        else:
            lines += [_escaped(words), ""]
    return lines


def _escaped(text: str) -> str:
    # Markdown has no escape for <.
    return re.sub(r"([\\`*_{}\[\]>|#])", r"\\\1", text).replace("<", "&lt;")


def _page_of_api() -> str:
    names = [name for name in edgekit.__all__ if not name.startswith("__")]
    parts = [f"::: edgekit.{name}\n    options:\n      heading_level: 2\n" for name in names]
    return "\n".join(
        [
            "# Python API",
            "",
            "These names are importable from `edgekit`. Each is loaded when it is first used.",
            "",
            *parts,
            f"This page describes EdgeKit {edgekit.__version__}.",
        ]
    )

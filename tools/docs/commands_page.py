"""docs/reference/command-line.md, generated from the help of the commands."""

import inspect
from collections.abc import Iterator

import click

from service.cli import main

COMMANDS_PAGE_INTRO = """# Command line

`make reference` generates this page from the commands.

Commands that use the database find a running `matchback up` by its `--data` folder (default
`./var`). Otherwise, they use `MATCHBACK_MONGODB_URI` and the other [settings](settings.md).

A command that fails prints a message and ends with exit code 1. A command with invalid options or
arguments ends with exit code 2.
"""
NO_WRAP_MARK = "\b"  # click's mark for a paragraph whose lines must stay as they are


def build_page() -> str:
    """Return the page."""
    return COMMANDS_PAGE_INTRO + "".join(
        _section(name, command) for name, command in list_commands()
    )


def list_commands(
    group: click.Group = main, of: str = "matchback"
) -> Iterator[tuple[str, click.Command]]:
    """Return every command that does something, by its full name, in alphabetical order."""
    for word, command in sorted(group.commands.items()):
        name = f"{of} {word}"
        if isinstance(command, click.Group):
            yield from list_commands(command, name)
        else:
            yield name, command


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, show_default=True)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text = f"\n## {name}\n\n```text\n{usage}\n```\n\n{inspect.cleandoc(command.help or '')}\n"
    found = filter(None, (option.get_help_record(context) for option in command.params))
    rows = [f"| `{_cell(option)}` | {_cell(about)} |\n" for option, about in found if about]
    if rows:
        text += "\n| option | meaning |\n| --- | --- |\n" + "".join(rows)
    if command.epilog:
        epilog = inspect.cleandoc(command.epilog).removeprefix(NO_WRAP_MARK).strip()
        text += f"\n```text\n{epilog}\n```\n"
    return text


def _cell(text: str) -> str:
    """Escape vertical bars, because they would end the cell."""
    return " ".join(text.split()).replace("|", "/")

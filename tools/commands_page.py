"""Writes docs/commands.md: every command of the three programs, as click knows it."""

import importlib
import importlib.util
import inspect
from collections.abc import Iterator

import click

from tools.pages import NOTICE, Pages, write

PAGE = "docs/commands.md"
PROGRAMS = ("authserver", "resourceserver", "bff")


def commands(program: str) -> Iterator[tuple[str, click.Command]]:
    """Go through the commands of a program that do something: the words to type, and the command."""
    spec = importlib.util.find_spec(f"{program}.cli")
    if spec is not None and spec.origin is not None:
        module = importlib.import_module(f"{program}.cli")
        yield from _commands(
            module.cli if isinstance(getattr(module, "cli", None), click.Command) else module.main, program
        )


def _commands(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _commands(child, f"{words} {name}")
    else:
        yield words, command


def _option(option: click.Option) -> str:
    value = "" if option.is_flag or option.count else f" {option.make_metavar(click.Context(click.Command('')))}"
    needed = " Required." if option.required else ""
    return f"- `{', '.join(option.opts)}{value}`: {option.help or ''}{needed}"


def _section(words: str, command: click.Command) -> str:
    context = click.Context(command)
    arguments = [each.make_metavar(context) for each in command.params if isinstance(each, click.Argument)]
    options = [_option(each) for each in command.params if isinstance(each, click.Option) and not each.hidden]
    parts = [f"### `{' '.join([words, *arguments])}`", inspect.cleandoc(command.help or "").replace("\f", "")]
    return "\n\n".join([*parts, *(["\n".join(options)] if options else [])])


def _program(program: str) -> str:
    return "\n\n".join([f"## {program}", *(_section(words, command) for words, command in commands(program))])


def pages() -> Pages:
    """Write the page that is to be stored."""
    head = f"{NOTICE}\n\n# Commands\n\nEach ends with status 0 when it did what it says, and with another when not."
    return {PAGE: "\n\n".join([head, *(_program(program) for program in PROGRAMS)]) + "\n"}


if __name__ == "__main__":
    write(pages)

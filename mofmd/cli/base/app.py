"""The form of all commands: examples in their help, commands loaded when asked for, plain errors.

The docstring of a command is its help; lines under ``Examples`` are shown as they stand.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from mofmd.cli.base import verbosity
from mofmd.errors import choices

QUOTE = "'"
HEADING = "\nExamples\n--------\n"
Function = TypeVar("Function", bound=Callable[..., Any])


def more_help(
    section: str, write: Callable[[], Sequence[tuple[str, str]]]
) -> Callable[[Function], Function]:
    """Add a section to a command's help: names and what they are, found when help is asked for.

    Parameters
    ----------
    section
        Its heading.
    write
        Gives its lines.
    """

    def decorate(function: Function) -> Function:
        vars(function)["more_help"] = (section, write)
        return function

    return decorate


def split_examples(help_text: str | None) -> tuple[str, list[str]]:
    """Split a help text into what is told and the examples.

    Parameters
    ----------
    help_text
        A docstring.
    """
    text, _, examples = (help_text or "").partition(HEADING)
    return text.rstrip(), [line for line in examples.splitlines() if line]


def write_examples(formatter: Any, examples: Sequence[str]) -> None:
    """Write examples as they stand.

    Parameters
    ----------
    formatter
        Of the help.
    examples
        Lines.
    """
    if examples:
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Command(TyperCommand):
    """A command that shows its examples, and names all that it misses in one message."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:  # noqa: A002
        text, self.examples = split_examples(help)
        super().__init__(*args, help=text, **options)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; take out what every command understands."""
        args = verbosity.take(args)
        try:
            return super().parse_args(ctx, list(args))
        except typer.BadParameter as error:
            _say_better(error)
            missing = self._missing(ctx, args)
            if error.param not in missing or len(missing) < 2:
                raise
            names = ", ".join(
                parameter.opts[0] if parameter.opts[0].startswith("-") else f"{parameter.name}"
                for parameter in missing
            )
            ctx.fail(f"Missing: {names}. {_first_example(self.examples)}".rstrip())
            raise  # not reached: ctx.fail raises

    def _missing(self, ctx: Any, args: list[str]) -> list[Any]:
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        return [
            parameter
            for parameter in self.get_params(ctx)
            if parameter.required and not given.get(str(parameter.name))
        ]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what is found at this moment, and the examples."""
        found = getattr(self.callback, "more_help", None)
        if found is not None:
            section, write = found
            with formatter.section(section):
                formatter.write_dl(list(write()))
        write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)


def _say_better(error: typer.BadParameter) -> None:
    """Take what names a class of Python out of a message; of an unknown word say which is near."""
    message = error.message.removeprefix("Value error, ")
    given, there, known = message.partition(" is not one of ")
    if there:
        names = re.findall(r"'([^']*)'", known)
        message = f"{given} is unknown{choices(given.strip(QUOTE), names)}"
    error.message = message


def _first_example(examples: Sequence[str]) -> str:
    return f"For example: {examples[0].partition('  #')[0].rstrip()}" if examples else ""


ALL = 10_000  # letters of a sentence in a list of commands, which would be cut otherwise


class Group(TyperGroup):
    """A group of commands; it shows its own examples, and the first one of each command."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:  # noqa: A002
        text, self.examples = split_examples(help)
        super().__init__(*args, help=text, **options)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; take out what every command understands."""
        return super().parse_args(ctx, verbosity.take(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; of an unknown one say which is near."""
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-"):
            ctx.fail(f"No such command: {args[0]!r}{choices(args[0], names)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the names, and the first sentence about each to its end."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(ALL)) for name, each in found if each]
            )

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        own = getattr(self, "commands", {}).values()
        firsts = [line for command in own for line in getattr(command, "examples", [])[:1]]
        write_examples(formatter, [*self.examples, *firsts])
        super().format_epilog(ctx, formatter)


class App(typer.Typer):
    """A group of commands of this form."""

    def __init__(self, **options: Any) -> None:
        options = {"cls": Group, "add_completion": False, **options}
        super().__init__(rich_markup_mode=None, pretty_exceptions_enable=False, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """Add a command."""
        return super().command(name, cls=Command, **options)


@dataclass(frozen=True)
class Lazy:
    """A command that is imported when it is asked for.

    Parameters
    ----------
    module
        Under ``mofmd.cli``.
    attribute
        Function, or ``App``.
    text
        What it does, in the list of commands.
    """

    module: str
    attribute: str
    text: str

    def load(self, name: str) -> Any:
        """Import it."""
        target = getattr(importlib.import_module(f"mofmd.cli.{self.module}"), self.attribute)
        if isinstance(target, typer.Typer):
            command: Any = typer.main.get_group(target)
        else:
            alone = App()
            alone.command(name)(target)
            command = typer.main.get_command(alone)
        command.name = name
        return command


class LazyGroup(Group):
    """A group whose commands stand in a table, under headings."""

    TABLE: ClassVar[dict[str, dict[str, Lazy]]] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as typer calls it
        """List all names."""
        return [name for commands in self.TABLE.values() for name in commands]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as typer calls it
        """Import a command; None where there is none of this name."""
        found = (commands.get(cmd_name) for commands in self.TABLE.values())
        lazy = next((each for each in found if each is not None), None)
        return None if lazy is None else lazy.load(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the names under their headings without importing anything."""
        width = max(map(len, self.list_commands(ctx)))
        for heading, commands in self.TABLE.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), lazy.text) for name, lazy in commands.items()]
                )

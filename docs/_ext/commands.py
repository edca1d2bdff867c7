"""The reference of the command line, from the program itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import text
import typer

from mofmd.cli.main import app

PROGRAM = "mofmd"
_WORDS = {str: "text", Path: "path", int: "whole number", float: "number", bool: ""}


def commands() -> dict[str, Any]:
    """Every command by its words, such as ``learn train``; groups without their own call apart."""
    return dict(_walk(typer.main.get_command(app), ()))


def page() -> str:
    """Write the reference of all commands, as Markdown."""
    found = commands()
    listed = [(f"[`{PROGRAM} {name}`](#{_anchor(name)})", _help(found[name])) for name in found]
    parts = [text.table(("command", "what it does"), listed)]
    group = ""
    for name, command in found.items():
        if name.split()[0] != group:
            group = name.split()[0]
            parts.append(f"## {PROGRAM} {group}")
        parts.append(_section(name, command))
    return "\n\n".join(parts)


def _walk(command: Any, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    found = children(command)
    if not found or (names and getattr(command, "invoke_without_command", False)):
        yield " ".join(names), command
    for name, child in found.items():
        if not child.hidden:
            yield from _walk(child, (*names, name))


def children(command: Any) -> dict[str, Any]:
    """Commands of a group by name; none of a command that is no group."""
    if not hasattr(command, "list_commands"):
        return {}
    context = typer.Context(command)
    return {name: command.get_command(context, name) for name in command.list_commands(context)}


def _section(name: str, command: Any) -> str:
    # a command that is alone in its group shares the group's heading
    head = f"### {PROGRAM} {name}\n\n" if " " in name else ""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = " ".join([PROGRAM, name, "[OPTIONS]", *(_usage(each) for each in arguments)])
    parts = [f"({_anchor(name)})=\n{head}{text.markdown(command.help or '').strip()}"]
    parts.append(f"```console\n$ {usage}\n```")
    rows = [
        (text.code(each.name), _accepts(command, each), "", _meaning(each)) for each in arguments
    ]
    rows += [
        (_names(each), _accepts(command, each), _default(each), _meaning(each))
        for each in options
        if not each.hidden and each.name != "help"
    ]
    if rows:
        parts.append(text.table(("argument or option", "takes", "default", "meaning"), rows))
    if examples := getattr(command, "examples", ()):
        parts.append("\n".join(["```console", *(f"$ {line}" for line in examples), "```"]))
    return "\n\n".join(parts)


def _anchor(name: str) -> str:
    return f"command-{name.replace(' ', '-')}"


def _help(command: Any) -> str:
    return text.markdown((command.help or "").strip().split("\n\n")[0])


def _usage(argument: Any) -> str:
    word = str(argument.name).upper() + ("..." if argument.nargs == -1 else "")
    return word if argument.required else f"[{word}]"


def _names(option: Any) -> str:
    return ", ".join(text.code(each) for each in (*option.opts, *option.secondary_opts))


def _accepts(command: Any, parameter: Any) -> str:
    """Say what a parameter takes, by the annotation of the function behind the command."""
    kind = _kind(command, parameter)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if choices:
        return " or ".join(map(text.code, choices))
    return _WORDS[kind]


def _kind(command: Any, parameter: Any) -> Any:
    """Type of one value: without Annotated, None, and the list of what may be repeated."""
    kind = get_type_hints(command.callback)[parameter.name]
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (each for each in get_args(kind) if each is not NoneType)
    return get_args(kind)[0] if get_origin(kind) in (list, tuple) else kind


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if isinstance(option.default, bool):
        names = (*option.secondary_opts, "") if not option.default else option.opts
        return text.code(names[0]) if option.secondary_opts else ""
    if option.default in (None, "", [], ()):
        return ""
    return text.code(option.default)


def _meaning(parameter: Any) -> str:
    words = text.markdown(getattr(parameter, "help", None) or "")
    repeated = getattr(parameter, "multiple", False) and "repea" not in words
    return f"{words} Repeatable." if repeated else words

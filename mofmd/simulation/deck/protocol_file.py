"""Protocols from files and from words on the command line."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from mofmd.disk.yaml_file import parse_value, read_mapping
from mofmd.errors import InputError, choices
from mofmd.simulation import protocols
from mofmd.simulation.deck.novelty_watch import NoveltyWatch, parse_watch
from mofmd.simulation.protocols.base.protocol import Protocol

DISPERSION = "dispersion"
WATCH = "watch"


def known_protocols() -> dict[str, type[Protocol]]:
    """Protocols by name: every module of ``mofmd.simulation.protocols``."""
    found: dict[str, type[Protocol]] = {}
    for module in pkgutil.iter_modules(protocols.__path__, f"{protocols.__name__}."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if (
                issubclass(kind, Protocol)
                and not inspect.isabstract(kind)
                and hasattr(kind, "NAME")
            ):
                found[kind.NAME] = kind
    return dict(sorted(found.items()))


def make_protocol(name: str, values: Mapping[str, Any], also: Iterable[str] = ()) -> Protocol:
    """Make a protocol from its name and the values of some of its fields.

    Parameters
    ----------
    name, values
        As in a file.
    also
        Names of what is no protocol but can be asked for in the same place.

    Raises
    ------
    InputError
        If there is no such protocol, or a key or a value that it cannot take, by name.

    Examples
    --------
    >>> make_protocol("nvt", {"temperature_K": 400}).temperature_K
    400.0
    """
    kinds = known_protocols()
    key = str(name).replace("-", "_")
    if key not in kinds:
        raise InputError(f"protocol: {name!r} is unknown{choices(key, [*kinds, *also])}")
    names = [each.name for each in fields(kinds[key])]
    for given in values:
        if given not in names:
            raise InputError(f"{given}: unknown key of protocol {key}{choices(str(given), names)}")
    return kinds[key](**values)


def read_protocol(
    path: Path, changes: Mapping[str, Any] | None = None, also: Iterable[str] = ()
) -> Protocol:
    """Read a YAML file: ``protocol: NAME``, then fields with the units in their keys.

    Its keys ``dispersion`` and ``watch`` are for `file_dispersion` and `file_watch`.

    Parameters
    ----------
    path
        The file.
    changes
        Values that take the place of the file's.
    also
        As for ``make_protocol``.

    Raises
    ------
    InputError
        If it is no YAML mapping, or a key or value does not fit the protocol, by name.
    """
    values = read_mapping(path)
    values.pop(DISPERSION, None)
    values.pop(WATCH, None)
    name = values.pop("protocol", None)
    if name is None:
        raise InputError(
            f"{path}: protocol: missing; say which one: {', '.join([*known_protocols(), *also])}"
        )
    try:
        return make_protocol(name, {**values, **(changes or {})}, also)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def file_dispersion(path: Path) -> str | None:
    """Return the dispersion that a protocol's YAML file asks for, as the word that it is."""
    word = read_mapping(path).get(DISPERSION)
    return None if word is None else str(word)


def file_watch(path: Path) -> NoveltyWatch | None:
    """Return the watch that a protocol's YAML file asks for."""
    values = read_mapping(path).get(WATCH)
    if values is None:
        return None
    try:
        return parse_watch(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def describe_protocols() -> str:
    """Text that lists the protocols and their fields with their defaults."""
    lines = []
    for name, kind in known_protocols().items():
        lines.append(f"{name}: {(kind.__doc__ or '').partition(chr(10))[0]}")
        lines += [f"  {each.name} = {each.default}" for each in fields(kind)]
    return "\n".join(lines)


def parse_settings(settings: Sequence[str], option: str = "--set") -> dict[str, Any]:
    """Parse ``key=value`` words of an option; values are read as in a YAML file."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise InputError(f"{option} {setting}: expected key=value, such as temperature_K=400")
        if key in values:
            raise InputError(f"{option} {key}: given twice")
        try:
            values[key] = parse_value(text)
        except yaml.YAMLError as error:
            raise InputError(f"{option} {setting}: the value cannot be read: {error}") from error
    return values
